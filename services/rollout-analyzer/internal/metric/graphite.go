package metric

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// graphiteTime is how long a query may take.
const graphiteTime = 10 * time.Second

var graphiteKind = asking(
	"graphite",
	func(m v1alpha1.MetricProvider) bool { return m.Graphite != nil },
	func(t *tools) Query { return graphite{t.http}.query },
)

// graphite asks the render API. Result: a list of the values of all targets that are not null, in order.
type graphite struct{ http *asker }

func (g graphite) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Graphite
	if spec.Address == "" {
		return Outcome{}, errors.New("no address is given, such as http://graphite.example.com:9090")
	}
	ctx, cancel := within(ctx, 0, graphiteTime)
	defer cancel()
	var series []struct {
		Target string        `json:"target"`
		Points [][2]*float64 `json:"datapoints"`
	}
	c := call{method: http.MethodGet, url: join(spec.Address, "/render"), query: graphiteQuery(spec.Query)}
	if err := g.http.fetch(ctx, r.Hidden, c, &series); err != nil {
		return Outcome{}, err
	}
	var values []float64
	for _, s := range series {
		for _, point := range s.Points {
			if point[0] != nil {
				values = append(values, *point[0])
			}
		}
		if len(values) > maxValues {
			return Outcome{}, fmt.Errorf("the query gives more than %d values: summarize them", maxValues)
		}
	}
	if len(values) == 0 {
		return Outcome{}, fmt.Errorf("%s: no values", hostOf(c.url))
	}
	return Outcome{Result: values, Text: numbers(values)}, nil
}

// graphiteQuery reads what a template writes: a target alone, or parameters such as target=...&from=-5min, over
// several lines.
func graphiteQuery(text string) url.Values {
	compact := strings.Join(strings.Fields(text), "")
	out := url.Values{}
	if !strings.Contains(compact, "target=") {
		out.Set("target", compact)
	}
	for part := range strings.SplitSeq(compact, "&") {
		if name, value, is := strings.Cut(part, "="); is && (name == "target" || name == "from" || name == "until") {
			if plain, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
				value = plain
			}
			out.Add(name, value)
		}
	}
	out.Set("format", "json")
	return out
}
