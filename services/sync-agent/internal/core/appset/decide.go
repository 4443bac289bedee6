package appset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Decide says what becomes of the Applications of a set.
func Decide(w World) Decision {
	if w.Set.DeletionTimestamp != nil {
		return decideDeletion(w)
	}
	var d Decision
	d.Finalize = w.reversed() && !slices.Contains(w.Set.Finalizers, resourcesFinalizer)
	if w.Failed != nil {
		d.Status = w.status(nil, []error{w.Failed})
		return d
	}
	policy, problem := w.Settings.PolicyOf(w.Set.Spec)
	rules, problems := newIgnored(w.Set.Spec.IgnoreApplicationDifferences)
	problems = append(problems, problem)
	live := map[string]*track.Object{}
	for _, o := range w.Existing {
		live[o.GetName()] = o
	}
	var members []member
	kept := map[string]bool{}
	for _, a := range w.Wanted {
		kept[a.Object.GetName()] = true
		if a.Problem != nil {
			problems = append(problems, a.Problem)
			continue
		}
		m, err := w.member(a.Object, live[a.Object.GetName()], rules)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		members = append(members, m)
	}
	d.Status.ApplicationStatus = w.roll(members)
	d.Durable = w.startSyncs(members, d.Status.ApplicationStatus)
	for _, m := range members {
		switch {
		case m.live == nil:
			d.Create = append(d.Create, m.next)
		case m.live.GetDeletionTimestamp() == nil && policy.Update && !same(m.next.Object, m.live.Object):
			d.Update = append(d.Update, m.next)
		}
	}
	for _, o := range w.Existing {
		if policy.Delete && Owns(w.Set, o) && !kept[o.GetName()] && o.GetDeletionTimestamp() == nil {
			d.Delete = append(d.Delete, o)
		}
	}
	d.Status = w.status(d.Status.ApplicationStatus, problems)
	return d
}

// member is one wanted Application beside what there is of it.
type member struct {
	wanted, live, next *track.Object
	// changed reports that what it deploys is not yet what is wanted.
	changed bool
}

func (w World) member(wanted, live *track.Object, rules ignored) (member, error) {
	m := member{wanted: wanted, live: live}
	if live == nil {
		m.next = wanted.DeepCopy()
		m.next.SetOwnerReferences([]metav1.OwnerReference{w.owner()})
		w.manual(m.next)
		m.changed = true
		return m, nil
	}
	if c := metav1.GetControllerOf(live); c != nil && c.UID != w.Set.UID {
		return m, fmt.Errorf("application %s belongs to %s %s already: give one of the two another name",
			live.GetName(), c.Kind, c.Name)
	}
	m.next = w.merged(wanted, live, rules)
	m.changed = !same(m.next.Object["spec"], live.Object["spec"])
	return m, nil
}

// merged is the live object with what the template says, and what others may have put there.
func (w World) merged(wanted, live *track.Object, rules ignored) *track.Object {
	o := live.DeepCopy()
	o.Object["spec"] = runtime.DeepCopyJSONValue(wanted.Object["spec"])
	w.manual(o)
	var labels, annotations []string
	if p := w.Set.Spec.PreservedFields; p != nil {
		labels, annotations = p.Labels, p.Annotations
	}
	o.SetLabels(joined(wanted.GetLabels(), live.GetLabels(), func(k string) bool { return slices.Contains(labels, k) }))
	o.SetAnnotations(joined(
		wanted.GetAnnotations(), live.GetAnnotations(), func(k string) bool { return keep(k, annotations) },
	))
	finalizers := slices.Clone(wanted.GetFinalizers())
	for _, f := range live.GetFinalizers() {
		if !slices.Contains(finalizers, f) && hookFinalizer(f) {
			finalizers = append(finalizers, f)
		}
	}
	if !sameElements(finalizers, live.GetFinalizers()) {
		o.SetFinalizers(finalizers)
	}
	if !Owns(w.Set, live) {
		o.SetOwnerReferences(append(o.GetOwnerReferences(), w.owner()))
	}
	rules.respect(o, live)
	return o
}

// hookFinalizer holds for what the agent puts on Applications whose deletion has hooks. Source: Argo CD.
func hookFinalizer(f string) bool {
	return strings.HasPrefix(f, "post-delete-finalizer.argocd.argoproj.io") ||
		strings.HasPrefix(f, "pre-delete-finalizer.argocd.argoproj.io")
}

func joined(wanted, live map[string]string, keep func(string) bool) map[string]string {
	out := map[string]string{}
	for k, v := range live {
		if keep(k) {
			out[k] = v
		}
	}
	for k, v := range wanted {
		if _, there := out[k]; !there {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func sameElements(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// decideDeletion says what goes with a set that is deleted. Where Applications must not be deleted they are released,
// so that they stay when their owner has gone. Without the finalizer it is too late for either.
func decideDeletion(w World) Decision {
	d := Decision{Status: w.Set.Status}
	policy, err := w.Settings.PolicyOf(w.Set.Spec)
	var own []*track.Object
	for _, o := range w.Existing {
		if Owns(w.Set, o) {
			own = append(own, o)
		}
	}
	if !policy.Delete || err != nil {
		for _, o := range own {
			released := o.DeepCopy()
			released.SetOwnerReferences(slices.DeleteFunc(
				released.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == w.Set.UID },
			))
			d.Release = append(d.Release, released)
		}
		d.Gone = true
		return d
	}
	if !w.reversed() {
		d.Delete, d.Gone = alive(own), true
		return d
	}
	last := -1
	for _, o := range own {
		last = max(last, stepOf(w.rolling(), o.GetLabels()))
	}
	for _, o := range own {
		if stepOf(w.rolling(), o.GetLabels()) == last {
			d.Delete = append(d.Delete, o)
		}
	}
	d.Delete, d.Gone = alive(d.Delete), len(own) == 0
	return d
}

func alive(list []*track.Object) []*track.Object {
	return slices.DeleteFunc(list, func(o *track.Object) bool { return o.GetDeletionTimestamp() != nil })
}

// problemOf joins what is wrong; nil when nothing is.
func problemOf(problems []error) error { return errors.Join(problems...) }
