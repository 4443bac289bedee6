package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldManager is the one that objects applied by Argo CD already have.
const fieldManager = "argocd-controller"

// parallel bounds how many objects of one kind are applied at once.
const parallel = 8

// establishing bounds the wait for the API server to serve a kind whose definition was applied.
const establishing = 10 * time.Second

// migrationManager names a further client-side manager whose fields are taken over.
const migrationManager = "argocd.argoproj.io/client-side-apply-migration-manager"

// outcome is what became of one task.
type outcome struct {
	task operation.Task
	live *track.Object // after it; nil when it is gone
	err  error
}

// performer applies and prunes for one operation.
type performer struct {
	client  client.Client
	reader  client.Reader // not cached
	live    *cluster.Cache
	world   *operation.World
	lineage lineage.Lineage
	manager string // of client-side applies, taken over beside the usual ones
}

// step performs one step: kind after kind, objects of a kind side by side. What comes after a kind that failed is left.
func (p performer) step(ctx context.Context, tasks []operation.Task) []outcome {
	var all []outcome
	for kind := range slices.Values(chunks(tasks)) {
		done := each(kind, func(t operation.Task) outcome { return p.one(ctx, t) })
		all = append(all, done...)
		if slices.ContainsFunc(done, func(o outcome) bool { return o.err != nil }) {
			break
		}
	}
	return all
}

// each does a bounded number of things at once, and keeps their order.
func each[T, R any](all []T, do func(T) R) []R {
	results := make([]R, len(all))
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, one := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			results[i] = do(one)
		})
	}
	group.Wait()
	return results
}

// chunks cuts a step where the kind changes.
func chunks(tasks []operation.Task) [][]operation.Task {
	var out [][]operation.Task
	for i, t := range tasks {
		if i == 0 || t.Key.Kind != tasks[i-1].Key.Kind {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], t)
	}
	return out
}

func (p performer) one(ctx context.Context, t operation.Task) outcome {
	var o *track.Object
	var err error
	switch t.Action {
	case operation.Prune:
		o, err = p.prune(ctx, t.Item)
	case operation.Delete:
		if o, err = p.release(ctx, t.Item); err == nil && o != nil {
			t.Live = o
			o, err = p.prune(ctx, t.Item)
		}
	case operation.Release:
		o, err = p.release(ctx, t.Item)
	default:
		o, err = p.apply(ctx, t)
	}
	return outcome{task: t, live: o, err: err}
}

// manifest is what is sent for a task.
func (p performer) manifest(t operation.Task) *track.Object {
	o := t.Desired.DeepCopy()
	o.SetResourceVersion("")
	o.SetManagedFields(nil)
	o.SetUID("")
	delete(o.Object, "status")
	diff.EncodeSecret(o)
	diff.PreserveRolloutFields(o, t.Live)
	annotations := p.lineage.Annotate(o.GetAnnotations())
	switch {
	case t.Hook:
		annotations[operation.OperationAnnotation] = operation.HookID(p.world.Instance, p.world.State, t.Phase)
		if !slices.Contains(o.GetFinalizers(), operation.HookFinalizer) {
			o.SetFinalizers(append(o.GetFinalizers(), operation.HookFinalizer))
		}
	case !t.Untracked:
		annotations[track.AppliedAnnotation] = t.Fingerprint
	}
	o.SetAnnotations(annotations)
	if !t.Untracked && t.Key.Kind != "CustomResourceDefinition" {
		p.world.Tracking.Mark(o, p.world.Instance, p.world.Destination)
	}
	return o
}

