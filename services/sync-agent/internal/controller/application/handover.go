package application

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	hub "github.com/argosy-mesh/argosy/services/sync-agent/internal/remote"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// unheardAgain is when the mailbox of an agent is looked at again that has not been read yet.
const unheardAgain = time.Second

// clusterOf is the cluster that an application goes to: that of this agent, when it is one that was handed over.
func (a *Reconciler) clusterOf(
	ctx context.Context, raw *unstructured.Unstructured, d v1alpha1.ApplicationDestination,
) (*cluster.Cluster, error) {
	if remote.Owned(raw, a.Agent) {
		return a.Clusters.Known(remote.Server(a.Agent), remote.ClusterName(raw)), nil
	}
	return a.Clusters.Of(ctx, d.Server, d.Name)
}

func (a *Reconciler) remoteKey(o client.Object) remote.Key {
	return remote.KeyOf(o.GetNamespace(), o.GetName(), a.Control)
}

// elsewhere withdraws an application from the agents that do not have it any more.
func (a *Reconciler) elsewhere(ctx context.Context, name types.NamespacedName, agent string) error {
	if a.Hub == nil {
		return nil
	}
	return a.Hub.Elsewhere(ctx, agent, remote.KeyOf(name.Namespace, name.Name, a.Control))
}

// handOver has the agent of the destination see to the application and takes back what it reports. One that its project
// refuses is handed over only where the agent has it already: it must learn what the project says now.
func (p *pass) handOver(ctx context.Context, refused bool) (time.Time, error) {
	agent, k := p.cluster.Agent, p.remoteKey(p.raw)
	state, err := p.Hub.Look(agent, k)
	if errors.Is(err, hub.ErrUnheard) {
		p.report.conditions = p.app.Status.Conditions
		return time.Now().Add(unheardAgain), nil
	}
	if err != nil {
		p.report.condition("ComparisonError", fmt.Sprintf("cluster %s: %v", p.cluster.Name, err))
		p.report.unknown()
		return time.Now().Add(clusterAgain), nil
	}
	if refused && state.Given == nil {
		return time.Time{}, nil
	}
	if r := state.Report; r != nil && r.UID != "" && r.UID != string(p.raw.GetUID()) {
		state.Report = nil // of another one of the same name
	}
	if err := p.nameOperation(ctx, refused); err != nil {
		return time.Time{}, err
	}
	assigned := remote.Assign(p.raw, p.cluster.Name).After(state.Given)
	if assigned.Operation != nil && state.Report != nil && state.Report.Taken == assigned.Operation.ID {
		p.report.taken, assigned.Operation = true, nil
	}
	if err := p.tellAgent(ctx, assigned); errors.Is(err, remote.ErrTooLarge) {
		p.report.condition("InvalidSpecError", err.Error())
		p.report.unknown()
		return time.Time{}, nil
	} else if err != nil {
		p.report.condition("ComparisonError", fmt.Sprintf("cluster %s: %v", p.cluster.Name, err))
		p.report.unknown()
		return time.Now().Add(clusterAgain), nil
	}
	if refused {
		return time.Time{}, nil
	}
	return time.Time{}, p.takeBack(ctx, state)
}

// tellAgent says what the agent shall do, and what the project permits there.
func (p *pass) tellAgent(ctx context.Context, a remote.Assignment) error {
	agent, key := p.cluster.Agent, remote.ProjectKey(or(p.app.Spec.Project, projects.Default))
	text, err := a.Encode()
	if err != nil {
		return err
	}
	if p.project == nil {
		err = p.Hub.Remove(ctx, agent, key)
	} else {
		var spec []byte
		if spec, err = remote.EncodeProject(
			remote.Narrow(p.project.Spec(), p.cluster.Server, p.cluster.Name),
		); err == nil {
			err = p.Hub.Put(ctx, agent, key, spec)
		}
	}
	if err != nil {
		return err
	}
	return p.Hub.Put(ctx, agent, p.remoteKey(p.raw).Down(), text)
}

