// Package metric takes measurements from metric systems: one entry in a registry per system.
//
// Promise: a query ends within its time and never reads more than its share of bytes, whatever the other side does. It
// returns a plain value (number, list, map, string) that conditions can look at; judging it is not done here.
package metric

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// maxBody is how much of an answer is read: a verdict needs a few numbers, and a wrong query must not fill the memory.
const maxBody = 1 << 20

// ErrTooLarge is returned for an answer of more than a mebibyte.
var ErrTooLarge = errors.New("the answer is larger than 1 MiB")

// ErrUnknown is returned for a metric whose provider is not served.
var ErrUnknown = errors.New("no provider that is served")

// Value is what a query returned.
type Value struct {
	// Result is what conditions see.
	Result any
	// Text is what people see.
	Text string
	// Metadata says how the value came about.
	Metadata map[string]string
}

// Query takes one measurement of a metric whose arguments are filled in.
type Query func(ctx context.Context, m v1alpha1.Metric) (Value, error)

// kind is one metric system, and all that the rest knows of it. A new one is its file and its place in kinds.
type kind struct {
	// name is its field in the provider of a metric.
	name string
	// is reports whether a provider is of this kind.
	is func(v1alpha1.MetricProvider) bool
	// open makes its query, once in a process.
	open func(options) Query
}

// options are what queries work with.
type options struct {
	prometheus string // address for metrics that name none
	clients    clients
}

// kinds are those that are served.
var kinds = []kind{prometheusKind, webKind}

// Registry finds the query of a metric by the one field of its provider that is set.
type Registry struct {
	queries []Query // as kinds
}

// New returns the providers that are served. The address is that of Prometheus for metrics that name none.
func New(prometheusAddress string) *Registry {
	o, r := options{prometheus: prometheusAddress, clients: newClients()}, &Registry{}
	for _, k := range kinds {
		r.queries = append(r.queries, k.open(o))
	}
	return r
}

// Measure takes one measurement.
func (r *Registry) Measure(ctx context.Context, m v1alpha1.Metric) (Value, error) {
	for i, k := range kinds {
		if !k.is(m.Provider) {
			continue
		}
		v, err := r.queries[i](ctx, m)
		if err != nil {
			return v, fmt.Errorf("%s: %w", k.name, err)
		}
		return v, nil
	}
	return Value{}, fmt.Errorf("metric %q: %w", m.Name, ErrUnknown)
}

// clients are the two HTTP clients: one checks certificates, one was told not to.
type clients struct{ strict, lax *http.Client }

func newClients() clients {
	lax := http.DefaultTransport.(*http.Transport).Clone()
	// The template says insecure: true.
	lax.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // ditto
	return clients{
		strict: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()},
		lax:    &http.Client{Transport: lax},
	}
}

func (c clients) pick(insecure bool) *http.Client {
	if insecure {
		return c.lax
	}
	return c.strict
}

// exchange sends a request and reads the whole answer, within limits.
func exchange(
	client *http.Client, req *http.Request, auth v1alpha1.Authentication, headers []v1alpha1.WebMetricHeader,
) (int, []byte, error) {
	for _, h := range headers {
		req.Header.Set(h.Key, h.Value)
	}
	if b := auth.BasicAuth; b.Username != "" || b.Password != "" {
		req.SetBasicAuth(b.Username, b.Password)
	}
	if auth.OAuth2.TokenURL != "" || auth.SigV4.Region != "" {
		return 0, nil, errors.New("authentication by oauth2 or sigv4 is not served by this version")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", req.URL.Redacted(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", req.URL.Redacted(), err)
	}
	if len(body) > maxBody {
		return 0, nil, ErrTooLarge
	}
	return resp.StatusCode, body, nil
}

// within bounds a query by the seconds a template gives, or by the default.
func within(ctx context.Context, seconds int64, fallback time.Duration) (context.Context, context.CancelFunc) {
	limit := fallback
	if seconds > 0 {
		limit = min(span.Seconds(seconds), maxTime)
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
}

// maxTime is the longest a query may take, whatever the template says: it occupies a worker.
const maxTime = 2 * time.Minute

// excerpt is the beginning of an answer, for a message.
func excerpt(body []byte) string {
	const most = 200
	if len(body) > most {
		return string(body[:most]) + "…"
	}
	return string(body)
}
