package metric

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/client-go/util/jsonpath"
)

// webTime is how long a request may take when the template does not say.
const webTime = 10 * time.Second

var webKind = kind{
	name: "web",
	is:   func(m v1alpha1.MetricProvider) bool { return m.Web != nil },
	open: func(o options) Query { return web{clients: o.clients}.query },
}

// web asks any HTTP endpoint for JSON, or for text.
type web struct{ clients clients }

func (w web) query(ctx context.Context, m v1alpha1.Metric) (Value, error) {
	spec := m.Provider.Web
	ctx, cancel := within(ctx, spec.TimeoutSeconds, webTime)
	defer cancel()
	method := spec.Method
	if method == "" {
		method = http.MethodGet
	}
	body, isJSON := []byte(spec.Body), len(spec.JSONBody) > 0
	if isJSON {
		body = spec.JSONBody
	}
	req, err := http.NewRequestWithContext(ctx, method, spec.URL, bytes.NewReader(body))
	if err != nil {
		return Value{}, fmt.Errorf("url %q: %w", spec.URL, err)
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	status, answer, err := exchange(w.clients.pick(spec.Insecure), req, spec.Authentication, spec.Headers)
	if err != nil {
		return Value{}, err
	}
	if status < 200 || status > 299 {
		return Value{}, fmt.Errorf("status %d: %s", status, excerpt(answer))
	}
	return read(answer, spec.JSONPath)
}

// read finds the value in an answer. An answer that is not JSON is a string.
func read(answer []byte, path string) (Value, error) {
	var data any
	if err := json.Unmarshal(answer, &data); err != nil {
		return Value{Result: string(answer), Text: excerpt(answer)}, nil //nolint:nilerr // see above
	}
	if path == "" {
		path = "{$}"
	}
	parser := jsonpath.New("metric")
	if err := parser.Parse(path); err != nil {
		return Value{}, fmt.Errorf("jsonPath %q: %w", path, err)
	}
	hits, err := parser.FindResults(data)
	if err != nil {
		return Value{}, fmt.Errorf("jsonPath %q: %w", path, err)
	}
	if len(hits) == 0 || len(hits[0]) == 0 {
		return Value{}, fmt.Errorf("jsonPath %q finds nothing", path)
	}
	result := plain(hits[0][0])
	text, err := json.Marshal(result)
	if err != nil {
		return Value{}, fmt.Errorf("write the value: %w", err)
	}
	return Value{Result: result, Text: strings.Trim(string(text), `"`)}, nil
}

func plain(v reflect.Value) any {
	if !v.IsValid() || v.Kind() == reflect.Interface && v.IsNil() {
		return nil
	}
	return v.Interface()
}
