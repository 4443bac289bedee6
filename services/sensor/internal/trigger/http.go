package trigger

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Limits of requests.
const (
	requestTimeout = 60 * time.Second // where the manifest names none; Argo Events' own
	maxAnswer      = 64 << 10         // of the answer only so much is read
	idlePerHost    = 128              // connections kept to one target
)

// requests is the http trigger.
type requests struct {
	world   World
	clients *pool[*http.Client]
}

func newHTTP(w World) Adapter { return &requests{world: w, clients: newClients()} }

func newClients() *pool[*http.Client] {
	return newPool(func(c *http.Client) error { c.CloseIdleConnections(); return nil })
}

// newClient keeps connections open: a handshake per firing would cost more than the
// firing.
func newClient(cfg *tls.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = identity.Dial
	t.TLSClientConfig, t.ForceAttemptHTTP2 = cfg, true
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 2*idlePerHost, idlePerHost
	return &http.Client{Transport: t}
}

// commonClient serves all Sensors whose triggers have no TLS settings of their own: each with connections of its own,
// thousands of them would hold thousands open that one target knows.
var commonClient = sync.OnceValue(func() *http.Client { return newClient(nil) })

// Close closes the connections.
func (h *requests) Close() error { return h.clients.Close() }

// Fire sends the request. Without policy.status an answer below 400 is success; Argo
// Events takes every answer for one, and so loses what its target refused.
func (h *requests) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.HTTP, c.Template.HTTP.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("http.%w", err)
	}
	timeout := requestTimeout
	if t.Timeout > 0 {
		timeout = span.Seconds(t.Timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	request, err := h.request(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	client, err := h.client(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	return exchange(client, request, c.Policy)
}

func (h *requests) client(ctx context.Context, c Call, t *v1alpha1.HTTPTrigger) (*http.Client, error) {
	if t.TLS == nil {
		return commonClient(), nil
	}
	return h.clients.get(t.TLS, func() (*http.Client, error) {
		cfg, err := h.world.Values.TLS(ctx, c.Sensor.Namespace, t.TLS)
		if err != nil {
			return nil, err
		}
		return newClient(cfg), nil
	})
}

func (h *requests) request(ctx context.Context, c Call, t *v1alpha1.HTTPTrigger) (*http.Request, error) {
	var body []byte
	if len(t.Payload) > 0 {
		var err error
		if body, err = c.Fill.Payload(t.Payload); err != nil {
			return nil, fault.Poisonf("http.%w", err)
		}
	}
	method := t.Method
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, t.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fault.Poisonf("http: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	// The header is the Internet Draft's; receivers that know it act once.
	r.Header.Set("Idempotency-Key", c.Key)
	if c.Lineage.Trace != "" {
		r.Header.Set("Traceparent", c.Lineage.Trace)
	}
	if t.Host != "" {
		r.Host = t.Host
	}
	return r, h.headers(ctx, r, c, t)
}

func (h *requests) headers(ctx context.Context, r *http.Request, c Call, t *v1alpha1.HTTPTrigger) error {
	for name, v := range t.Headers {
		r.Header.Set(name, v)
	}
	for _, s := range t.SecureHeaders {
		v, err := h.world.Values.From(ctx, c.Sensor.Namespace, s.ValueFrom)
		if err != nil {
			return fmt.Errorf("http.secureHeaders %s: %w", s.Name, err)
		}
		r.Header.Set(s.Name, v)
	}
	dynamic, err := c.Fill.Headers(t.DynamicHeaders)
	if err != nil {
		return fault.Poisonf("http.%w", err)
	}
	for name, v := range dynamic {
		r.Header.Set(name, v)
	}
	if t.BasicAuth != nil {
		user, password, err := h.world.Values.Basic(ctx, c.Sensor.Namespace, t.BasicAuth)
		if err != nil {
			return fmt.Errorf("http.basicAuth: %w", err)
		}
		r.SetBasicAuth(user, password)
	}
	return nil
}

// exchange sends a request and judges the answer.
func exchange(client *http.Client, r *http.Request, policy *v1alpha1.TriggerPolicy) (Result, error) {
	answer, err := client.Do(r)
	if err != nil {
		if cause := context.Cause(r.Context()); cause != nil && !errors.Is(cause, context.Canceled) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		return Result{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return Result{}, fmt.Errorf("read the answer of %s: %w", r.URL.Redacted(), err)
	}
	// What is left is read too, or the connection could not be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 16*maxAnswer))
	said := Result{Summary: answer.Status}
	if accepted(answer.StatusCode, policy) {
		return said, nil
	}
	err = fmt.Errorf("%s answered %s: %s", r.URL.Redacted(), answer.Status, brief(string(text)))
	if answer.StatusCode < 500 && !again(answer.StatusCode) {
		return said, fault.AsPoison(err)
	}
	return said, err
}

// again are answers of the class 4xx that may become better. Source: Knative's
// delivery rules, and RFC 8470 for 425.
func again(status int) bool {
	return slices.Contains(
		[]int{
			http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly,
			http.StatusTooManyRequests,
		},
		status,
	)
}

func accepted(status int, policy *v1alpha1.TriggerPolicy) bool {
	if policy != nil && policy.Status != nil && len(policy.Status.Allow) > 0 {
		return slices.Contains(policy.Status.Allow, int32(status))
	}
	return status < http.StatusBadRequest
}
