package store

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// listLimit bounds one page of a listing.
const listLimit = 16 << 20

// rest speaks to a store by signed URLs, as pods do. Its errors hold no URL.
type rest struct {
	client    *http.Client
	store     string                    // for messages, such as bucket b
	authorize func(*http.Request) error // proves who asks, where URLs do not; may be nil
}

// rest speaks to a store as pods of a namespace reach it.
func (s *Stores) rest(store, namespace string) rest {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots}
	// Manifests say where it goes: a proxy would hide that from the check of the address.
	return rest{store: store, client: &http.Client{Transport: &http.Transport{DialContext: s.dial(namespace),
		TLSClientConfig: secure, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives: true}}}
}

// call makes a request; the caller closes the body.
func (r rest) call(ctx context.Context, method, to, action, key string) (io.ReadCloser, error) {
	return r.exchange(ctx, action, key, wish{method, to, http.NoBody})
}

// send puts a body whose size nobody knows.
func (r rest) send(ctx context.Context, to, key string, body io.Reader) error {
	answer, err := r.exchange(ctx, "store", key, wish{http.MethodPut, to, body})
	if err != nil {
		return err
	}
	return answer.Close()
}

// wish is a request to be made.
type wish struct {
	method, to string
	body       io.Reader
}

func (r rest) exchange(ctx context.Context, action, key string, w wish) (io.ReadCloser, error) {
	what := strings.TrimSpace(fmt.Sprintf("%s %s", action, key)) + " in " + r.store
	req, err := r.request(ctx, what, w)
	if err != nil {
		return nil, err
	}
	res, err := r.client.Do(req)
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if res.StatusCode < 300 {
		return res.Body, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	said := res.Status
	var answer struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	if xml.Unmarshal(text, &answer) == nil && answer.Code != "" {
		said += ": " + answer.Code + ": " + answer.Message
	}
	switch {
	case res.StatusCode == http.StatusNotFound && answer.Code != "NoSuchBucket" && answer.Code != "ContainerNotFound":
		return nil, fmt.Errorf("%s: %w", what, ErrAbsent)
	case res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests &&
		res.StatusCode != http.StatusRequestTimeout:
		return nil, fault.Poisonf("%s: %s", what, said)
	}
	return nil, fmt.Errorf("%s: %s", what, said)
}

// request makes a request, with what proves who asks.
func (r rest) request(ctx context.Context, what string, w wish) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, w.method, w.to, w.body)
	if err != nil {
		return nil, fault.Poisonf("%s: its address cannot be read", what)
	}
	if body, is := w.body.(Sized); is {
		if req.ContentLength = body.Size; body.Size == 0 {
			req.Body = http.NoBody
		}
	}
	if r.authorize != nil {
		if err := r.authorize(req); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return req, nil
}

// do makes a request whose answer is only whether it was done.
func (r rest) do(ctx context.Context, method, to, action, key string) error {
	body, err := r.call(ctx, method, to, action, key)
	if err != nil {
		return err
	}
	return body.Close()
}

// page reads one page of a listing.
func (r rest) page(ctx context.Context, to, prefix string, into any) error {
	body, err := r.call(ctx, http.MethodGet, to, "list", prefix)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := xml.NewDecoder(io.LimitReader(body, listLimit)).Decode(into); err != nil {
		return fmt.Errorf("list %s in %s: the answer cannot be read: %w", prefix, r.store, err)
	}
	return nil
}

// collect goes through the pages of a listing. It leaves out keys that only mark folders.
func (r rest) collect(prefix string, limit int,
	next func(from string) (keys []string, then string, err error)) ([]string, error) {
	var names []string
	for from := ""; ; {
		keys, then, err := next(from)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if strings.HasSuffix(key, "/") {
				continue
			}
			if len(names) == limit {
				return nil, fault.Poisonf("%s has more than %d objects below %q", r.store, limit, prefix)
			}
			names = append(names, key)
		}
		if then == "" || then == from {
			return names, nil
		}
		from = then
	}
}

// escaped is a key as it stands in a path: all but letters, digits and -._~/ as percent. Source: RFC 3986, unreserved.
func escaped(key string) string {
	parts := strings.Split(key, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(parts[i]), "+", "%20")
	}
	return strings.Join(parts, "/")
}

// removeAll takes away an object and those below it.
func removeAll(ctx context.Context, s Store, key string, remove func(ctx context.Context, key string) error) error {
	folder := strings.TrimSuffix(key, "/") + "/"
	below, err := s.Names(ctx, folder, removeLimit)
	if err != nil {
		return err
	}
	// What marks a folder is an object too.
	for _, name := range append(below, folder, key) {
		if err := remove(ctx, name); err != nil && !errors.Is(err, ErrAbsent) {
			return err
		}
	}
	return nil
}

// removeLimit bounds the objects that are removed for one artifact.
const removeLimit = 100_000
