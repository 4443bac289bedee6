package core

import (
	"strings"
)

// fact says what happened. The id is derived from the object, its revision, the attempt and what happened, so that a
// repeated pass says the same thing and the bus keeps one. what tells facts of one kind and attempt apart.
func (p *pass) fact(fact, what string, attributes map[string]string) {
	revision := p.revision
	if revision == "" {
		revision = itoa(p.nextRevision())
	}
	all := map[string]string{"revision": revision, "replicaset": p.ro.Name + "-" + p.hash, "image": p.images()}
	if p.newRS != nil {
		all["replicaset"] = p.newRS.Name
	}
	for k, v := range attributes {
		if v != "" {
			all[k] = v
		}
	}
	id := strings.Join([]string{string(p.ro.UID), revision, p.attempt(fact), fact, what}, "/")
	p.facts = append(p.facts, PublishFact{ID: id, Fact: fact, Attributes: all})
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
