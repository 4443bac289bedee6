// Package notify tells people and programs outside what became of objects, as argocd-notifications-cm says: triggers
// are conditions on an object, templates are messages, services are where they go.
//
// Promise: [Config.Decide] does nothing but decide, [Sender] sends with a share of its own for each service, so that a
// slow one holds none of the others. What was sent is recorded in the object after it was sent: a crash in between
// sends it again, under the same id, rather than never. Services that know ids (PagerDuty, GitHub, NATS, webhooks that
// look at Idempotency-Key) take the second for the first.
//
// Source: notifications-engine, docs of triggers, templates, subscriptions and services.
package notify
