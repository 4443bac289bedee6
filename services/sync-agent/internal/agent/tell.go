package agent

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
)

// tellEnd publishes how an operation ended. The id comes from application,
// revision and verb: heals of a revision that was told before add nothing.
func (p *pass) tellEnd(ctx context.Context, w operation.World, plan operation.Plan, l lineage.Lineage) error {
	fact := events.FactApplicationSynced
	if plan.Phase != v1alpha1.OperationSucceeded {
		fact = events.FactApplicationFailed
	}
	return p.tell(ctx, fact, w.Revision, l, events.Fact{Phase: string(plan.Phase), Message: plan.Message, Attributes: p.attributes(w)})
}

// tellHealthy publishes that a revision runs well, once it does.
func (p *pass) tellHealthy(ctx context.Context, w operation.World, plan operation.Plan, l lineage.Lineage) error {
	old := p.app.Status
	news := old.Health.Status != health.Healthy || old.Sync.Revision != w.Revision || old.Sync.Status != "Synced"
	if !plan.Synced || plan.Health.Status != health.Healthy || !news {
		return nil
	}
	l.Causation = factID(p.app, w.Revision, events.FactApplicationSynced)
	return p.tell(ctx, events.FactApplicationHealthy, w.Revision, l, events.Fact{Phase: health.Healthy, Attributes: p.attributes(w)})
}

func (p *pass) attributes(w operation.World) map[string]string {
	return map[string]string{"revision": w.Revision, "repo": p.source.RepoURL, "resources": strconv.Itoa(len(w.Desired))}
}

func factID(app *v1alpha1.Application, revision, fact string) string {
	return bus.Key(string(app.UID), revision, fact)
}

func (p *pass) tell(ctx context.Context, fact, revision string, l lineage.Lineage, data events.Fact) error {
	return publish(ctx, p.bus, p.app, fact, outgoing{id: factID(p.app, revision, fact), lineage: l, data: data})
}

type outgoing struct {
	id      string
	lineage lineage.Lineage
	data    events.Fact
}

func publish(ctx context.Context, b *bus.Bus, app *v1alpha1.Application, fact string, o outgoing) error {
	o.data.Object = events.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Application", Namespace: app.Namespace, Name: app.Name, UID: string(app.UID)}
	e, err := bus.NewEvent(o.id, events.ServiceSyncAgent, events.FactType(fact), o.data)
	if err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	e.SetTime(time.Now())
	e.SetSubject(app.Namespace + "/" + app.Name)
	if err := b.Publish(ctx, events.FactSubject(events.ServiceSyncAgent, fact, app.Namespace, app.Name), bus.WithLineage(e, o.lineage)); err != nil {
		return fmt.Errorf("tell %s: %w", fact, err)
	}
	return nil
}
