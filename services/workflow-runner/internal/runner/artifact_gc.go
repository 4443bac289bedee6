package runner

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

// artifactGCRecord is what outlives a workflow: which of its artifacts are to be taken away.
type artifactGCRecord struct {
	Namespace  string           `json:"namespace"`
	Name       string           `json:"name"`
	UID        string           `json:"uid"`
	Ended      bool             `json:"ended,omitempty"`      // the lists are complete; else the journal has them
	Completion []location.Waste `json:"completion,omitempty"` // once the workflow shows that it has ended
	Deletion   []location.Waste `json:"deletion,omitempty"`   // once it is gone
}

func (n artifactGCRecord) workflow() string { return n.Namespace + "/" + n.Name }

func noteKey(workflow, uid string) string { return notePrefix + bus.Key(workflow) + "." + uid }

// artifactGC takes artifacts away. Every replica may do it at once: what is gone is gone.
type artifactGC struct {
	kv     bus.KV
	cached client.Client
	synced func(context.Context) bool // waits until cached knows something
	reader client.Reader
	stores *store.Stores
	bus    *bus.Bus // has the journals of runs
	away   awayStores
	log    *slog.Logger
	wake   chan string // names of workflows to look at

	mu sync.Mutex
	// Workflows that have a note, as far as this replica knows: since the last look at all notes began, and before.
	known, before map[string]bool
}

func (j *artifactGC) learn(workflow string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known == nil {
		j.known = map[string]bool{}
	}
	j.known[workflow] = true
}

// age forgets workflows that two looks at all notes in a row did not find.
func (j *artifactGC) age() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.before, j.known = j.known, nil
}

