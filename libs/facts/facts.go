// Package facts tells the mesh what a service did or saw: one rule for ids, subjects, times and lineage.
//
// Promise: a fact that is told twice with the same id is stored once. [Publish] returns when the bus has it; an
// [Outbox] makes nobody wait for a bus that is away. Non-goal: surviving a crash while the bus is away. What a crash
// loses is still in the status of the objects.
package facts

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fact is what is to be told.
type Fact struct {
	// ID is made of causes alone (see [bus.Key]): the same look at the same world tells the same fact.
	ID string
	// About is the object it is about; see [About].
	About events.Object
	// Body is what it says.
	Body events.Body
	// Lineage is what caused it. Without a correlation the fact begins a chain of its own.
	Lineage lineage.Lineage
}

// About names an object of a kind of argoproj.io/v1alpha1.
func About(kind string, o metav1.Object) events.Object {
	return events.Object{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(),
		UID: string(o.GetUID()),
	}
}

// Event makes the event of a fact that a service tells at a time.
func (f Fact) Event(service string, at time.Time) (bus.Outgoing, error) {
	kind := f.Body.Fact()
	e, err := bus.NewEvent(f.ID, service, events.FactType(kind), events.NewFact(f.About, f.Body))
	if err != nil {
		return bus.Outgoing{}, fmt.Errorf(
			"tell %s of %s %s/%s: %w", kind, f.About.Kind, f.About.Namespace, f.About.Name, err,
		)
	}
	e.SetTime(at)
	e.SetSubject(f.About.Namespace + "/" + f.About.Name)
	l := f.Lineage
	if l.Correlation == "" {
		l.Correlation = f.ID
	}
	return bus.Outgoing{
		Subject: events.FactSubject(service, kind, f.About.Namespace, f.About.Name),
		Event:   bus.WithLineage(e, l),
	}, nil
}

// Publisher is the part of the bus that telling needs.
type Publisher interface {
	Publish(ctx context.Context, subject string, e bus.Event) error
}

// Publish tells a fact, and returns when the bus has it.
func Publish(ctx context.Context, b Publisher, service string, f Fact) error {
	out, err := f.Event(service, time.Now())
	if err != nil {
		return err
	}
	if err := b.Publish(ctx, out.Subject, out.Event); err != nil {
		return fmt.Errorf("tell %s of %s %s/%s: %w", f.Body.Fact(), f.About.Kind, f.About.Namespace, f.About.Name, err)
	}
	return nil
}
