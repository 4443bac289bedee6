package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
	corev1 "k8s.io/api/core/v1"
)

// callTime bounds one request, and maxAnswer what is read of its answer.
const (
	callTime  = 30 * time.Second
	maxAnswer = 8 << 20
)

// maxPages bounds a listing: 50 pages of 100.
const maxPages = 50

// rest speaks to one API.
type rest struct {
	base   string // without a slash at its end
	client *http.Client
	sign   func(*http.Request) // adds the credentials
}

func newREST(base string, sign func(*http.Request)) rest {
	return rest{base: strings.TrimSuffix(base, "/"), client: &http.Client{Timeout: callTime}, sign: sign}
}

// refusal is an answer that is not 2xx. What its body says is left out: it may
// quote what was sent.
type refusal struct {
	method, path string
	status       int
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s %s: %d %s", r.method, r.path, r.status, http.StatusText(r.status))
}

// call sends in, as JSON or as a form, and reads the answer into out; both may be
// nil.
func (c rest) call(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	body, kind, err := encode(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Accept", "application/json")
	c.sign(req)
	res, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		path, _, _ = strings.Cut(path, "?")
		return nil, &refusal{method, path, res.StatusCode}
	}
	if out == nil {
		return res.Header, nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return res.Header, nil
}

// encode makes the body of a request, and its content type.
func encode(in any) (io.Reader, string, error) {
	switch v := in.(type) {
	case nil:
		return nil, "", nil
	case url.Values:
		return strings.NewReader(v.Encode()), "application/x-www-form-urlencoded", nil
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return nil, "", fmt.Errorf("encode request: %w", err)
		}
		return bytes.NewReader(text), "application/json", nil
	}
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// at is a path of escaped elements.
func at(elements ...string) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString("/" + url.PathEscape(e))
	}
	return b.String()
}

// both reads two secrets; "" for no reference.
func both(ctx context.Context, env pull.Env, a, b *corev1.SecretKeySelector) (string, string, error) {
	first, err := env.Secrets.Text(ctx, env.Namespace, a)
	if err != nil {
		return "", "", err
	}
	second, err := env.Secrets.Text(ctx, env.Namespace, b)
	return first, second, err
}

// gone takes what is not there for removed.
func gone(_ http.Header, err error) error {
	if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusNotFound {
		return nil
	}
	return err
}
