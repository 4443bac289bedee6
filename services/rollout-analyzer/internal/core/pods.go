package core

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// retryEviction is how soon to try again to evict pods that a budget protects.
const retryEviction = 30 * time.Second

// NeedsPods reports whether a decision about w depends on its pods, which are not read otherwise.
func NeedsPods(w World) bool {
	if restartPending(w) {
		return true
	}
	return slices.ContainsFunc(w.ReplicaSets, func(rs *appsv1.ReplicaSet) bool {
		return rs.Annotations[AnnotationPodsBehind] != ""
	})
}

func restartPending(w World) bool {
	at, done := w.Rollout.Spec.RestartAt, w.Rollout.Status.RestartedAt
	return at != nil && (done == nil || !done.Equal(at)) && !w.Now.Before(at.Time)
}

// replacePods evicts the pods that are older than spec.restartAt, never more than may be missing. Pods of the stable
// template come first.
func (p *pass) replacePods() {
	at := p.ro.Spec.RestartAt
	if at == nil || p.st.RestartedAt != nil && p.st.RestartedAt.Equal(at) {
		return
	}
	if p.w.Now.Before(at.Time) {
		p.wakeAt(at.Time)
		return
	}
	sets := append([]*appsv1.ReplicaSet{p.stableRS, p.newRS}, p.older...)
	var available, wanted int32
	for _, rs := range sets {
		available += availableReplicas(rs)
		wanted += size(rs)
	}
	spare := available - (max(p.n, wanted) - max(1, p.unavailable()))
	left := false
	for _, rs := range sets {
		if rs == nil {
			continue
		}
		for _, pod := range p.w.Pods[rs.Name] {
			if !pod.CreationTimestamp.Before(at) {
				continue
			}
			left = true
			if spare > 0 && pod.DeletionTimestamp == nil {
				p.do(EvictPod{Name: pod.Name, UID: string(pod.UID)})
				spare--
			}
		}
	}
	if left {
		p.wakeAt(p.w.Now.Add(retryEviction))
		return
	}
	p.st.RestartedAt = at.DeepCopy()
}

// restarting reports whether pods still have to be replaced.
func (p *pass) restarting() bool {
	at := p.ro.Spec.RestartAt
	return at != nil && !p.w.Now.Before(at.Time) && (p.st.RestartedAt == nil || !p.st.RestartedAt.Equal(at))
}

// dress gives pods the metadata of their role, and keeps new pods away from the nodes of the stable ones. A live pod
// is changed in place: neither is part of the hash.
func (p *pass) dress() {
	fresh, settled := p.canary.CanaryMetadata, p.canary.StableMetadata
	against := p.canary.AntiAffinity
	isNew := !p.promoted()
	if p.blue != nil {
		fresh, settled, against = p.blue.PreviewMetadata, p.blue.ActiveMetadata, p.blue.AntiAffinity
		isNew = isNew && p.pinned(p.blue.ActiveService) != p.hash
	}
	role := settled
	if isNew {
		role = fresh
	}
	p.wear(p.newRS, role)
	if p.stableRS != nil {
		role = settled
		if p.blue != nil && !isNew && !p.promoted() && !p.aborted() {
			role = nil
		}
		p.wear(p.stableRS, role)
	}
	for _, rs := range p.older {
		p.wear(rs, nil)
	}
	if !p.promoted() {
		p.spread(p.newRS, against)
	}
}

// worn is what an earlier pass put on the pods of a ReplicaSet.
func worn(rs *appsv1.ReplicaSet) (m v1alpha1.PodTemplateMetadata) {
	if err := json.Unmarshal([]byte(rs.Annotations[AnnotationEphemeral]), &m); err != nil {
		return v1alpha1.PodTemplateMetadata{}
	}
	return m
}

// wear puts metadata on the template of a ReplicaSet, takes off what was put on before, and then brings its live pods
// after it. That pods are behind is written down with the template, so that a crash in between is caught up with.
func (p *pass) wear(rs *appsv1.ReplicaSet, role *v1alpha1.PodTemplateMetadata) {
	had, want := worn(rs), deref(role)
	if !maps.Equal(had.Labels, want.Labels) || !maps.Equal(had.Annotations, want.Annotations) {
		meta := undressed(rs.Spec.Template.ObjectMeta, had)
		fillOver(&meta.Labels, want.Labels)
		fillOver(&meta.Annotations, want.Annotations)
		u := p.change(rs)
		u.Metadata = &meta
		text, err := json.Marshal(want)
		if err != nil {
			return
		}
		u.Set[AnnotationEphemeral] = string(text)
		if size(rs)+rs.Status.Replicas > 0 {
			// Pods may still wear what was before that: a second change before they caught up adds to it.
			u.Set[AnnotationPodsBehind] = both(rs.Annotations[AnnotationPodsBehind], had)
		}
		return
	}
	if behind := rs.Annotations[AnnotationPodsBehind]; behind != "" {
		p.dressPods(rs, behind, want)
	}
}