// look asks for a look at a workflow that may have something to be taken away. When too many are asked for the next round
// finds it.
func (j *artifactGC) look(workflow string) {
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

// remember notes a run before the first artifact is recorded that is to be taken away one day: from then on its workflow
// may vanish at any moment. It reports whether it did.
func (j *artifactGC) remember(ctx context.Context, wf *v1alpha1.Workflow, known *journalRun, nodes []v1alpha1.NodeStatus) (noted bool, err error) {
	if len(wasteOf(known, nodes, location.GCOnCompletion))+len(wasteOf(known, nodes, location.GCOnDeletion)) == 0 {
		return false, nil
	}
	n := artifactGCRecord{Namespace: wf.Namespace, Name: wf.Name, UID: string(wf.UID)}
	if _, err := j.kv.CompareAndSwap(ctx, noteKey(n.workflow(), n.UID), mustJSON(n), 0); err != nil && fault.Of(err) != fault.Stale {
		return false, fmt.Errorf("note the artifacts of workflow %s: %w", n.workflow(), err)
	}
	j.learn(n.workflow())
	return true, nil
}

func wasteOf(known *journalRun, nodes []v1alpha1.NodeStatus, strategy string) []location.Waste {
	var repository *v1alpha1.ArtifactRepository
	if known.repo != nil {
		repository = known.repo.ArtifactRepository
	}
	if known.spec == nil {
		return nil
	}
	return location.Garbage(nodes, *known.spec, repository, strategy)
}

// settle completes the note of a run that has ended. The journal may be too old one day; the note stays.
func (j *artifactGC) settle(ctx context.Context, wf *v1alpha1.Workflow, known *journalRun) error {
	nodes := slices.SortedFunc(maps.Values(known.state.Nodes), func(a, b v1alpha1.NodeStatus) int { return strings.Compare(a.ID, b.ID) })
	n := artifactGCRecord{Namespace: wf.Namespace, Name: wf.Name, UID: string(wf.UID), Ended: true,
		Completion: wasteOf(known, nodes, location.GCOnCompletion), Deletion: wasteOf(known, nodes, location.GCOnDeletion)}
	if len(n.Completion)+len(n.Deletion) > 0 {
		if err := j.kv.Put(ctx, noteKey(n.workflow(), n.UID), mustJSON(n)); err != nil {
			return fmt.Errorf("note the artifacts of workflow %s: %w", n.workflow(), err)
		}
		j.learn(n.workflow())
	}
	return nil
}

// run looks at what it is told of, and from time to time at everything.
func (j *artifactGC) run(ctx context.Context) error {
	if !j.synced(ctx) {
		return nil
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	prefix := notePrefix
	for {
		if err := j.sweep(ctx, prefix); err != nil && ctx.Err() == nil {
			j.log.WarnContext(ctx, "artifacts were not taken away; they will be tried again", "error", err)
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
func (j *artifactGC) sweep(ctx context.Context, prefix string) error {
	if prefix == notePrefix {
		j.age()
	}
	keys, err := j.kv.Keys(ctx, prefix)
	if err != nil {
		return err
	}
	return atOnce(tidyAtOnce, keys, func(key string) error {
		raw, revision, err := j.kv.Get(ctx, key)
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		var n artifactGCRecord
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
func (j *artifactGC) tidy(ctx context.Context, key string, n artifactGCRecord, revision uint64) error {
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
		return j.kv.Delete(ctx, key)
	}
	if len(n.Completion) == 0 || wf.GetLabels()[labelCompleted] != "true" {
		return nil
	}
	if err := j.remove(ctx, n, n.Completion); err != nil {
		return err
	}
	if err := j.mark(ctx, wf, n.Completion); err != nil {
		return err
	}
	if n.Completion = nil; len(n.Deletion) == 0 {
		return j.kv.Delete(ctx, key)
	}
	_, err = j.kv.CompareAndSwap(ctx, key, mustJSON(n), revision)
	if fault.Of(err) == fault.Stale {
		return nil // it was done by another, or noted anew
	}
	return err
}

// find returns the workflow of a note, nil when it is gone. That it is gone is only believed to the API server itself.
func (j *artifactGC) find(ctx context.Context, n artifactGCRecord) (*unstructured.Unstructured, error) {
	for _, reader := range []client.Reader{j.cached, j.reader} {
		wf := workflow()
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
func (j *artifactGC) recorded(ctx context.Context, n artifactGCRecord) ([]location.Waste, error) {
	known, _, err := replay(ctx, j.bus, n.Namespace, n.UID)
	if err != nil {
		return nil, err
	}
	nodes := slices.Collect(maps.Values(known.state.Nodes))
	return append(wasteOf(known, nodes, location.GCOnCompletion), wasteOf(known, nodes, location.GCOnDeletion)...), nil
}

// remove takes artifacts away. What a store refuses for good is given up: nothing may wait for it for ever.
func (j *artifactGC) remove(ctx context.Context, n artifactGCRecord, waste []location.Waste) error {
	var errs []error
	for _, w := range waste {
		place := placeOf(n.Namespace, w.Location)
		if j.away.has(place, time.Now()) {
			errs = append(errs, fmt.Errorf("artifact %q of workflow %s: its store did not answer a moment ago", w.Name, n.workflow()))
			continue
		}
		limited, cancel := context.WithTimeout(ctx, removeTime)
		err := j.stores.Remove(limited, n.Namespace, w.Location)
		cancel()
		if fault.Of(err) == fault.Poison {
			j.log.WarnContext(ctx, "an artifact stays that should go", "workflow", n.workflow(), "artifact", w.Name, "key", store.Key(w.Location), "error", err)
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
func (j *artifactGC) mark(ctx context.Context, raw *unstructured.Unstructured, gone []location.Waste) error {
	whole := workflow() // the cache keeps no nodes
	if err := j.reader.Get(ctx, client.ObjectKeyFromObject(raw), whole); err != nil {
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
	body := mustJSON(map[string]any{"status": map[string]any{"nodes": nodes,
		"artifactGCStatus": v1alpha1.ArtGCStatus{StrategiesProcessed: map[string]bool{location.GCOnCompletion: true}}}})
	target := workflow()
	target.SetNamespace(wf.Namespace)
	target.SetName(wf.Name)
	if err := j.cached.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("show what is gone of workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return nil
}