func (p performer) apply(ctx context.Context, t operation.Task) (*track.Object, error) {
	if err := p.takeOver(ctx, t.Item); err != nil {
		return nil, fmt.Errorf("take over fields of %s: %w", t.Key, err)
	}
	o, err := p.write(ctx, t)
	if err != nil && t.Mode.Force && t.Live != nil && (apierrors.IsInvalid(err) || apierrors.IsConflict(err)) {
		o, err = p.recreate(ctx, t)
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", t.Key, err)
	}
	o.SetManagedFields(nil)
	p.live.Wrote(o)
	if t.Key.Kind == "CustomResourceDefinition" {
		if err := p.established(ctx, o); err != nil {
			return o, fmt.Errorf("apply %s: %w", t.Key, err)
		}
	}
	return o, nil
}

// write sends a manifest in the way that its options ask for.
func (p performer) write(ctx context.Context, t operation.Task) (*track.Object, error) {
	o := p.manifest(t)
	switch {
	case t.Mode.Replace && t.Mode.Force && t.Live != nil:
		return p.recreate(ctx, t)
	case t.Mode.Replace:
		return p.replace(ctx, o)
	}
	err := p.client.Apply(
		ctx, client.ApplyConfigurationFromUnstructured(o), client.ForceOwnership, client.FieldOwner(fieldManager),
	)
	if err != nil && !t.Mode.Validate && strings.Contains(err.Error(), "not declared in schema") {
		// An apply cannot leave out what the schema does not know; a write of the whole object can.
		return p.replace(ctx, p.manifest(t))
	}
	return o, err
}

// replace writes an object as a whole.
func (p performer) replace(ctx context.Context, o *track.Object) (*track.Object, error) {
	ignore := client.FieldValidation(metav1.FieldValidationIgnore)
	there := &track.Object{}
	there.SetGroupVersionKind(o.GroupVersionKind())
	err := p.reader.Get(ctx, client.ObjectKeyFromObject(o), there)
	switch {
	case apierrors.IsNotFound(err):
		return o, p.client.Create(ctx, o, client.FieldOwner(fieldManager), ignore)
	case err != nil:
		return nil, err
	}
	o.SetResourceVersion(there.GetResourceVersion())
	return o, p.client.Update(ctx, o, client.FieldOwner(fieldManager), ignore)
}

// recreate deletes an object, waits until it is gone and makes it again.
func (p performer) recreate(ctx context.Context, t operation.Task) (*track.Object, error) {
	err := p.client.Delete(ctx, t.Live.DeepCopy(), client.PropagationPolicy(p.propagation()))
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	uid := t.Live.GetUID()
	there := &track.Object{}
	there.SetGroupVersionKind(t.Live.GroupVersionKind())
	err = wait.PollUntilContextTimeout(
		ctx,
		50*time.Millisecond,
		establishing,
		true,
		func(ctx context.Context) (bool, error) {
			err := p.reader.Get(ctx, client.ObjectKeyFromObject(t.Live), there)
			return apierrors.IsNotFound(err) || (err == nil && there.GetUID() != uid), client.IgnoreNotFound(err)
		},
	)
	if err != nil {
		return nil, fmt.Errorf("wait until it is gone: %w", err)
	}
	o := p.manifest(t)
	return o, p.client.Create(ctx, o, client.FieldOwner(fieldManager))
}

// takeOver moves the fields that client-side applies own to our manager, once for each object that others applied:
// they would stay for ever after they left Git. Source: surprises of server-side apply; kubectl does the same.
func (p performer) takeOver(ctx context.Context, i operation.Item) error {
	if i.Live == nil || i.Live.GetAnnotations()[track.AppliedAnnotation] != "" ||
		p.world.Has("ClientSideApplyMigration=false") {
		return nil
	}
	live := &track.Object{}
	live.SetGroupVersionKind(i.Live.GroupVersionKind())
	if err := p.reader.Get(ctx, client.ObjectKeyFromObject(i.Live), live); err != nil {
		return client.IgnoreNotFound(err)
	}
	managers := sets.New("kubectl-client-side-apply", fieldManager)
	if p.manager != "" {
		managers.Insert(p.manager)
	}
	body, err := csaupgrade.UpgradeManagedFieldsPatch(live, managers, fieldManager)
	if err != nil || len(body) == 0 {
		return err
	}
	return p.client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, body))
}

