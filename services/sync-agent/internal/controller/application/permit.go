package application

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/cluster"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// connect finds the cluster that the application goes to. What a person has to mend, and a cluster that does not
// answer, become conditions; p.cluster stays nil then.
func (p *pass) connect(ctx context.Context) (again time.Time) {
	d := p.app.Spec.Destination
	found, err := p.clusterOf(ctx, p.raw, d)
	switch {
	case errors.Is(err, cluster.ErrUnknown) || errors.Is(err, cluster.ErrSecret):
		p.report.condition("InvalidSpecError", "spec.destination: "+err.Error())
		p.report.unknown()
		return time.Now().Add(clusterAgain)
	case err != nil:
		p.report.condition("ComparisonError", err.Error())
		p.report.unknown()
		return time.Now().Add(clusterAgain)
	case found.Paused:
		if err := p.pause(ctx, p.raw, d); err != nil {
			p.Log.WarnContext(ctx, "an agent hears later of a pause", "application", p.name(), "error", err)
		}
		return time.Now().Add(clusterAgain)
	case found.Project != "" && found.Project != or(p.app.Spec.Project, projects.Default):
		p.report.condition("InvalidSpecError", fmt.Sprintf(
			"spec.destination: cluster %s is project %s's alone", or(found.Name, found.Server), found.Project,
		))
		p.report.unknown()
		return time.Time{}
	}
	p.cluster = found
	return time.Time{}
}

// clusterAgain is when a cluster that is not there is looked for again.
const clusterAgain = 15 * time.Second

// permit finds the project of the application and asks it about the sources and the destination. What is wrong is what
// a person has to mend; err is not.
func (p *pass) permit(ctx context.Context) (wrong, err error) {
	found, problems, err := p.Projects.Get(ctx, p.app.Spec.Project)
	if errors.Is(err, projects.ErrUnknown) {
		return fmt.Errorf("spec.project: %w", err), nil
	}
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		p.report.condition("ProjectWarning", fmt.Sprintf("project %s: %v", found.Name, problem))
	}
	p.project = found
	reasons := []string{
		found.Namespace(
			p.app.Namespace,
			p.Control,
		),
		found.Destination(p.destination()),
		found.Cluster(p.cluster.Project),
	}
	for _, s := range p.sources {
		reasons = append(reasons, found.Source(s.RepoURL))
	}
	if h := p.app.Spec.SourceHydrator; h != nil && len(p.app.Spec.Sources) == 0 {
		reasons = append(reasons, found.Source(h.DrySource.RepoURL))
	}
	var wrongs []error
	for _, reason := range reasons {
		if reason != "" {
			wrongs = append(wrongs, errors.New(reason))
		}
	}
	if _, _, ok := found.Account(p.destination()); !ok && found.Accounts() {
		wrongs = append(wrongs, fmt.Errorf(
			"no entry of spec.destinationServiceAccounts of project %s matches destination %s",
			found.Name,
			p.destination(),
		))
	}
	return errors.Join(wrongs...), nil
}

// destination is where the application goes, with both names of its cluster.
func (p *pass) destination() project.Destination {
	return project.Destination{
		Server: p.cluster.Server, Name: p.cluster.Name, Namespace: p.app.Spec.Destination.Namespace,
	}
}

// writer acts as the account that the project names for the destination, else as the installation's own for deploying,
// which is known in its own cluster alone.
func (a *Reconciler) writer(
	c *cluster.Cluster,
	found *project.Project,
	d project.Destination,
) (client.Client, error) {
	if found != nil {
		if namespace, name, ok := found.Account(d); ok {
			return c.Writers.As(namespace, name)
		}
	}
	if !c.Own {
		return c.Writers.As("", "")
	}
	namespace, name, _ := strings.Cut(a.Account, ":")
	return c.Writers.As(namespace, name)
}

// denied says why the project forbids an object: for its kind, or for the namespace that it names.
func (p *pass) denied(o *track.Object) string {
	key := track.KeyOf(o)
	kind, namespaced := schema.GroupKind{Group: key.Group, Kind: key.Kind}, key.Namespace != ""
	if reason := p.project.Kind(kind, key.Name, namespaced); reason != "" {
		return reason
	}
	d := p.destination()
	if !namespaced || key.Namespace == d.Namespace {
		return ""
	}
	d.Namespace = key.Namespace
	return p.project.Destination(d)
}

// windows adds to what holds operations what the sync windows of the project say.
func (p *pass) windows(w *operation.World) {
	var began time.Time
	requested := false
	if s := w.State; s != nil && s.Phase == v1alpha1.OperationRunning && s.StartedAt != nil {
		began, requested = s.StartedAt.Time, !s.Operation.InitiatedBy.Automated
	}
	v := p.project.Windows(project.Subject{Application: p.app.Name, Destination: p.destination()}, w.Now, began)
	if v.Automated != "" && w.Held.Automated == "" {
		w.Held.Automated = v.Automated
	}
	w.Held.Requested = v.Requested
	if !requested || v.Requested != "" {
		w.Held.Running = v.Running
	}
	p.wake = v.Changes
}

// ofProject enqueues the Applications of a project that changed.
func (a *Reconciler) ofProject() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		if o.GetNamespace() != a.Control {
			return nil
		}
		list := object.NewList("Application")
		if err := a.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			a.Log.WarnContext(
				ctx,
				"applications of a project that changed are looked at later",
				"project",
				o.GetName(),
				"error",
				err,
			)
			return nil
		}
		var out []reconcile.Request
		for i := range list.Items {
			name, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", "project")
			if or(name, projects.Default) == o.GetName() {
				out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return out
	})
}
