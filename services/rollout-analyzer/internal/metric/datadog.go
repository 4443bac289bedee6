package metric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	datadogAddress  = "https://api.datadoghq.com"
	datadogSecret   = "datadog"
	datadogTime     = 10 * time.Second
	datadogInterval = 5 * time.Minute
	// datadogGroups is how many groups of a query by tag are looked at, as upstream: they are kept in the run.
	datadogGroups = 100
)

var datadogKind = asking(
	"datadog",
	func(m v1alpha1.MetricProvider) bool { return m.Datadog != nil },
	func(t *tools) Query { return datadog{t}.query },
)

// datadog asks Datadog. Result: the last point of the first series (v1), the value of the formula (v2), or a list of
// numbers for a query by tag, whose groups are in the metadata; nil when there is no data.
type datadog struct{ *tools }

func missing(err error) bool {
	_, is := secret.IsMissing(err)
	return is
}

func (d datadog) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Datadog
	back, err := timeout(spec.Interval, datadogInterval)
	if err != nil {
		return Outcome{}, fmt.Errorf("interval: %w", err)
	}
	limit, err := timeout(spec.RequestTimeout, datadogTime)
	if err != nil {
		return Outcome{}, fmt.Errorf("requestTimeout: %w", err)
	}
	if err := d.check(spec); err != nil {
		return Outcome{}, err
	}
	ctx, cancel := within(ctx, 0, min(limit, maxTime))
	defer cancel()
	c, err := d.access(ctx, r, spec)
	if err != nil {
		return Outcome{}, err
	}
	if spec.ApiVersion == "v2" {
		return d.scalar(ctx, r, c, back)
	}
	return d.series(ctx, r, c, back)
}

func (datadog) check(spec *v1alpha1.DatadogMetric) error {
	v2 := spec.ApiVersion == "v2"
	switch {
	case spec.ApiVersion != "" && spec.ApiVersion != "v1" && !v2:
		return fmt.Errorf("apiVersion %q is neither v1 nor v2", spec.ApiVersion)
	case !v2 && (len(spec.Queries) > 0 || spec.Formula != "" || spec.Aggregator != ""):
		return errors.New("queries, formula and aggregator need apiVersion v2")
	case spec.Query == "" && len(spec.Queries) == 0:
		return errors.New("query or queries must be given")
	case spec.Query != "" && len(spec.Queries) > 0:
		return errors.New("query and queries are both given; give one")
	case spec.Query != "" && spec.Formula != "":
		return errors.New("formula needs queries")
	case len(spec.Queries) > 1 && spec.Formula == "":
		return errors.New("several queries need a formula")
	}
	return nil
}

// access begins a request with the address and the keys of the Secret.
func (d datadog) access(ctx context.Context, r Request, spec *v1alpha1.DatadogMetric) (call, error) {
	p := d.profile(r, spec.SecretRef.Name, datadogSecret)
	if spec.SecretRef.Namespaced {
		p.namespace = r.Run.Namespace
	}
	address, err := p.maybe(ctx, "address", datadogAddress)
	if err != nil {
		return call{}, err
	}
	api, err := p.need(ctx, "api-key")
	if err != nil {
		return call{}, err
	}
	app, err := p.need(ctx, "app-key")
	if err != nil {
		return call{}, err
	}
	return call{
		url: address, kind: "application/json",
		header: http.Header{"Dd-Api-Key": {api}, "Dd-Application-Key": {app}},
	}, nil
}

// series asks version 1.
func (d datadog) series(ctx context.Context, r Request, c call, back time.Duration) (Outcome, error) {
	c.method, c.url = http.MethodGet, join(c.url, "/api/v1/query")
	c.query = url.Values{
		"query": {r.Metric.Provider.Datadog.Query},
		"from":  {strconv.FormatInt(r.Now.Add(-back).Unix(), 10)}, "to": {strconv.FormatInt(r.Now.Unix(), 10)},
	}
	var a struct {
		Error  string `json:"error"`
		Series []struct {
			Points [][2]*float64 `json:"pointlist"`
		} `json:"series"`
	}
	if err := d.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	if a.Error != "" {
		return Outcome{}, fmt.Errorf("%s: %s", hostOf(c.url), excerpt([]byte(a.Error)))
	}
	if len(a.Series) == 0 || len(a.Series[0].Points) == 0 {
		return Outcome{Text: "[]"}, nil
	}
	points := a.Series[0].Points
	last := points[len(points)-1][1]
	if last == nil {
		return Outcome{Text: "null"}, nil
	}
	return Outcome{Result: *last, Text: number(*last)}, nil
}

