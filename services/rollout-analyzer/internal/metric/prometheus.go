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

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/expr-lang/expr"
)

const (
	// prometheusTime is how long a query may take when the template does not say.
	prometheusTime = 30 * time.Second
	// managedPrometheus is part of the names of the hosts whose requests are signed: Amazon's managed service.
	managedPrometheus = "aps-workspaces"
	// maxPoints is how many points per series a range query may ask for; Prometheus itself takes no more.
	maxPoints = 11_000
)

var prometheusKind = asking(
	"prometheus",
	func(m v1alpha1.MetricProvider) bool { return m.Prometheus != nil },
	func(t *tools) Query { return prometheus{fallback: t.PrometheusAddress, http: t.http}.query },
)

// prometheus asks the HTTP API of Prometheus, or of anything that speaks it. Result: a number for a scalar, a list of
// numbers for a vector, and one of all points of all series for a matrix.
type prometheus struct {
	fallback string
	http     *asker
}

type prometheusAnswer struct {
	Status    string   `json:"status"`
	Error     string   `json:"error"`
	ErrorType string   `json:"errorType"`
	Warnings  []string `json:"warnings"`
	Infos     []string `json:"infos"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

func (p prometheus) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Prometheus
	seconds := int64(0)
	if spec.Timeout != nil {
		seconds = *spec.Timeout
	}
	ctx, cancel := within(ctx, seconds, prometheusTime)
	defer cancel()
	c, err := p.call(spec, r.Now)
	if err != nil {
		return Outcome{}, err
	}
	status, body, err := p.http.send(ctx, r.Hidden, c)
	if err != nil {
		return Outcome{}, err
	}
	var a prometheusAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return Outcome{}, fmt.Errorf(
			"%s: status %d: the answer is not that of Prometheus: %s", hostOf(c.url), status, excerpt(body),
		)
	}
	if a.Status != "success" {
		return Outcome{}, fmt.Errorf(
			"%s: status %d: %s: %s", hostOf(c.url), status, a.ErrorType, excerpt([]byte(a.Error)),
		)
	}
	out, err := a.value()
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", hostOf(c.url), err)
	}
	out.About = map[string]string{"ResolvedPrometheusQuery": spec.Query}
	if len(a.Warnings) > 0 {
		out.Metadata = map[string]string{"warnings": strings.Join(a.Warnings, "; ")}
	}
	return out, nil
}

func (p prometheus) call(spec *v1alpha1.PrometheusMetric, now time.Time) (call, error) {
	address := spec.Address
	if address == "" {
		address = p.fallback
	}
	if address == "" {
		return call{}, errors.New(
			"no address is given and no default is set; set address, or --prometheus-address of the analyzer",
		)
	}
	form, path := url.Values{"query": {spec.Query}}, "/api/v1/query"
	if spec.RangeQuery != nil {
		path = "/api/v1/query_range"
		if err := ranged(form, spec.RangeQuery, now); err != nil {
			return call{}, fmt.Errorf("rangeQuery.%w", err)
		}
	}
	c := call{
		method: http.MethodPost, url: join(address, path), body: []byte(form.Encode()),
		kind: "application/x-www-form-urlencoded", header: headers(spec.Headers), auth: spec.Authentication,
		insecure: spec.Insecure,
	}
	if strings.Contains(hostOf(c.url), managedPrometheus) {
		c.signed = "aps"
	}
	return c, nil
}

func ranged(form url.Values, r *v1alpha1.PrometheusRangeQueryArgs, now time.Time) error {
	step, err := time.ParseDuration(r.Step)
	if err != nil || step <= 0 {
		return fmt.Errorf("step: %q is no duration such as 30s or 1m", r.Step)
	}
	start, err := moment(r.Start, now)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	end, err := moment(r.End, now)
	if err != nil {
		return fmt.Errorf("end: %w", err)
	}
	if end.Before(start) {
		return errors.New("end: is before start")
	}
	if end.Sub(start)/step > maxPoints {
		return fmt.Errorf("step: more than %d points per series", maxPoints)
	}
	form.Set("step", strconv.FormatFloat(step.Seconds(), 'f', -1, 64))
	form.Set("start", seconds(start))
	form.Set("end", seconds(end))
	return nil
}

func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', -1, 64)
}

// moment evaluates a time such as now() - duration("5m").
func moment(text string, now time.Time) (time.Time, error) {
	if len(text) > 1<<10 {
		return time.Time{}, errors.New("is longer than 1 KiB")
	}
	clock := expr.Function("now", func(...any) (any, error) { return now, nil }, new(func() time.Time))
	program, err := expr.Compile(text, expr.DisableBuiltin("now"), clock, expr.MaxNodes(100))
	if err != nil {
		return time.Time{}, fmt.Errorf("read %q: %w", text, err)
	}
	out, err := expr.Run(program, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("evaluate %q: %w", text, err)
	}
	at, ok := out.(time.Time)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is %v, no time such as now() - duration(\"5m\")", text, out)
	}
	return at, nil
}

// point is [time, "value"].
type point [2]json.RawMessage

func (p point) number() (float64, error) {
	var text string
	if err := json.Unmarshal(p[1], &text); err != nil {
		return 0, fmt.Errorf("read a sample: %w", err)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("read a sample: %w", err)
	}
	return f, nil
}

// value turns an answer into a number for a scalar, and into a list of numbers for vectors and matrices.
func (a prometheusAnswer) value() (Outcome, error) {
	switch a.Data.ResultType {
	case "scalar":
		var one point
		if err := json.Unmarshal(a.Data.Result, &one); err != nil {
			return Outcome{}, fmt.Errorf("read a scalar: %w", err)
		}
		f, err := one.number()
		return Outcome{Result: f, Text: number(f)}, err
	case "vector", "matrix":
		points, err := a.points()
		if err != nil {
			return Outcome{}, err
		}
		values := make([]float64, len(points))
		for i, p := range points {
			if values[i], err = p.number(); err != nil {
				return Outcome{}, err
			}
		}
		return Outcome{Result: values, Text: numbers(values)}, nil
	default:
		return Outcome{}, fmt.Errorf("a result of type %q is not served: ask for a number", a.Data.ResultType)
	}
}

// points are those of all series, in order. A native histogram has no number: to leave it out would let a condition
// over all series succeed on none.
func (a prometheusAnswer) points() ([]point, error) {
	var series []struct {
		Metric     map[string]string `json:"metric"`
		Value      *point            `json:"value"`
		Values     []point           `json:"values"`
		Histogram  json.RawMessage   `json:"histogram"`
		Histograms json.RawMessage   `json:"histograms"`
	}
	if err := json.Unmarshal(a.Data.Result, &series); err != nil {
		return nil, fmt.Errorf("read a %s: %w", a.Data.ResultType, err)
	}
	var out []point
	for i, s := range series {
		if len(s.Histogram) > 0 || len(s.Histograms) > 0 {
			return nil, fmt.Errorf(
				"series %d is a native histogram, which is no number: use histogram_quantile, histogram_count or "+
					"histogram_sum in the query", i,
			)
		}
		if s.Value != nil {
			out = append(out, *s.Value)
		}
		out = append(out, s.Values...)
		if len(out) > maxValues {
			return nil, fmt.Errorf(
				"the answer has more than %d values: aggregate in the query, as by sum(...)",
				maxValues,
			)
		}
	}
	return out, nil
}
