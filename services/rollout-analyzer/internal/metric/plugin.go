package metric

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

var pluginKind = kind{
	name: "plugin",
	is:   func(m v1alpha1.MetricProvider) bool { return len(m.Plugin) > 0 },
	open: func(t *tools) Provider {
		p := plugins{}
		for key, open := range builtin {
			p[key] = open(t)
		}
		return p
	},
}

// builtin are the plugins there are, by the key that manifests name. Programs of others are not run: they would have
// the rights of the analyzer.
var builtin = map[string]func(*tools) Provider{SequentialKey: newSequential}

// Plugins are the keys of the plugins there are, sorted.
func Plugins() []string { return slices.Sorted(maps.Keys(builtin)) }

// plugins finds the one that a metric names.
type plugins map[string]Provider

func (p plugins) find(r Request) (Provider, error) {
	names := slices.Sorted(maps.Keys(r.Metric.Provider.Plugin))
	if len(names) != 1 {
		return nil, fmt.Errorf("exactly one plugin must be named, not %d", len(names))
	}
	found, is := p[names[0]]
	if !is {
		return nil, fmt.Errorf("%q: %w; there are: %s", names[0], ErrUnknown, strings.Join(Plugins(), ", "))
	}
	return found, nil
}

// Run implements [Provider].
func (p plugins) Run(ctx context.Context, r Request) (Outcome, error) {
	of, err := p.find(r)
	if err != nil {
		return Outcome{}, err
	}
	return of.Run(ctx, r)
}

// Resume implements [Provider].
func (p plugins) Resume(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	of, err := p.find(r)
	if err != nil {
		return Outcome{}, err
	}
	return of.Resume(ctx, r, m)
}

// Terminate implements [Provider].
func (p plugins) Terminate(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	of, err := p.find(r)
	if err != nil {
		return Outcome{}, err
	}
	return of.Terminate(ctx, r, m)
}

// Collect implements [Provider].
func (p plugins) Collect(ctx context.Context, r Request, keep int) error {
	of, err := p.find(r)
	if err != nil {
		return err
	}
	return of.Collect(ctx, r, keep)
}
