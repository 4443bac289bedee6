package metric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	skywalkingTime     = 30 * time.Second
	skywalkingInterval = 5 * time.Minute
	// skywalkingMinute is how its API writes a time to the minute.
	skywalkingMinute = "2006-01-02 1504"
)

var skywalkingKind = asking(
	"skywalking",
	func(m v1alpha1.MetricProvider) bool { return m.Skywalking != nil },
	func(t *tools) Query { return skywalking{t.http}.query },
)

// skywalking asks by GraphQL, with $duration for the last interval. Result: the data of the answer, a map.
type skywalking struct{ http *asker }

func (s skywalking) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Skywalking
	if spec.Address == "" {
		return Outcome{}, errors.New("no address is given, such as http://skywalking-oap.istio-system:12800")
	}
	back, err := timeout(spec.Interval, skywalkingInterval)
	if err != nil {
		return Outcome{}, fmt.Errorf("interval: %w", err)
	}
	ctx, cancel := within(ctx, 0, skywalkingTime)
	defer cancel()
	now := r.Now.UTC()
	body, err := json.Marshal(map[string]any{
		"query": spec.Query,
		"variables": map[string]any{"duration": map[string]string{
			"start": now.Add(-back).Format(skywalkingMinute), "end": now.Format(skywalkingMinute), "step": "MINUTE",
		}},
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("write the query: %w", err)
	}
	var a struct {
		Data   any `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	c := call{method: http.MethodPost, url: join(spec.Address, "/graphql"), body: body, kind: "application/json"}
	if err := s.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	if len(a.Errors) > 0 {
		return Outcome{}, fmt.Errorf("%s: %s", hostOf(c.url), excerpt([]byte(a.Errors[0].Message)))
	}
	text, err := written(a.Data)
	return Outcome{Result: a.Data, Text: text}, err
}
