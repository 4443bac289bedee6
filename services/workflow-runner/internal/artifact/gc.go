package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/parallel"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// notePrefix begins the keys of notes in the bucket of locks.
	notePrefix = "artifact-gc."
	// sweepEvery is how often all notes are looked through, for those that nobody told about.
	sweepEvery = time.Minute
	// removeTime is how long the removal of one artifact may take.
	removeTime = 30 * time.Second
	// tidyAtOnce bounds the runs that are tidied up after at once.
	tidyAtOnce = 8
)

// gcRecord is what outlives a workflow: which of its artifacts are to be taken away.
type gcRecord struct {
	Namespace  string           `json:"namespace"`
	Name       string           `json:"name"`
	UID        string           `json:"uid"`
	Ended      bool             `json:"ended,omitempty"`      // the lists are complete; else the journal has them
	Completion []location.Waste `json:"completion,omitempty"` // once the workflow shows that it has ended
	Deletion   []location.Waste `json:"deletion,omitempty"`   // once it is gone
}

func (n gcRecord) workflow() string { return n.Namespace + "/" + n.Name }

func noteKey(workflow, uid string) string { return notePrefix + bus.Key(workflow) + "." + uid }

// GCConfig is what an artifactGC works with.
type GCConfig struct {
	KV     bus.KV
	Bus    *bus.Bus // has the journals of runs
	Cached client.Client
	Synced func(context.Context) bool // waits until cached knows something
	Reader client.Reader
	Stores *store.Stores
	Log    *slog.Logger
}

// GC takes artifacts away. Every replica may do it at once: what is gone is gone.
type GC struct {
	GCConfig
	away awayStores
	wake chan string // names of workflows to look at

	mu sync.Mutex
	// Workflows that have a note, as far as this replica knows: since the last look at all notes began, and before.
	known, before map[string]bool
}

// NewGC makes one that has looked at nothing yet.
func NewGC(c GCConfig) *GC {
	return &GC{GCConfig: c, wake: make(chan string, 1024)}
}

func (j *GC) learn(workflow string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known == nil {
		j.known = map[string]bool{}
	}
	j.known[workflow] = true
}

// age forgets workflows that two looks at all notes in a row did not find.
func (j *GC) age() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.before, j.known = j.known, nil
}

// Look asks for a look at a workflow that may have something to be taken away. When too many are asked for the next
// round finds it.
func (j *GC) Look(workflow string) {
	j.mu.Lock()
	known := j.known[workflow] || j.before[workflow]
	j.mu.Unlock()
	if !known {
		return
	}
	select {
	case j.wake <- workflow:
	default:
	}
}

// Remember notes a run before the first artifact is recorded that is to be taken away one day: from then on its
// workflow may vanish at any moment. It reports whether it did.
func (j *GC) Remember(ctx context.Context, wf *v1alpha1.Workflow, known *journal.Run,
	nodes []v1alpha1.NodeStatus) (noted bool, err error) {
	if len(wasteOf(known, nodes, location.GCOnCompletion))+len(wasteOf(known, nodes, location.GCOnDeletion)) == 0 {
		return false, nil
	}
	n := gcRecord{Namespace: wf.Namespace, Name: wf.Name, UID: string(wf.UID)}
	if _, err := j.KV.CompareAndSwap(ctx, noteKey(n.workflow(), n.UID), object.JSON(n), 0); err != nil &&
		fault.Of(err) != fault.Stale {
		return false, fmt.Errorf("note the artifacts of workflow %s: %w", n.workflow(), err)
	}
	j.learn(n.workflow())
	return true, nil
}

func wasteOf(known *journal.Run, nodes []v1alpha1.NodeStatus, strategy string) []location.Waste {
	var repository *v1alpha1.ArtifactRepository
	if known.Repo != nil {
		repository = known.Repo.ArtifactRepository
	}
	if known.Spec == nil {
		return nil
	}
	return location.Garbage(nodes, *known.Spec, repository, strategy)
}

