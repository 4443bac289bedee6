package forge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Bounds of what one generator may ask a forge.
const (
	maxBody     = 16 << 20 // bytes of one answer
	maxRequests = 5_000    // of one question
	maxItems    = 10_000   // of one list
	reqTimeout  = 30 * time.Second
	perPage     = "100"
)

// api speaks to the REST interface of one forge.
type api struct {
	http   *http.Client
	base   string
	header http.Header
}

// options say how a forge is reached.
type options struct {
	address  string // that the manifest names; "" is fallback
	fallback string
	prefix   string // of all paths
	insecure bool
	pool     *x509.CertPool
	header   http.Header // credentials
}

// newAPI refuses addresses that are no URL or not allowed.
func newAPI(a Access, o options) (*api, error) {
	if err := a.Allowed(o.address); err != nil {
		return nil, err
	}
	base := o.address
	if base == "" {
		base = o.fallback
	}
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("api: %q is no URL of http or https without a user", base)
	}
	base = strings.TrimRight(base, "/")
	if !strings.HasSuffix(base, o.prefix) {
		base += o.prefix
	}
	return &api{http: newHTTP(o.insecure, o.pool), base: base, header: o.header}, nil
}

// newHTTP returns a client that is bounded, and that takes no credentials to another host.
func newHTTP(insecure bool, pool *x509.CertPool) *http.Client {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: reqTimeout,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: pool, InsecureSkipVerify: insecure, //nolint:gosec // the manifest asks for it
		},
	}
	return &http.Client{
		Transport: &bounded{inner: t, left: maxRequests}, Timeout: reqTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 5 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// bounded counts requests and cuts bodies. It is used by one goroutine.
type bounded struct {
	inner http.RoundTripper
	left  int
}

// RoundTrip sends a request while there are some left.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.left--; b.left < 0 {
		return nil, fmt.Errorf("%w: over %d requests", ErrLimit, maxRequests)
	}
	res, err := b.inner.RoundTrip(r)
	if err == nil {
		res.Body = &limitedBody{ReadCloser: res.Body, left: maxBody}
	}
	return res, err
}

// limitedBody is an error where a body is over the limit.
type limitedBody struct {
	io.ReadCloser
	left int
}

// Read reads up to the limit.
func (l *limitedBody) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, fmt.Errorf("%w: an answer has more than %d bytes", ErrLimit, maxBody)
	}
	return n, err
}

// get asks for a path below the base, or for a whole URL of the same host.
func (c *api) get(ctx context.Context, path string, query url.Values, into any) (http.Header, error) {
	address := path
	if !strings.Contains(path, "://") {
		address = c.base + path
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, address, nil, into)
}

func (c *api) call(ctx context.Context, method, address string, body io.Reader, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	if base, err := url.Parse(c.base); err != nil || req.URL.Host != base.Host || req.URL.Scheme != base.Scheme {
		return nil, fmt.Errorf("the forge leads to another host, %s", req.URL.Host)
	}
	maps.Copy(req.Header, c.header)
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // for the message
		err := fmt.Errorf(
			"%s %s answers %s: %s", method, req.URL.Redacted(), res.Status, strings.TrimSpace(string(text)),
		)
		if res.StatusCode == http.StatusNotFound {
			err = fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return nil, err
	}
	if into == nil {
		return res.Header, nil
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, req.URL.Redacted(), unlike(err))
	}
	return res.Header, nil
}

// unlike says what of an answer is not as it is documented, without our types.
func unlike(err error) error {
	if e, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		return fmt.Errorf("%q is a %s, not a %s", e.Field, e.Value, e.Type.Kind())
	}
	return err
}

// there reports whether a path exists: not found is no error.
func (c *api) there(ctx context.Context, path string, query url.Values) (bool, error) {
	_, err := c.get(ctx, path, query, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next"?`)

// linked reads a list whose pages are linked by headers (RFC 8288).
func linked[T any](ctx context.Context, c *api, path string, query url.Values) ([]T, error) {
	var out []T
	for path != "" {
		var page []T
		header, err := c.get(ctx, path, query, &page)
		if err != nil {
			return nil, err
		}
		if out = append(out, page...); len(out) > maxItems {
			return nil, fmt.Errorf("%w: a list has more than %d items", ErrLimit, maxItems)
		}
		path, query = "", nil
		if m := nextLink.FindStringSubmatch(header.Get("Link")); m != nil && len(page) > 0 {
			path = m[1]
		}
	}
	return out, nil
}

// escaped makes one segment of the segments of a path.
func escaped(s string) string { return url.PathEscape(s) }

// segments escapes each segment of a path.
func segments(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// bearer is the header of a token; none for "".
func bearer(token string) http.Header { return authorization("Bearer ", token) }

func authorization(scheme, token string) http.Header {
	if token = strings.TrimSpace(token); token == "" {
		return nil
	}
	return http.Header{"Authorization": {scheme + token}}
}

func basic(user, password string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, strings.TrimSpace(password))
	return r.Header
}

// cloneURL chooses by protocol; what is unknown is an error that names the field.
func cloneURL(protocol, fallback string, urls map[string]string) (string, error) {
	if protocol == "" {
		protocol = fallback
	}
	if u := urls[protocol]; u != "" {
		return u, nil
	}
	return "", fmt.Errorf("cloneProtocol: %q is not one of this forge: there is ssh and https", protocol)
}
