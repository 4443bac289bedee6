package appset

import (
	"encoding/json"
	"fmt"
	"time"
)

// Safety nets behind events: how old an answer gets when a generator does not say.
const (
	cheapNet = 3 * time.Minute  // Git, resources of the cluster. Source: Argo CD
	dearNet  = 30 * time.Minute // forges and plugins, which count requests. Source: Argo CD
)

// kind is all there is to know of one kind of generator that finds something.
type kind struct {
	field string // in ApplicationSetGenerator
	// every is how old an answer may get, where requeueAfterSeconds says nothing; 0 is as long as no event comes.
	every time.Duration
	// asks reports whether something of the world is needed.
	asks bool
	// sets makes parameters of the answer to what a generator asks.
	sets func(spec map[string]any, answer any, e *engine) ([]Params, error)
	// gather joins the sets once they have the values of the generator; may be nil.
	gather func(spec map[string]any, sets []Params, e *engine) ([]Params, error)
}

// kinds are those of generators, but for the two that join others.
func kinds() []kind {
	return []kind{
		listKind(), clustersKind(), gitKind(), scmKind(), duckTypeKind(), pullRequestKind(), pluginKind(),
	}
}

// Kinds are the fields of the generators that ask something.
func Kinds() []string {
	var out []string
	for _, k := range kinds() {
		if k.asks {
			out = append(out, k.field)
		}
	}
	return out
}

// asking describes a kind that needs an answer of type A for a generator of type T.
func asking[T, A any](field string, every time.Duration, sets func(*T, A, *engine) ([]Params, error)) kind {
	return kind{field: field, every: every, asks: true, sets: func(
		spec map[string]any, answer any, e *engine,
	) ([]Params, error) {
		g, err := decode[T](spec)
		if err != nil {
			return nil, err
		}
		a, ok := answer.(A)
		if !ok {
			return nil, fmt.Errorf("the answer is of type %T", answer)
		}
		return sets(g, a, e)
	}}
}

// decode reads the tree of a generator.
func decode[T any](spec map[string]any) (*T, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	out := new(T)
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return out, nil
}
