package router

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Objects are the objects that one router works on for one Rollout: a view of those that were read, and what it made
// of them.
type Objects struct {
	// read holds what is there; one that is known to be missing is nil.
	read map[traffic.Ref]*unstructured.Unstructured
	// made holds what was changed, created, or, as nil, deleted.
	made map[traffic.Ref]*unstructured.Unstructured
	// wanted are those that were asked for and not read yet.
	wanted []traffic.Ref
}

// Get returns an object to read, nil when it is missing or was not read yet.
func (o *Objects) Get(ref traffic.Ref) *unstructured.Unstructured {
	if u, is := o.made[ref]; is {
		return u
	}
	u, known := o.read[ref]
	if !known && !slices.Contains(o.wanted, ref) {
		o.wanted = append(o.wanted, ref)
	}
	return u
}

// Edit returns an object to write to, nil when there is none.
func (o *Objects) Edit(ref traffic.Ref) *unstructured.Unstructured {
	if u, is := o.made[ref]; is {
		return u
	}
	u := o.Get(ref)
	if u == nil {
		return nil
	}
	copied := u.DeepCopy()
	o.made[ref] = copied
	return copied
}

// Make returns an object to write to; one that is missing is created, owned by the Rollout.
func (o *Objects) Make(ref traffic.Ref) *unstructured.Unstructured {
	if u := o.Edit(ref); u != nil {
		return u
	}
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetNamespace(ref.Namespace)
	u.SetName(ref.Name)
	o.made[ref] = u
	return u
}

// Drop deletes an object.
func (o *Objects) Drop(ref traffic.Ref) {
	if o.Get(ref) != nil {
		o.made[ref] = nil
	}
}

// Change is one object to write.
type Change struct {
	Ref traffic.Ref
	// Old is what was read, nil when the object has to be created.
	Old *unstructured.Unstructured
	// New is what it should be, nil when it has to go.
	New *unstructured.Unstructured
}

// changes are what differs from what was read.
func (o *Objects) changes() (out []Change) {
	refs := slices.SortedFunc(
		maps.Keys(o.made),
		func(a, b traffic.Ref) int { return strings.Compare(key(a), key(b)) },
	)
	for _, ref := range refs {
		old, next := o.read[ref], o.made[ref]
		if old == nil && next == nil || old != nil && next != nil && equality.Semantic.DeepEqual(old, next) {
			continue
		}
		out = append(out, Change{Ref: ref, Old: old, New: next})
	}
	return out
}

func key(r traffic.Ref) string { return r.Group + "/" + r.Kind + "/" + r.Namespace + "/" + r.Name }

// ErrUnknownKind says that a cluster does not know a kind of objects.
var ErrUnknownKind = errors.New("is of a kind that this cluster does not know")

// Load reads an object, nil when there is none. ErrUnknownKind says that there cannot be any.
type Load func(ref traffic.Ref) (*unstructured.Unstructured, error)

// rounds bounds how often a router may ask for further objects: some name others that have to be read first.
const rounds = 5

// Bind reads all that a router wants to know of one object that a Rollout names.
func Bind(r Router, in Input, ref traffic.Ref, load Load) (*Bound, error) {
	b := &Bound{router: r, in: in, ref: ref, read: map[traffic.Ref]*unstructured.Unstructured{}}
	canary, stable := in.services()
	// What would be written tells which further objects matter: those that would be created or taken away.
	probe := traffic.Split{
		Canary: canary, Stable: stable, CanaryWeight: 1, Total: 100,
		Managed: nil, Names: names(in),
	}
	for range rounds {
		objects := b.objects()
		b.observed = r.Observe(in, ref, objects)
		if len(objects.wanted) == 0 && !b.observed.Missing && b.observed.Problem == "" {
			r.Apply(in, ref, objects, probe)
		}
		if len(objects.wanted) == 0 {
			break
		}
		for _, w := range objects.wanted {
			u, err := load(w)
			if errors.Is(err, ErrUnknownKind) {
				b.observed = traffic.Observed{Ref: ref, Field: r.Field, Problem: ErrUnknownKind.Error()}
				return b, nil
			}
			if err != nil {
				return nil, err
			}
			b.read[w] = u
		}
	}
	b.observed.Ref, b.observed.Field = ref, r.Field
	return b, nil
}

// names are the names that managed routes may have.
func names(in Input) (out []string) {
	for _, m := range in.Routing().ManagedRoutes {
		out = append(out, m.Name)
	}
	return out
}

// Bound is a router at work on one object that a Rollout names.
type Bound struct {
	router   Router
	in       Input
	ref      traffic.Ref
	read     map[traffic.Ref]*unstructured.Unstructured
	observed traffic.Observed
}

var _ traffic.Route = (*Bound)(nil)

// Refused is b as something that must not be used.
func (b *Bound) Refused(why string) *Bound {
	out := *b
	out.observed.Problem = why
	return &out
}

func (b *Bound) objects() *Objects {
	return &Objects{read: b.read, made: map[traffic.Ref]*unstructured.Unstructured{}}
}

// Observed is what the object says.
func (b *Bound) Observed() traffic.Observed { return b.observed }

// Obeys reports whether nothing would be written for a split.
func (b *Bound) Obeys(split traffic.Split) bool { return len(b.Changes(split)) == 0 }

// Changes are the writes that make the objects say a split.
func (b *Bound) Changes(split traffic.Split) []Change {
	if b.observed.Missing || b.observed.Problem != "" {
		return nil
	}
	objects := b.objects()
	b.router.Apply(b.in, b.ref, objects, split)
	return objects.changes()
}