// both is what pods may wear that were behind already, as JSON.
func both(behind string, had v1alpha1.PodTemplateMetadata) string {
	var all v1alpha1.PodTemplateMetadata
	if err := json.Unmarshal([]byte(behind), &all); err != nil {
		all = v1alpha1.PodTemplateMetadata{}
	}
	fillOver(&all.Labels, had.Labels)
	fillOver(&all.Annotations, had.Annotations)
	text, err := json.Marshal(all)
	if err != nil {
		return "{}"
	}
	return string(text)
}

// dressPods brings live pods after their template.
func (p *pass) dressPods(rs *appsv1.ReplicaSet, behind string, want v1alpha1.PodTemplateMetadata) {
	var had v1alpha1.PodTemplateMetadata
	if err := json.Unmarshal([]byte(behind), &had); err != nil {
		had = v1alpha1.PodTemplateMetadata{}
	}
	done := true
	for _, pod := range p.w.Pods[rs.Name] {
		next := undressed(pod.ObjectMeta, had)
		fillOver(&next.Labels, want.Labels)
		fillOver(&next.Annotations, want.Annotations)
		if maps.Equal(next.Labels, pod.Labels) && maps.Equal(next.Annotations, pod.Annotations) {
			continue
		}
		done = false
		p.do(PatchPod{
			Name: pod.Name, UID: string(pod.UID), Version: pod.ResourceVersion, Labels: next.Labels,
			Annotations: next.Annotations,
		})
	}
	if done {
		u := p.change(rs)
		u.Remove = append(u.Remove, AnnotationPodsBehind)
		return
	}
	p.wakeAt(p.w.Now.Add(time.Second))
}

// undressed is metadata without what was put on.
func undressed(m metav1.ObjectMeta, had v1alpha1.PodTemplateMetadata) (out metav1.ObjectMeta) {
	out.Labels, out.Annotations = maps.Clone(m.Labels), maps.Clone(m.Annotations)
	for k := range had.Labels {
		delete(out.Labels, k)
	}
	for k := range had.Annotations {
		delete(out.Annotations, k)
	}
	return out
}

func fillOver(into *map[string]string, from map[string]string) {
	if len(from) > 0 && *into == nil {
		*into = map[string]string{}
	}
	maps.Copy(*into, from)
}

// spread keeps the pods of a ReplicaSet off the nodes where stable pods run.
func (p *pass) spread(rs *appsv1.ReplicaSet, against *v1alpha1.AntiAffinity) {
	stable := p.st.StableRS
	want := withoutSpread(rs.Spec.Template.Spec.Affinity)
	if against != nil && stable != "" && stable != rs.Labels[HashLabel] {
		want = withSpread(want, *against, stable)
	}
	if !equality.Semantic.DeepEqual(want, rs.Spec.Template.Spec.Affinity) {
		u := p.change(rs)
		u.SetAffinity, u.Affinity = true, want
	}
}

// isSpread recognises a term that spread put there.
func isSpread(t corev1.PodAffinityTerm) bool {
	return t.LabelSelector != nil && len(t.LabelSelector.MatchExpressions) == 1 &&
		t.LabelSelector.MatchExpressions[0].Key == HashLabel && t.TopologyKey == corev1.LabelHostname
}

func withoutSpread(a *corev1.Affinity) *corev1.Affinity {
	if a == nil || a.PodAntiAffinity == nil {
		return a.DeepCopy()
	}
	out := a.DeepCopy()
	anti := out.PodAntiAffinity
	anti.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
		anti.RequiredDuringSchedulingIgnoredDuringExecution, isSpread,
	)
	anti.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(
		anti.PreferredDuringSchedulingIgnoredDuringExecution,
		func(t corev1.WeightedPodAffinityTerm) bool { return isSpread(t.PodAffinityTerm) },
	)
	if len(anti.RequiredDuringSchedulingIgnoredDuringExecution)+
		len(anti.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		out.PodAntiAffinity = nil
	}
	if out.PodAntiAffinity == nil && out.PodAffinity == nil && out.NodeAffinity == nil {
		return nil
	}
	return out
}

func withSpread(a *corev1.Affinity, by v1alpha1.AntiAffinity, stable string) *corev1.Affinity {
	out := a.DeepCopy()
	if out == nil {
		out = &corev1.Affinity{}
	}
	if out.PodAntiAffinity == nil {
		out.PodAntiAffinity = &corev1.PodAntiAffinity{}
	}
	term := corev1.PodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: HashLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{stable},
		}}},
		TopologyKey: corev1.LabelHostname,
	}
	anti := out.PodAntiAffinity
	switch {
	case by.RequiredDuringSchedulingIgnoredDuringExecution != nil:
		anti.RequiredDuringSchedulingIgnoredDuringExecution = append(
			anti.RequiredDuringSchedulingIgnoredDuringExecution, term,
		)
	case by.PreferredDuringSchedulingIgnoredDuringExecution != nil:
		anti.PreferredDuringSchedulingIgnoredDuringExecution = append(
			anti.PreferredDuringSchedulingIgnoredDuringExecution, corev1.WeightedPodAffinityTerm{
				Weight: by.PreferredDuringSchedulingIgnoredDuringExecution.Weight, PodAffinityTerm: term,
			},
		)
	}
	return out
}