// established waits until the API server serves the kind of a definition.
func (p performer) established(ctx context.Context, o *track.Object) error {
	err := wait.PollUntilContextTimeout(
		ctx,
		50*time.Millisecond,
		establishing,
		true,
		func(ctx context.Context) (bool, error) {
			if condition(o, "Established") {
				return true, nil
			}
			return false, p.reader.Get(ctx, client.ObjectKeyFromObject(o), o)
		},
	)
	if err != nil {
		return fmt.Errorf("the API server does not serve its kind yet: %w", err)
	}
	o.SetManagedFields(nil)
	return nil
}

func condition(o *track.Object, kind string) bool {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(list, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == kind && m["status"] == "True"
	})
}

// prune deletes exactly the object that was looked at.
func (p performer) prune(ctx context.Context, i operation.Item) (*track.Object, error) {
	uid, at := i.Live.GetUID(), i.Live.GetResourceVersion()
	err := p.client.Delete(
		ctx, i.Live.DeepCopy(), client.PropagationPolicy(p.propagation()),
		client.Preconditions{UID: &uid, ResourceVersion: &at},
	)
	if client.IgnoreNotFound(err) != nil {
		return i.Live, fmt.Errorf("prune %s: %w", i.Key, err)
	}
	left := &track.Object{}
	left.SetGroupVersionKind(i.Live.GroupVersionKind())
	err = p.reader.Get(ctx, client.ObjectKeyFromObject(i.Live), left)
	switch {
	case apierrors.IsNotFound(err) || (err == nil && left.GetUID() != uid):
		p.live.Removed(i.Key, uid)
		return nil, nil
	case err != nil:
		return i.Live, fmt.Errorf("prune %s: %w", i.Key, err)
	}
	left.SetManagedFields(nil)
	p.live.Wrote(left)
	return left, nil
}

