package conformance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// Config says what to judge by what.
type Config struct {
	Kind       string
	Dir        string    // the data
	Only       string    // judge only cases whose name begins with one of these, by commas; empty means all
	Bin        string    // folder of our programs
	Kubeconfig string    // of the running product, for what needs a node
	Progress   io.Writer // where long work says how far it is
}

// suites are what can be judged, by kind.
func suites() map[string]func(context.Context, Config) (*Report, error) {
	return map[string]func(context.Context, Config) (*Report, error){
		"events":    Events,
		"workflows": Workflows,
		"seed":      Seed,
		"health":    Health,
		"lint":      Lint,
		"rollouts":  Rollouts,
		"schema":    func(_ context.Context, c Config) (*Report, error) { return Schema(c.Dir, c.Only) },
	}
}

// Kinds lists what can be judged.
func Kinds() []string { return slices.Sorted(maps.Keys(suites())) }

// Run judges everything of one kind. An error means that nothing could be judged.
func Run(ctx context.Context, c Config) (*Report, error) {
	suite, ok := suites()[c.Kind]
	if !ok {
		return nil, fmt.Errorf("--kind %q is none of %v", c.Kind, Kinds())
	}
	if _, err := os.Stat(c.Dir); err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	return suite(ctx, c)
}

// chosen reports whether a name begins with one of several beginnings, which commas part. None chooses all.
func chosen(name, only string) bool {
	for beginning := range strings.SplitSeq(only, ",") {
		beginning = strings.TrimSpace(beginning)
		if strings.HasPrefix(name, beginning) && (beginning != "" || only == "") {
			return true
		}
	}
	return false
}