// Settle completes the note of a run that has ended. The journal may be too old one day; the note stays.
func (j *GC) Settle(ctx context.Context, wf *v1alpha1.Workflow, known *journal.Run) error {
	nodes := slices.SortedFunc(maps.Values(known.State.Nodes),
		func(a, b v1alpha1.NodeStatus) int { return strings.Compare(a.ID, b.ID) })
	n := gcRecord{Namespace: wf.Namespace, Name: wf.Name, UID: string(wf.UID), Ended: true,
		Completion: wasteOf(known, nodes, location.GCOnCompletion),
		Deletion:   wasteOf(known, nodes, location.GCOnDeletion)}
	if len(n.Completion)+len(n.Deletion) > 0 {
		if err := j.KV.Put(ctx, noteKey(n.workflow(), n.UID), object.JSON(n)); err != nil {
			return fmt.Errorf("note the artifacts of workflow %s: %w", n.workflow(), err)
		}
		j.learn(n.workflow())
	}
	return nil
}

// Run looks at what it is told of, and from time to time at everything.
func (j *GC) Run(ctx context.Context) error {
	if !j.Synced(ctx) {
		return nil
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	prefix := notePrefix
	for {
		if err := j.sweep(ctx, prefix); err != nil && ctx.Err() == nil {
			j.Log.WarnContext(ctx, "artifacts were not taken away; they will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			prefix = notePrefix
		case workflow := <-j.wake:
			prefix = notePrefix + bus.Key(workflow) + "."
		}
	}
}

// sweep looks at all notes whose keys begin so.
func (j *GC) sweep(ctx context.Context, prefix string) error {
	if prefix == notePrefix {
		j.age()
	}
	keys, err := j.KV.Keys(ctx, prefix)
	if err != nil {
		return err
	}
	return parallel.Do(tidyAtOnce, keys, func(key string) error {
		raw, revision, err := j.KV.Get(ctx, key)
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		var n gcRecord
		if err == nil {
			err = json.Unmarshal(raw, &n)
		}
		if err == nil {
			j.learn(n.workflow())
			err = j.tidy(ctx, key, n, revision)
		}
		return err
	})
}

// awayStores are stores that did not answer lately: what else is to be taken away there is not tried, so that the
// artifacts of others do not wait for it.
type awayStores struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (a *awayStores) has(place string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.until[place])
}

func (a *awayStores) add(place string, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.until == nil {
		a.until = map[string]time.Time{}
	}
	maps.DeleteFunc(a.until, func(_ string, t time.Time) bool { return t.Before(until.Add(-sweepEvery)) })
	a.until[place] = until
}

// placeOf names the store of a location as a namespace reaches it.
func placeOf(namespace string, l v1alpha1.ArtifactLocation) string {
	return namespace + " " + location.Where(l)
}

// tidy takes away what is due of one run, and the note when nothing is left.
func (j *GC) tidy(ctx context.Context, key string, n gcRecord, revision uint64) error {
	wf, err := j.find(ctx, n)
	if err != nil {
		return err
	}
	if wf == nil {
		waste := slices.Concat(n.Completion, n.Deletion)
		if !n.Ended {
			if waste, err = j.recorded(ctx, n); err != nil {
				return err
			}
		}
		if err := j.remove(ctx, n, waste); err != nil {
			return err
		}
		return j.KV.Delete(ctx, key)
	}
	if len(n.Completion) == 0 || wf.GetLabels()[object.LabelCompleted] != "true" {
		return nil
	}
	if err := j.remove(ctx, n, n.Completion); err != nil {
		return err
	}
	if err := j.mark(ctx, wf, n.Completion); err != nil {
		return err
	}
	if n.Completion = nil; len(n.Deletion) == 0 {
		return j.KV.Delete(ctx, key)
	}
	_, err = j.KV.CompareAndSwap(ctx, key, object.JSON(n), revision)
	if fault.Of(err) == fault.Stale {
		return nil // it was done by another, or noted anew
	}
	return err
}

// find returns the workflow of a note, nil when it is gone. That it is gone is only believed to the API server itself.
func (j *GC) find(ctx context.Context, n gcRecord) (*unstructured.Unstructured, error) {
	for _, reader := range []client.Reader{j.Cached, j.Reader} {
		wf := object.Workflow()
		err := reader.Get(ctx, types.NamespacedName{Namespace: n.Namespace, Name: n.Name}, wf)
		if err == nil && string(wf.GetUID()) == n.UID {
			return wf, nil
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("look for workflow %s: %w", n.workflow(), err)
		}
	}
	return nil, nil
}

// recorded lists what a run left behind whose workflow was removed before its end.
func (j *GC) recorded(ctx context.Context, n gcRecord) ([]location.Waste, error) {
	known, _, err := journal.Replay(ctx, j.Bus, n.Namespace, n.UID)
	if err != nil {
		return nil, err
	}
	nodes := slices.Collect(maps.Values(known.State.Nodes))
	return append(wasteOf(known, nodes, location.GCOnCompletion), wasteOf(known, nodes, location.GCOnDeletion)...), nil
}

// remove takes artifacts away. What a store refuses for good is given up: nothing may wait for it for ever.
func (j *GC) remove(ctx context.Context, n gcRecord, waste []location.Waste) error {
	var errs []error
	for _, w := range waste {
		place := placeOf(n.Namespace, w.Location)
		if j.away.has(place, time.Now()) {
			errs = append(errs, fmt.Errorf("artifact %q of workflow %s: its store did not answer a moment ago", w.Name,
				n.workflow()))
			continue
		}
		limited, cancel := context.WithTimeout(ctx, removeTime)
		err := j.Stores.Remove(limited, n.Namespace, w.Location)
		cancel()
		if fault.Of(err) == fault.Poison {
			j.Log.WarnContext(ctx, "an artifact stays that should go", "workflow", n.workflow(), "artifact", w.Name,
				"key",
				store.Key(w.Location), "error", err)
			continue
		}
		// The built-in store is the bus, without which nothing is tried at all.
		if err != nil && store.External(w.Location) {
			j.away.add(place, time.Now().Add(sweepEvery))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// mark shows on a workflow that artifacts are gone. Source: Argo Workflows, deleted and artifactGCStatus.
func (j *GC) mark(ctx context.Context, raw *unstructured.Unstructured, gone []location.Waste) error {
	whole := object.Workflow() // the cache keeps no nodes
	if err := j.Reader.Get(ctx, client.ObjectKeyFromObject(raw), whole); err != nil {
		return client.IgnoreNotFound(err)
	}
	wf, _, err := v1alpha1.DecodeTolerant[v1alpha1.Workflow](whole.Object)
	if err != nil {
		return nil //nolint:nilerr // nobody reads that status
	}
	nodes := map[string]any{}
	for _, w := range gone {
		n, ok := wf.Status.Nodes[w.Node]
		if !ok || n.Outputs == nil {
			continue
		}
		for i := range n.Outputs.Artifacts {
			if n.Outputs.Artifacts[i].Name == w.Name {
				n.Outputs.Artifacts[i].Deleted = true
			}
		}
		nodes[w.Node] = map[string]any{"outputs": map[string]any{"artifacts": n.Outputs.Artifacts}}
	}
	body := object.JSON(map[string]any{"status": map[string]any{"nodes": nodes,
		"artifactGCStatus": v1alpha1.ArtGCStatus{StrategiesProcessed: map[string]bool{location.GCOnCompletion: true}}}})
	target := object.Workflow()
	target.SetNamespace(wf.Namespace)
	target.SetName(wf.Name)
	if err := j.Cached.Patch(ctx, target, client.RawPatch(types.MergePatchType,
		body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("show what is gone of workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return nil
}
