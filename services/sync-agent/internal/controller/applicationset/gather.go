package applicationset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/generator"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refreshAnnotation, with any value, has everything asked anew; it is taken away then. Source: Argo CD.
const refreshAnnotation = "argocd.argoproj.io/application-set-refresh"

// rounds bounds how often a set may ask: once for each level of its generators is enough.
const rounds = 8

// templateTime bounds what the templates of one set may take.
const templateTime = 30 * time.Second

// generate asks until nothing is asked any more.
func (p *pass) generate(ctx context.Context) (appset.Output, error) {
	id, asked := p.raw.GetAnnotations()[push.AnnotationRefresh], p.raw.GetAnnotations()[refreshAnnotation] != ""
	since := time.Time{}
	if asked || id != p.known.refresh {
		since = p.began
		p.known.forget()
	}
	ask := func(q appset.Query) appset.Answer { return p.Generators.Answer(ctx, p.asker(q, since), q) }
	p.known.fresh(p.began, ask)
	if o := p.known.output; o != nil && p.known.generation == p.raw.GetGeneration() {
		return *o, nil
	}
	end := time.Now().Add(templateTime)
	for range rounds {
		out, err := appset.Generate(appset.Input{
			Set: p.raw.Object, Answers: p.known.plain(),
			Alarm: func() bool { return time.Now().After(end) || ctx.Err() != nil },
		})
		if err != nil || len(out.Ask) == 0 {
			p.known.refresh = id
			p.known.output, p.known.generation = nil, p.raw.GetGeneration()
			if err == nil {
				p.known.output = &out
			}
			return out, err
		}
		for _, q := range out.Ask {
			at := time.Now()
			a := ask(q)
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			p.known.answers[q.Key] = answered{Answer: a, query: q, at: at}
		}
	}
	return appset.Output{}, &appset.GenerateError{
		Reason: appset.ReasonParams, Err: fmt.Errorf("the generators ask for more after %d rounds", rounds),
	}
}

// asker is the set as its generators are asked for it. An answer of Git may be as old as the question permits, unless
// somebody says that there is a newer one.
func (p *pass) asker(q appset.Query, since time.Time) generator.Asker {
	if since.IsZero() {
		since = time.Now().Add(-q.Every)
	}
	return generator.Asker{
		Namespace: p.raw.GetNamespace(), Name: p.raw.GetName(), Project: p.set.Spec.Template.Spec.Project, Since: since,
	}
}

// existing are the Applications that belong to the set, and those that have a wanted name.
func (p *pass) existing(ctx context.Context, wanted []appset.Application) ([]*track.Object, error) {
	names := map[string]bool{}
	for _, a := range wanted {
		names[a.Object.GetName()] = true
	}
	all := object.NewList("Application")
	if err := p.Client.List(
		ctx, all, client.InNamespace(p.raw.GetNamespace()), client.UnsafeDisableDeepCopy,
	); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	var out []*track.Object
	for i := range all.Items {
		if o := &all.Items[i]; appset.Owns(p.set, o) || names[o.GetName()] {
			out = append(out, o.DeepCopy())
		}
	}
	return out, nil
}

// failed is the error of a generation; nil when it is of another kind, which a later try may heal.
func failed(err error) *appset.GenerateError {
	if g, is := errors.AsType[*appset.GenerateError](err); is {
		return g
	}
	return nil
}