// nameOperation gives the operation that somebody asked for an id, before anybody else hears of it: by that the agent
// does it once. It holds automation where the operation would be undone by it.
func (p *pass) nameOperation(ctx context.Context, refused bool) error {
	asked, _, _ := unstructured.NestedMap(p.raw.Object, "operation")
	if asked == nil || refused {
		return nil
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return fmt.Errorf("encode the operation of %s: %w", p.name(), err)
	}
	sum := sha256.Sum256(text)
	digest := "." + hex.EncodeToString(sum[:8])
	if strings.HasSuffix(p.app.Annotations[remote.OperationAnnotation], digest) {
		return nil
	}
	annotations := maps.Clone(p.raw.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[remote.OperationAnnotation] = string(uuid.NewUUID()) + digest
	w := operation.World{Target: p.wanted()}
	if p.app.Spec.SyncPolicy != nil {
		w.Policy = *p.app.Spec.SyncPolicy
	}
	if why := p.holds(&w); why != "" {
		annotations[hold] = why
	}
	next := p.raw.DeepCopy()
	next.SetAnnotations(annotations)
	if err := p.Client.Patch(
		ctx, next, client.MergeFromWithOptions(p.raw, client.MergeFromWithOptimisticLock{}),
	); err != nil {
		return fmt.Errorf("name the operation of %s: %w", p.name(), err)
	}
	p.known.written, p.raw, p.app.Annotations = next, next, next.GetAnnotations()
	return nil
}

// takeBack makes the status what the agent reports.
func (p *pass) takeBack(ctx context.Context, state hub.State) error {
	before, next := p.app.Status, p.app.Status
	problem := ""
	if r := state.Report; r != nil {
		problem = r.Problem
		if r.Problem == "" && r.Status.Sync.Status != "" {
			next = remote.Take(before, *r)
		}
	}
	next.ReconciledAt = before.ReconciledAt
	reported := next.Conditions
	switch {
	case state.Away != "":
		next, reported = remote.Unknown(next, state.Away), nil
		p.report.condition("ComparisonError", fmt.Sprintf("cluster %s: %s", p.cluster.Name, state.Away))
	case problem != "":
		next, reported = remote.Unknown(next, problem), nil
		p.report.condition("ComparisonError", fmt.Sprintf("cluster %s: %s", p.cluster.Name, problem))
	case state.Report == nil:
		next = remote.Unknown(next, "the agent has not reported yet")
		reported = nil
	}
	p.report.status, p.report.operation = next, next.OperationState
	p.report.conditions = append(p.report.conditions, reported...)
	if remote.Ended(before, next) {
		if err := p.remoteEnd(ctx, next); err != nil {
			return err
		}
	}
	if next.Sync.Status == "Synced" && next.Health.Status == health.Healthy &&
		(before.Health.Status != health.Healthy || before.Sync.Status != "Synced" ||
			before.Sync.Revision != next.Sync.Revision) {
		revision := operation.TargetOf(&v1alpha1.SyncOperationResult{
			Revision: next.Sync.Revision, Revisions: next.Sync.Revisions,
		}).String()
		return p.tell(ctx, revision, p.pushed(next.Sync.Revision), events.ApplicationHealthy{
			Sync: p.remoteFact(revision, next, health.Healthy, ""),
		})
	}
	return nil
}

// remoteEnd tells how an operation ended that an agent did.
func (p *pass) remoteEnd(ctx context.Context, next v1alpha1.ApplicationStatus) error {
	s := next.OperationState
	revision := operation.TargetOf(s.SyncResult).String()
	sync := p.remoteFact(revision, next, string(s.Phase), s.Message)
	var body events.Body = events.ApplicationSynced{Sync: sync}
	if s.Phase != v1alpha1.OperationSucceeded {
		body = events.ApplicationFailed{Sync: sync}
	}
	chain := lineage.Lineage{}
	if s.SyncResult != nil {
		chain = p.pushed(s.SyncResult.Revision)
	}
	if err := p.tell(ctx, revision, chain, body); err != nil {
		return err
	}
	p.metrics.ended(p.app, s, s.Phase)
	p.auditEnd(s, operation.Plan{Phase: s.Phase})
	return nil
}

func (p *pass) remoteFact(revision string, s v1alpha1.ApplicationStatus, phase, message string) events.Sync {
	return events.Sync{
		Revision: revision, Repo: p.sources[0].RepoURL, Resources: len(s.Resources), Phase: phase, Message: message,
	}
}

// pushed is the chain of a commit that a push told of.
func (p *pass) pushed(revision string) lineage.Lineage {
	a := p.app.Annotations
	if a[push.AnnotationRefresh] == "" || a[push.AnnotationRevision] != revision {
		return lineage.Lineage{}
	}
	return lineage.Lineage{
		Trace: a[push.AnnotationTrace], Correlation: a[push.AnnotationCorrelation],
		Causation: a[push.AnnotationRefresh],
	}
}

// pause has an agent do nothing about an application that it has.
func (a *Reconciler) pause(
	ctx context.Context, raw *unstructured.Unstructured, d v1alpha1.ApplicationDestination,
) error {
	if a.Hub == nil || (d.Server == "") == (d.Name == "") {
		return nil
	}
	to, err := a.Clusters.Of(ctx, d.Server, d.Name)
	if err != nil || to.Agent == "" {
		return nil //nolint:nilerr // a cluster that is not there pauses by itself
	}
	state, err := a.Hub.Look(to.Agent, a.remoteKey(raw))
	if err != nil || state.Given == nil {
		return err
	}
	assigned := remote.Assign(raw, to.Name).After(state.Given).Paused()
	assigned.Operation = nil
	text, err := assigned.Encode()
	if err != nil {
		return err
	}
	return a.Hub.Put(ctx, to.Agent, a.remoteKey(raw).Down(), text)
}

// cascadeRemote has an agent delete the objects of an application, and lets that go when nothing is left there.
func (a *Reconciler) cascadeRemote(
	ctx context.Context, raw *unstructured.Unstructured, app *v1alpha1.Application, to *cluster.Cluster,
) (reconcile.Result, error) {
	k := a.remoteKey(raw)
	state, err := a.Hub.Look(to.Agent, k)
	if errors.Is(err, hub.ErrUnheard) {
		return reconcile.Result{RequeueAfter: unheardAgain}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("delete objects of %s: %w", client.ObjectKeyFromObject(raw), err)
	}
	if remote.IsGone(state.Report, string(raw.GetUID())) {
		if err := a.Hub.Drop(ctx, to.Agent, k); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, a.finalize(ctx, raw, slices.DeleteFunc(slices.Clone(raw.GetFinalizers()), ours))
	}
	assigned := remote.Assign(raw, to.Name)
	assigned.Delete, assigned.Operation, assigned.Refresh = remote.Finalizer(raw), nil, nil
	text, err := assigned.Encode()
	if err != nil {
		return reconcile.Result{}, err
	}
	p := &pass{Reconciler: a, raw: raw, app: app, known: &known{}, report: newReport(app)}
	why := state.Away
	if err := a.Hub.Put(ctx, to.Agent, k.Down(), text); err != nil {
		why = err.Error()
	}
	if why != "" {
		p.report.condition("DeletionError", fmt.Sprintf(
			"cluster %s: %s; its objects go when it is back. Without the Secret of the cluster the application goes alone",
			to.Name, why,
		))
		p.report.unknown()
		if err := p.conclude(ctx); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{RequeueAfter: clusterAgain}, nil
}
