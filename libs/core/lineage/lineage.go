// Package lineage is the causal record that every event, object, commit and
// image of a chain carries, in each of the four spellings of docs/contracts.md.
package lineage

import (
	"fmt"
	"strings"
)

// Lineage says what caused a thing.
type Lineage struct {
	Trace       string // W3C traceparent of the originating trace
	Correlation string // id of the first event of the chain
	Causation   string // id of the event right before
}

// Annotation keys of Kubernetes objects.
const (
	TraceAnnotation       = "argosy.dev/traceparent"
	CorrelationAnnotation = "argosy.dev/correlationid"
	CausationAnnotation   = "argosy.dev/causationid"
	KeyAnnotation         = "argosy.dev/key"
)

// Annotation keys of OCI manifests.
const (
	ociTrace       = "dev.argosy.traceparent"
	ociCorrelation = "dev.argosy.correlationid"
	ociCausation   = "dev.argosy.causationid"
)

// Git trailer keys.
const (
	trailerTrace       = "Argosy-Traceparent"
	trailerCorrelation = "Argosy-Correlation-Id"
	trailerCausation   = "Argosy-Causation-Id"
)

// Empty reports whether nothing is known.
func (l Lineage) Empty() bool { return l == Lineage{} }

// Annotate writes l into annotations and returns the map, made when nil.
// Unknown parts are left alone.
func (l Lineage) Annotate(annotations map[string]string) map[string]string {
	if annotations == nil {
		annotations = map[string]string{}
	}
	set(annotations, TraceAnnotation, l.Trace)
	set(annotations, CorrelationAnnotation, l.Correlation)
	set(annotations, CausationAnnotation, l.Causation)
	return annotations
}

// FromAnnotations reads a Kubernetes object's annotations.
func FromAnnotations(a map[string]string) Lineage {
	return Lineage{Trace: a[TraceAnnotation], Correlation: a[CorrelationAnnotation], Causation: a[CausationAnnotation]}
}

// FromOCI reads the annotations of an image manifest.
func FromOCI(a map[string]string) Lineage {
	return Lineage{Trace: a[ociTrace], Correlation: a[ociCorrelation], Causation: a[ociCausation]}
}

// Env returns l as environment variables of a process, NAME=value.
func (l Lineage) Env() map[string]string {
	env := map[string]string{}
	set(env, "ARGOSY_TRACEPARENT", l.Trace)
	set(env, "ARGOSY_CORRELATIONID", l.Correlation)
	set(env, "ARGOSY_CAUSATIONID", l.Causation)
	return env
}

// Trailers returns l as the last paragraph of a commit message, "" when empty.
func (l Lineage) Trailers() string {
	var b strings.Builder
	for _, t := range [][2]string{
		{trailerTrace, l.Trace}, {trailerCorrelation, l.Correlation}, {trailerCausation, l.Causation},
	} {
		if t[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", t[0], t[1])
		}
	}
	return b.String()
}

// FromMessage reads the trailers of a commit message. Anyone who may push can
// write them: they steer the record, never a permission.
func FromMessage(message string) Lineage {
	var l Lineage
	for line := range strings.Lines(message) {
		key, value, found := strings.Cut(strings.TrimSpace(line), ": ")
		if !found || len(value) > 256 {
			continue
		}
		switch key {
		case trailerTrace:
			l.Trace = value
		case trailerCorrelation:
			l.Correlation = value
		case trailerCausation:
			l.Causation = value
		}
	}
	return l
}

func set(m map[string]string, key, value string) {
	if value != "" {
		m[key] = value
	}
}
