package core

import (
	"strings"

	"github.com/argosy-mesh/argosy/schemas/events"
)

// fact says what happened. The id is derived from the object, its revision, the attempt and what happened, so that a
// repeated pass says the same thing and the bus keeps one. what tells facts of one kind and attempt apart.
func (p *pass) fact(what string, of func(events.Revision) events.Body) {
	revision := p.revision
	if revision == "" {
		revision = itoa(p.nextRevision())
	}
	at := events.Revision{Revision: revision, ReplicaSet: p.ro.Name + "-" + p.hash, Image: p.images()}
	if p.newRS != nil {
		at.ReplicaSet = p.newRS.Name
	}
	body := of(at)
	id := strings.Join([]string{string(p.ro.UID), revision, p.attempt(body.Fact()), body.Fact(), what}, "/")
	p.facts = append(p.facts, PublishFact{ID: id, Body: body})
}

// attempt tells a retry of a revision from the try before. It was persisted by an earlier pass, except for the fact of
// the beginning itself, which therefore does without.
func (p *pass) attempt(fact string) string {
	if p.st.Duration == nil || p.st.Duration.RolloutStartedAt == nil || strings.HasSuffix(fact, ".updated") {
		return ""
	}
	return itoa(p.st.Duration.RolloutStartedAt.Unix())
}

// images are those of the wanted template, comma separated.
func (p *pass) images() string {
	var names []string
	for _, c := range p.ro.Spec.Template.Spec.Containers {
		names = append(names, c.Image)
	}
	return strings.Join(names, ",")
}
