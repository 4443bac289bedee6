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

// prometheusTime is how long a query may take when the template does not say.
const prometheusTime = 30 * time.Second

var prometheusKind = kind{
	name: "prometheus",
	is:   func(m v1alpha1.MetricProvider) bool { return m.Prometheus != nil },
	open: func(o options) Query { return prometheus{fallback: o.prometheus, clients: o.clients}.query },
}

// prometheus asks the HTTP API of Prometheus, or of anything that speaks it.
type prometheus struct {
	fallback string
	clients  clients
}

type prometheusAnswer struct {
	Status    string   `json:"status"`
	Error     string   `json:"error"`
	ErrorType string   `json:"errorType"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

func (p prometheus) query(ctx context.Context, m v1alpha1.Metric) (Value, error) {
	spec := m.Provider.Prometheus
	ctx, cancel := within(ctx, timeoutOf(spec), prometheusTime)
	defer cancel()
	req, err := p.request(ctx, spec)
	if err != nil {
		return Value{}, err
	}
	status, body, err := exchange(p.clients.pick(spec.Insecure), req, spec.Authentication, spec.Headers)
	if err != nil {
		return Value{}, err
	}
	var answer prometheusAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return Value{}, fmt.Errorf("status %d: the answer is not that of Prometheus: %s", status, excerpt(body))
	}
	if answer.Status != "success" {
		return Value{}, fmt.Errorf("status %d: %s: %s", status, answer.ErrorType, answer.Error)
	}
	v, err := answer.value()
	if err != nil {
		return Value{}, err
	}
	v.Metadata = map[string]string{"ResolvedPrometheusQuery": spec.Query}
	if len(answer.Warnings) > 0 {
		v.Metadata["warnings"] = strings.Join(answer.Warnings, "; ")
	}
	return v, nil
}

func timeoutOf(spec *v1alpha1.PrometheusMetric) int64 {
	if spec.Timeout == nil {
		return 0
	}
	return *spec.Timeout
}

func (p prometheus) request(ctx context.Context, spec *v1alpha1.PrometheusMetric) (*http.Request, error) {
	address := spec.Address
	if address == "" {
		address = p.fallback
	}
	if address == "" {
		return nil, errors.New("no address is given and no default is set")
	}
	form, path := url.Values{"query": {spec.Query}}, "/api/v1/query"
	if r := spec.RangeQuery; r != nil {
		path = "/api/v1/query_range"
		step, err := time.ParseDuration(r.Step)
		if err != nil {
			return nil, fmt.Errorf("rangeQuery.step: %w", err)
		}
		form.Set("step", strconv.FormatFloat(step.Seconds(), 'f', -1, 64))
		for key, text := range map[string]string{"start": r.Start, "end": r.End} {
			at, err := moment(text)
			if err != nil {
				return nil, fmt.Errorf("rangeQuery.%s: %w", key, err)
			}
			form.Set(key, strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', -1, 64))
		}
	}
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, strings.TrimSuffix(address, "/")+path, strings.NewReader(form.Encode()),
	)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// moment evaluates a time such as now() - duration("5m").
func moment(text string) (time.Time, error) {
	out, err := expr.Eval(text, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("evaluate %q: %w", text, err)
	}
	at, ok := out.(time.Time)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is %v, no time", text, out)
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
func (a prometheusAnswer) value() (Value, error) {
	var points []point
	switch a.Data.ResultType {
	case "scalar":
		var one point
		if err := json.Unmarshal(a.Data.Result, &one); err != nil {
			return Value{}, fmt.Errorf("read a scalar: %w", err)
		}
		f, err := one.number()
		return Value{Result: f, Text: strconv.FormatFloat(f, 'f', -1, 64)}, err
	case "vector", "matrix":
		var series []struct {
			Value  *point  `json:"value"`
			Values []point `json:"values"`
		}
		if err := json.Unmarshal(a.Data.Result, &series); err != nil {
			return Value{}, fmt.Errorf("read a %s: %w", a.Data.ResultType, err)
		}
		for _, s := range series {
			if s.Value != nil {
				points = append(points, *s.Value)
			}
			points = append(points, s.Values...)
		}
	default:
		return Value{}, fmt.Errorf("a result of type %q is not served", a.Data.ResultType)
	}
	numbers, texts := make([]float64, len(points)), make([]string, len(points))
	for i, p := range points {
		f, err := p.number()
		if err != nil {
			return Value{}, err
		}
		numbers[i], texts[i] = f, strconv.FormatFloat(f, 'f', -1, 64)
	}
	return Value{Result: numbers, Text: "[" + strings.Join(texts, ",") + "]"}, nil
}
