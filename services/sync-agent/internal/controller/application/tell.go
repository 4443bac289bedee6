package application

import (
	"context"

	"github.com/argosy-mesh/argosy/libs/facts"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
)

// tellEnd publishes how an operation ended. The id comes from application,
// revision and verb: heals of a revision that was told before add nothing.
func (p *pass) tellEnd(ctx context.Context, w operation.World, plan operation.Plan, l lineage.Lineage) error {
	sync := p.syncFact(w, string(plan.Phase), plan.Message)
	if plan.Phase != v1alpha1.OperationSucceeded {
		return p.tell(ctx, w.Target.String(), l, events.ApplicationFailed{Sync: sync})
	}
	return p.tell(ctx, w.Target.String(), l, events.ApplicationSynced{Sync: sync})
}

// tellHealthy publishes that a revision runs well, once it does.
func (p *pass) tellHealthy(ctx context.Context, w operation.World, plan operation.Plan, l lineage.Lineage) error {
	old := p.app.Status
	news := old.Health.Status != health.Healthy || old.Sync.Revision != w.Target.String() ||
		old.Sync.Status != "Synced"
	if !plan.Synced || plan.Health.Status != health.Healthy || !news {
		return nil
	}
	l.Causation = factID(p.app, w.Target.String(), events.FactApplicationSynced)
	return p.tell(ctx, w.Target.String(), l, events.ApplicationHealthy{Sync: p.syncFact(w, health.Healthy, "")})
}

func (p *pass) syncFact(w operation.World, phase, message string) events.Sync {
	return events.Sync{
		Revision:  w.Target.String(),
		Repo:      p.sources[0].RepoURL,
		Resources: len(w.Desired),
		Phase:     phase,
		Message:   message,
	}
}

func factID(app *v1alpha1.Application, revision, fact string) string {
	return bus.Key(string(app.UID), revision, fact)
}

// tell publishes a fact. What an agent does is told by its control cluster, whose bus it is.
func (p *pass) tell(ctx context.Context, revision string, l lineage.Lineage, body events.Body) error {
	if p.Agent != "" {
		return nil
	}
	return facts.Publish(ctx, p.Bus, events.ServiceSyncAgent, facts.Fact{
		ID: factID(p.app, revision, body.Fact()), About: facts.About("Application", p.app), Body: body, Lineage: l,
	})
}
