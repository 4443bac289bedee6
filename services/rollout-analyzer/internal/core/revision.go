package core

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// lineageKeys are the annotations under which causality travels to what a Rollout creates.
var lineageKeys = []string{events.AnnotationTraceparent, events.AnnotationCorrelationID, events.AnnotationCausationID}

// hashOf names a template. Collisions only count when two templates have had the same name.
func hashOf(template *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	text, err := json.Marshal(template)
	if err != nil {
		// A decoded template can always be encoded; its text would be the same each time anyway.
		text = []byte(err.Error())
	}
	h.Write(text)
	if collisions != nil {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(*collisions))
		h.Write(b[:])
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// stepsHash changes when someone edits the steps.
func stepsHash(steps []v1alpha1.CanaryStep) string {
	h := fnv.New32a()
	text, err := json.Marshal(steps)
	if err != nil {
		text = []byte(err.Error())
	}
	h.Write(text)
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// sort finds the ReplicaSets of the wanted and of the stable template, and the others.
func (p *pass) sort() {
	p.hash = hashOf(&p.ro.Spec.Template, p.st.CollisionCount)
	p.newRS = findByHash(p.w.ReplicaSets, p.hash)
	if p.newRS == nil {
		if rs := findByTemplate(p.w.ReplicaSets, &p.ro.Spec.Template); rs != nil {
			p.newRS, p.hash = rs, rs.Labels[HashLabel]
		}
	}
	if p.st.StableRS != "" && p.st.StableRS != p.hash {
		p.stableRS = findByHash(p.w.ReplicaSets, p.st.StableRS)
	}
	p.older = nil
	for _, rs := range p.w.ReplicaSets {
		if rs != p.newRS && rs != p.stableRS {
			p.older = append(p.older, rs)
		}
	}
	slices.SortStableFunc(p.older, func(a, b *appsv1.ReplicaSet) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}

func findByHash(sets []*appsv1.ReplicaSet, hash string) *appsv1.ReplicaSet {
	for _, rs := range sets {
		if rs.Labels[HashLabel] == hash {
			return rs
		}
	}
	return nil
}

// findByTemplate adopts a ReplicaSet of an equal template that another hash function named.
func findByTemplate(sets []*appsv1.ReplicaSet, template *corev1.PodTemplateSpec) *appsv1.ReplicaSet {
	for _, rs := range sets {
		bare := rs.Spec.Template
		bare.ObjectMeta = undressed(bare.ObjectMeta, worn(rs))
		if rs.Labels[HashLabel] != "" && sameTemplate(template, &bare) {
			return rs
		}
	}
	return nil
}

// ensureReplicaSet reports whether the ReplicaSet of the wanted template exists; otherwise it is created with no pods
// and the rest waits until it can be seen.
func (p *pass) ensureReplicaSet() bool {
	if p.newRS != nil {
		return true
	}
	name := p.ro.Name + "-" + p.hash
	for _, rs := range p.w.ReplicaSets {
		if rs.Name == name {
			p.st.CollisionCount = new(deref(p.st.CollisionCount) + 1)
			return false
		}
	}
	p.do(CreateReplicaSet{Object: p.buildReplicaSet(name)})
	p.note(false, ReasonNewReplicaSet, "Created ReplicaSet "+name)
	p.reason = ReasonNewReplicaSet
	return false
}

func (p *pass) buildReplicaSet(name string) *appsv1.ReplicaSet {
	template := p.ro.Spec.Template.DeepCopy()
	template.Labels = with(template.Labels, HashLabel, p.hash)
	selector := &metav1.LabelSelector{}
	if p.ro.Spec.Selector != nil {
		selector = p.ro.Spec.Selector.DeepCopy()
	}
	selector.MatchLabels = with(selector.MatchLabels, HashLabel, p.hash)
	return &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: p.ro.Namespace,
			Labels:    maps.Clone(template.Labels),
			Annotations: p.inherited(
				map[string]string{AnnotationRevision: itoa(p.lastRevision() + 1), AnnotationDesired: itoa(p.n)},
			),
			OwnerReferences: []metav1.OwnerReference{p.owner()},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32(0)), MinReadySeconds: p.ro.Spec.MinReadySeconds, Selector: selector,
			Template: *template,
		},
	}
}

