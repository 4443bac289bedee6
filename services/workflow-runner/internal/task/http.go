package task

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/httpx"
	clouds "github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Limits of requests.
const (
	requestsAtOnce = 256              // of all workflows; the rest wait
	answerLimit    = 256 << 10        // bytes of an answer: it becomes a result, which the journal holds
	requestTime    = 30 * time.Minute // of a template that gives no timeoutSeconds
)

// keyHeader lets a server know a request that a crash made us repeat.
const keyHeader = "Idempotency-Key"

// httpRunner does http templates.
type httpRunner struct {
	accounts *Accounts
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	slots    chan struct{}
}

// errAddress refuses what only this process can reach.
var errAddress = errors.New("loopback and link-local addresses, and those of clouds' metadata, are not reached from workflows; --http-reach=any allows it")

// Dialer connects, unless the address is one that belongs to this machine and not to the workflow; with local, to any.
func Dialer(local bool) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 30 * time.Second}
	if !local {
		// After the name was resolved: a name may point anywhere.
		d.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			if ip := at.Addr().Unmap(); ip.IsLoopback() || ip.IsUnspecified() || clouds.Metadata(ip) {
				return errAddress
			}
			return nil
		}
	}
	return d.DialContext
}

func (q *httpRunner) do(ctx context.Context, j Job) flow.Task {
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
	case <-ctx.Done():
		return failed("%v", context.Cause(ctx))
	}
	limit := requestTime
	if s := j.Template.HTTP.TimeoutSeconds; s != nil {
		limit = span.Seconds(*s)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	request, body, err := q.request(ctx, j)
	if err != nil {
		return failed("http: %v", err)
	}
	answer, err := q.client(j).Do(request)
	if err != nil {
		return failed("http: %v", orCause(ctx, err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit+1))
	if err != nil {
		return failed("http: read the answer: %v", orCause(ctx, err))
	}
	if len(text) > answerLimit {
		return failed("http: the answer has more than %d bytes", answerLimit)
	}
	return judge(*j.Template.HTTP, exchange{request: request, sent: body, answer: answer, got: text})
}

// orCause says why a request was given up, rather than that it was.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (q *httpRunner) request(ctx context.Context, j Job) (*http.Request, []byte, error) {
	t := j.Template.HTTP
	method, body := t.Method, []byte(t.Body)
	if method == "" {
		method = http.MethodGet
	}
	if t.BodyFrom != nil {
		body = t.BodyFrom.Bytes
	}
	r, err := http.NewRequestWithContext(ctx, method, t.URL, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, nil, fmt.Errorf("url: %q is neither http nor https", t.URL)
	}
	r.Header.Set(keyHeader, j.key())
	for _, h := range t.Headers {
		value := h.Value
		if h.ValueFrom != nil && h.ValueFrom.SecretKeyRef != nil {
			if value, err = q.accounts.secret(ctx, j.Namespace, j.Account, *h.ValueFrom.SecretKeyRef); err != nil {
				return nil, nil, fmt.Errorf("header %s: %w", h.Name, err)
			}
		}
		// Source: Argo Workflows, a Host header names the host of the request.
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(h.Name, value)
	}
	return r, body, nil
}

// client makes a client of its own per request: requests share neither cookies nor connections.
func (q *httpRunner) client(j Job) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: httpx.Within(j.Namespace, q.dial), DisableKeepAlives: true, TLSHandshakeTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: j.Template.HTTP.InsecureSkipVerify}, //nolint:gosec // the manifest asks for it
	}}
}

// exchange is one request and its answer.
type exchange struct {
	request *http.Request
	sent    []byte
	answer  *http.Response
	got     []byte
}

// judge says whether an answer is a success: by the template's condition, or by its status. Source: Argo Workflows,
// HTTP templates.
func judge(t v1alpha1.HTTPTemplate, x exchange) flow.Task {
	result := string(x.got)
	end := done(&v1alpha1.Outputs{Result: &result})
	if t.SuccessCondition == "" {
		if code := x.answer.StatusCode; code < 200 || code >= 300 {
			end.Phase, end.Message = v1alpha1.NodeFailed, fmt.Sprintf("received non-2xx response code: %d", code)
		}
		return end
	}
	yes, err := expression.Holds(t.SuccessCondition, map[string]any{
		"request": map[string]any{"method": x.request.Method, "url": x.request.URL.String(), "body": string(x.sent),
			"bodyBytes": x.sent,
			"headers":   visible(x.request.Header, t.Headers)},
		"response": map[string]any{"statusCode": x.answer.StatusCode, "body": result,
			"headers": map[string][]string(x.answer.Header)},
	})
	switch {
	case err != nil:
		end.Phase, end.Message = v1alpha1.NodeFailed, "successCondition: "+err.Error()
	case !yes:
		end.Phase, end.Message = v1alpha1.NodeFailed,
			fmt.Sprintf("successCondition '%s' evaluated false", t.SuccessCondition)
	}
	return end
}

// visible are the headers that a condition may look at: the message of a condition that fails ends up in a status, so
// that those from Secrets are left out.
func visible(all http.Header, declared []v1alpha1.HTTPHeader) map[string][]string {
	out := all.Clone()
	for _, h := range declared {
		if h.ValueFrom != nil {
			out.Del(h.Name)
		}
	}
	return out
}
