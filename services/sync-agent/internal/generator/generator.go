// Package generator finds out what the generators of ApplicationSets ask: clusters, files of repositories, repositories
// and pull requests of forges, what plugins and other resources say.
//
// A kind is one file and its place in the list here. Whatever answers is not trusted: it is bounded in size and time.
package generator

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience bounds the answer to one question: a large organisation takes minutes.
const patience = 3 * time.Minute

// Shell is what answers are found with.
type Shell struct {
	Cached   client.Reader // of the Secrets of clusters
	Reader   client.Reader // not cached
	Mapper   meta.RESTMapper
	Sources  *source.Sources
	Projects *projects.Projects
	Control  string // namespace of the Secrets of clusters
	// AllowedSCM are patterns of the URLs of forges that may be asked. In the control namespace none is all; elsewhere
	// one that is named must be listed.
	AllowedSCM []string
}

// Asker is the ApplicationSet that asks.
type Asker struct {
	Namespace, Name string
	// Project is that of its template, which may hold tags.
	Project string
	// Since is how fresh the answer must be.
	Since time.Time
}

// Generators answers. Safe for concurrent use.
type Generators struct{ Shell }

// New returns generators.
func New(s Shell) *Generators { return &Generators{Shell: s} }

// kind answers the questions of one kind of generator.
type kind struct {
	field  string
	answer func(*Generators, context.Context, Asker, map[string]any) (any, error)
}

var kinds = []kind{clustersKind, gitKind, duckTypeKind, pluginKind, scmKind, pullRequestKind}

// Answer finds an answer; an error is part of it.
func (g *Generators) Answer(ctx context.Context, by Asker, q appset.Query) appset.Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it took more than %s", patience))
	defer cancel()
	for _, k := range kinds {
		if k.field != q.Kind {
			continue
		}
		v, err := k.answer(g, ctx, by, q.Spec)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
		return appset.Answer{Value: v, Err: err}
	}
	return appset.Answer{Err: fmt.Errorf("nobody answers for %s", q.Kind)}
}

// answering describes a kind whose generator is of type T and whose answer is of type A.
func answering[T, A any](
	field string, answer func(*Generators, context.Context, Asker, *T) (A, error),
) kind {
	return kind{field: field, answer: func(
		g *Generators, ctx context.Context, by Asker, spec map[string]any,
	) (any, error) {
		raw, err := json.Marshal(spec)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		typed := new(T)
		if err := json.Unmarshal(raw, typed); err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		return answer(g, ctx, by, typed)
	}}
}