// scalar asks version 2.
func (d datadog) scalar(ctx context.Context, r Request, c call, back time.Duration) (Outcome, error) {
	body, err := json.Marshal(datadogRequest(r.Metric.Provider.Datadog, r.Now.Add(-back), r.Now))
	if err != nil {
		return Outcome{}, fmt.Errorf("write the query: %w", err)
	}
	c.method, c.url, c.body = http.MethodPost, join(c.url, "/api/v2/query/scalar"), body
	var a struct {
		Errors string `json:"errors"`
		Data   struct {
			Attributes struct {
				Columns []struct {
					Name   string          `json:"name"`
					Type   string          `json:"type"`
					Values json.RawMessage `json:"values"`
				} `json:"columns"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := d.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	if a.Errors != "" {
		return Outcome{}, fmt.Errorf("%s: %s", hostOf(c.url), excerpt([]byte(a.Errors)))
	}
	var values []*float64
	var groups [][]string
	for _, column := range a.Data.Attributes.Columns {
		if column.Type != "group" {
			if err := json.Unmarshal(column.Values, &values); err != nil {
				return Outcome{}, fmt.Errorf("read column %q: %w", column.Name, err)
			}
			break // further columns are those of further formulas
		}
		var tags [][]string
		if err := json.Unmarshal(column.Values, &tags); err != nil {
			return Outcome{}, fmt.Errorf("read column %q: %w", column.Name, err)
		}
		groups = grouped(groups, tags)
	}
	return datadogOutcome(values, groups)
}

func datadogRequest(spec *v1alpha1.DatadogMetric, from, to time.Time) any {
	type q struct {
		Aggregator string `json:"aggregator"`
		Source     string `json:"data_source"`
		Name       string `json:"name"`
		Query      string `json:"query"`
	}
	type formula struct {
		Formula string `json:"formula"`
	}
	queries, aggregator, of := spec.Queries, spec.Aggregator, spec.Formula
	if aggregator == "" {
		aggregator = "last"
	}
	if len(queries) == 0 {
		queries = map[string]string{"query": spec.Query}
	}
	var asked []q
	for name, text := range queries {
		asked = append(asked, q{Aggregator: aggregator, Source: "metrics", Name: name, Query: text})
		if len(queries) == 1 && of == "" {
			of = name
		}
	}
	return map[string]any{"data": map[string]any{
		"type": "scalar_request",
		"attributes": map[string]any{
			"from": from.UnixMilli(), "to": to.UnixMilli(), "queries": asked, "formulas": []formula{{of}},
		},
	}}
}

// grouped adds the tags of one column to the groups, row by row.
func grouped(groups, tags [][]string) [][]string {
	for i, t := range tags {
		if i >= len(groups) {
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], t...)
	}
	return groups
}

func datadogOutcome(values []*float64, groups [][]string) (Outcome, error) {
	if len(groups) == 0 {
		if len(values) == 0 || values[0] == nil {
			return Outcome{Text: "[]"}, nil
		}
		return Outcome{Result: *values[0], Text: number(*values[0])}, nil
	}
	if len(values) > datadogGroups {
		return Outcome{}, fmt.Errorf(
			"the query gives %d groups, more than %d: group by fewer tags",
			len(values),
			datadogGroups,
		)
	}
	var list []float64
	var names []string
	for i, v := range values {
		if v != nil && i < len(groups) {
			list, names = append(list, *v), append(names, strings.Join(groups[i], ","))
		}
	}
	if len(list) == 0 {
		return Outcome{Text: "[]"}, nil
	}
	text, err := written(names)
	return Outcome{Result: list, Text: numbers(list), Metadata: map[string]string{"groups": text}}, err
}
