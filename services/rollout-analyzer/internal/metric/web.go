package metric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/client-go/util/jsonpath"
)

const (
	// webTime is how long a request may take when the template does not say.
	webTime = 10 * time.Second
	// maxPath bounds a jsonPath.
	maxPath = 4 << 10
)

var webKind = asking(
	"web",
	func(m v1alpha1.MetricProvider) bool { return m.Web != nil },
	func(t *tools) Query { return webQuery{http: t.http}.query },
)

// webQuery asks any HTTP endpoint. Result: what jsonPath finds first in an answer that is JSON; any other answer is
// one text.
type webQuery struct{ http *asker }

func (w webQuery) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Web
	ctx, cancel := within(ctx, spec.TimeoutSeconds, webTime)
	defer cancel()
	c := call{
		method: spec.Method, url: spec.URL, body: []byte(spec.Body), header: headers(spec.Headers),
		auth: spec.Authentication, insecure: spec.Insecure,
	}
	switch {
	case len(spec.JSONBody) > 0 && spec.Body != "":
		return Outcome{}, errors.New("body and jsonBody are both given; give one")
	case len(spec.JSONBody) > 0:
		c.body, c.kind = spec.JSONBody, "application/json"
	}
	switch c.method {
	case "":
		c.method = http.MethodGet
	case http.MethodGet, http.MethodPost, http.MethodPut:
	default:
		return Outcome{}, fmt.Errorf("method %q is none of GET, POST, PUT", c.method)
	}
	if c.method == http.MethodGet && len(c.body) > 0 {
		return Outcome{}, errors.New("a body needs method POST or PUT")
	}
	status, body, err := w.http.send(ctx, r.Hidden, c)
	if err != nil {
		return Outcome{}, err
	}
	if status < 200 || status > 299 {
		return Outcome{}, fmt.Errorf("%s: status %d: %s", hostOf(c.url), status, excerpt(body))
	}
	out, err := found(body, spec.JSONPath)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", hostOf(c.url), err)
	}
	return out, nil
}

// found is the value in an answer. An answer that is not JSON is a text.
func found(answer []byte, path string) (Outcome, error) {
	var data any
	if err := json.Unmarshal(answer, &data); err != nil {
		return Outcome{Result: string(answer), Text: string(answer)}, nil //nolint:nilerr // see above
	}
	if path == "" {
		path = "{$}"
	}
	if len(path) > maxPath || strings.Count(path, "..") > 2 {
		// Recursive descent within recursive descent visits an answer once for each of its nodes.
		return Outcome{}, fmt.Errorf("jsonPath is longer than %d bytes or descends more than twice", maxPath)
	}
	parser := jsonpath.New("metric")
	if err := parser.Parse(path); err != nil {
		return Outcome{}, fmt.Errorf("jsonPath %q: %w", path, err)
	}
	hits, err := parser.FindResults(data)
	if err != nil {
		return Outcome{}, fmt.Errorf("jsonPath %q: %w", path, err)
	}
	if len(hits) == 0 || len(hits[0]) == 0 {
		return Outcome{}, fmt.Errorf("jsonPath %q finds nothing", path)
	}
	result := plain(hits[0][0])
	text, err := written(result)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Result: result, Text: strings.Trim(text, `"`)}, nil
}

func plain(v reflect.Value) any {
	if !v.IsValid() || v.Kind() == reflect.Interface && v.IsNil() {
		return nil
	}
	return v.Interface()
}