// inherited adds what a ReplicaSet takes over from the annotations of the Rollout.
func (p *pass) inherited(own map[string]string) map[string]string {
	for key, value := range p.ro.Annotations {
		switch key {
		case corev1.LastAppliedConfigAnnotation, AnnotationRevision, AnnotationRevisionHistory, AnnotationDesired,
			"notified.notifications.argoproj.io", events.AnnotationKey:
		default:
			own[key] = value
		}
	}
	own[events.AnnotationKey] = p.ro.Name + "-" + p.hash
	return own
}

func (p *pass) owner() metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Rollout", Name: p.ro.Name, UID: p.ro.UID,
		Controller: new(true), BlockOwnerDeletion: new(true),
	}
}

func revisionOf(rs *appsv1.ReplicaSet) int64 {
	v, err := strconv.ParseInt(rs.Annotations[AnnotationRevision], 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// lastRevision is the highest number that another template has.
func (p *pass) lastRevision() (last int64) {
	for _, rs := range p.w.ReplicaSets {
		if rs != p.newRS {
			last = max(last, revisionOf(rs))
		}
	}
	return last
}

// assignRevision numbers the wanted template as the latest one and carries what changed beside the template.
func (p *pass) assignRevision() {
	number := revisionOf(p.newRS)
	if last := p.lastRevision(); number <= last {
		if number > 0 {
			p.annotate(
				p.newRS, AnnotationRevisionHistory,
				appendHistory(p.newRS.Annotations[AnnotationRevisionHistory], number),
			)
		}
		number = last + 1
		p.annotate(p.newRS, AnnotationRevision, itoa(number))
	}
	p.revision = itoa(number)
	if p.ro.Annotations[AnnotationRevision] != p.revision || p.ro.Spec.Replicas == nil {
		a := PatchRollout{Revision: p.revision}
		if p.ro.Spec.Replicas == nil {
			a.Replicas = new(p.n)
		}
		p.do(a)
	}
	for _, key := range lineageKeys {
		if value := p.ro.Annotations[key]; value != "" && !p.promoted() {
			p.annotate(p.newRS, key, value)
		}
	}
	for _, rs := range []*appsv1.ReplicaSet{p.newRS, p.stableRS} {
		if rs != nil && size(rs) > 0 {
			p.annotate(rs, AnnotationDesired, itoa(p.n))
		}
	}
	if p.newRS.Spec.MinReadySeconds != p.ro.Spec.MinReadySeconds {
		p.change(p.newRS).MinReady = new(p.ro.Spec.MinReadySeconds)
	}
}

func appendHistory(history string, number int64) string {
	if history == "" {
		return itoa(number)
	}
	return history + "," + itoa(number)
}

// prune deletes what history keeps no longer.
func (p *pass) prune() {
	keep := int(deref(p.ro.Spec.RevisionHistoryLimit))
	if p.ro.Spec.RevisionHistoryLimit == nil {
		keep = defaultRevisionHistory
	}
	var done []*appsv1.ReplicaSet
	for _, rs := range p.older {
		if size(rs) == 0 && rs.Status.Replicas == 0 && rs.Status.ObservedGeneration >= rs.Generation &&
			rs.DeletionTimestamp == nil {
			done = append(done, rs)
		}
	}
	for _, rs := range done[:max(0, len(done)-keep)] {
		p.do(DeleteReplicaSet{Name: rs.Name, Version: rs.ResourceVersion})
	}
	p.pruneRuns()
}

func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

func deref[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}