// release takes the finalizer of a hook away; nil when the hook is gone.
func (p performer) release(ctx context.Context, i operation.Item) (*track.Object, error) {
	base := i.Live
	at := slices.Index(base.GetFinalizers(), operation.HookFinalizer)
	if at < 0 {
		return base, nil
	}
	next := base.DeepCopy()
	next.SetFinalizers(slices.Delete(slices.Clone(base.GetFinalizers()), at, at+1))
	err := p.client.Patch(ctx, next, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsNotFound(err) {
		p.live.Removed(i.Key, base.GetUID())
		return nil, nil
	}
	if err != nil {
		return base, fmt.Errorf("release hook %s: %w", i.Key, err)
	}
	if next.GetDeletionTimestamp() != nil && len(next.GetFinalizers()) == 0 {
		p.live.Removed(i.Key, next.GetUID())
		return nil, nil
	}
	next.SetManagedFields(nil)
	p.live.Wrote(next)
	return next, nil
}

func (p performer) propagation() metav1.DeletionPropagation {
	switch p.world.Propagation() {
	case "background":
		return metav1.DeletePropagationBackground
	case "orphan":
		return metav1.DeletePropagationOrphan
	}
	return metav1.DeletePropagationForeground
}

// rehearse asks the API server what it would make of a task. refused says why it would not take it; err is not about
// the manifest.
func (p performer) rehearse(ctx context.Context, t operation.Task) (made *track.Object, refused string, err error) {
	o := p.manifest(t)
	err = p.client.Apply(
		ctx, client.ApplyConfigurationFromUnstructured(o), client.ForceOwnership, client.FieldOwner(fieldManager),
		client.DryRunAll,
	)
	switch {
	case err == nil:
		return o, "", nil
	case meta.IsNoMatchError(err):
		return nil, err.Error(), nil
	case transient(err):
		return nil, "", fmt.Errorf("dry run of %s: %w", t.Key, err)
	}
	return nil, err.Error(), nil
}

// answer asks what only the API server knows of differences.
func (p performer) answer(ctx context.Context, ask []operation.Item) error {
	type answer struct {
		made *track.Object
		err  error
	}
	var errs []error
	for i, a := range each(ask, func(i operation.Item) (a answer) {
		a.made, _, a.err = p.rehearse(ctx, operation.Task{Item: i})
		return a
	}) {
		if a.err == nil {
			p.world.NormalizedDiffs[ask[i].Key] = operation.Answer(*p.world, ask[i], a.made)
		}
		errs = append(errs, a.err)
	}
	return errors.Join(errs...)
}

// judge asks of all tasks whether the API server would take them. What cannot be asked yet, since its namespace or its
// kind comes with this very sync, passes.
func (p performer) judge(ctx context.Context, tasks []operation.Task) (map[track.Key]string, error) {
	type verdict struct {
		key     track.Key
		refused string
		err     error
	}
	out := map[track.Key]string{}
	var errs []error
	for _, v := range each(tasks, func(t operation.Task) verdict {
		if t.Mode.Replace || p.early(t, tasks) {
			return verdict{key: t.Key}
		}
		_, refused, err := p.rehearse(ctx, t)
		if t.Mode.Force && t.Live != nil {
			refused = "" // it may be deleted and made again
		}
		return verdict{t.Key, refused, err}
	}) {
		if v.refused != "" {
			out[v.key] = v.refused
		}
		errs = append(errs, v.err)
	}
	return out, errors.Join(errs...)
}

// early reports whether a task cannot be judged before others are performed.
func (p performer) early(t operation.Task, all []operation.Task) bool {
	if t.Hook && t.Live != nil {
		return true // it is deleted first, so what of it cannot be changed does not count
	}
	gk := t.Desired.GroupVersionKind().GroupKind()
	if slices.ContainsFunc(all, func(x operation.Task) bool {
		return x.Action == operation.Create && ((x.Key.Kind == "Namespace" && x.Key.Name == t.Key.Namespace) ||
			operation.Defines(x.Desired, gk))
	}) {
		return true
	}
	if !operation.OptionsOf(t.Desired).Has("SkipDryRunOnMissingResource=true") &&
		!p.world.Has("SkipDryRunOnMissingResource=true") {
		return false
	}
	_, err := p.live.Mapper.RESTMapping(gk)
	return meta.IsNoMatchError(err)
}

// settle takes outcomes into the world, so that planning goes on from what is
// there now.
func settle(w *operation.World, outcomes []outcome) (failed error) {
	var errs []error
	for _, o := range outcomes {
		if o.err != nil {
			errs = append(errs, o.err)
			continue
		}
		if o.live == nil {
			delete(w.Live, o.task.Key)
			continue
		}
		w.Live[o.task.Key] = o.live
		if o.task.Desired != nil && !o.task.Hook {
			w.NormalizedDiffs[o.task.Key] = operation.Applied(*w, o.task.Item, o.live)
		}
	}
	return errors.Join(errs...)
}

// transient reports whether an error says nothing about the manifest: then the
// reconciliation is repeated instead of the operation failed.
func transient(err error) bool {
	if meta.IsNoMatchError(err) {
		return false
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	return apierrors.IsConflict(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err)
}

// results are what status says of outcomes; hooks that were taken away say nothing new.
func results(outcomes []outcome) []v1alpha1.ResourceResult {
	var out []v1alpha1.ResourceResult
	for _, o := range outcomes {
		t := o.task
		switch {
		case o.err != nil:
			out = append(out, t.Result(operation.ResultSyncFailed, v1alpha1.OperationFailed, o.err.Error()))
		case t.Action == operation.Delete || t.Action == operation.Release:
		case t.Action == operation.Prune:
			out = append(out, t.Result(operation.ResultPruned, v1alpha1.OperationSucceeded, "pruned"))
		default:
			out = append(out, t.Result(operation.ResultSynced, v1alpha1.OperationRunning, t.Describe()))
		}
	}
	return out
}
