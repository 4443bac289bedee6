package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// web is one file at a URL.
type web struct {
	url     string
	headers map[string]string
	client  *http.Client
}

// web finds out how a URL is asked for. Credentials come from Secrets of the namespace.
func (s *Stores) web(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	h := l.HTTP
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.Poisonf("http: %q is no URL", h.URL)
	}
	w := &web{url: h.URL, headers: map[string]string{},
		client: &http.Client{Transport: &http.Transport{DialContext: s.dial(namespace)}}}
	for _, header := range h.Headers {
		w.headers[header.Name] = header.Value
	}
	if h.Auth == nil {
		return w, nil
	}
	if h.Auth.ClientCert != nil || h.Auth.OAuth2 != nil || h.Auth.BasicAuth == nil ||
		h.Auth.BasicAuth.UsernameSecret == nil || h.Auth.BasicAuth.PasswordSecret == nil {
		return nil, fault.Poisonf("http: auth.basicAuth with usernameSecret and passwordSecret is supported, nothing else")
	}
	user, err := s.secret(ctx, namespace, *h.Auth.BasicAuth.UsernameSecret)
	if err != nil {
		return nil, err
	}
	password, err := s.secret(ctx, namespace, *h.Auth.BasicAuth.PasswordSecret)
	if err != nil {
		return nil, err
	}
	w.headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return w, nil
}

// Open gets the file.
func (w *web) Open(ctx context.Context, _ string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	for name, value := range w.headers {
		req.Header.Set(name, value)
	}
	res, err := w.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", w.url, err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	_ = res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("get %s: %w", w.url, ErrAbsent)
	}
	return nil, fmt.Errorf("get %s: %s", w.url, res.Status)
}

// Names cannot be listed.
func (w *web) Names(context.Context, string, int) ([]string, error) {
	return nil, fault.Poisonf("http: what is below %s cannot be listed", w.url)
}

// Remove is not for URLs: nobody said that what is there is ours.
func (w *web) Remove(context.Context, string) error {
	return fault.Poisonf("http: what is at %s is not removed", w.url)
}

// Sign returns the URL as it is.
func (w *web) Sign(_ context.Context, _, key string, _ time.Duration) (to string, headers map[string]string,
	err error) {
	if key != "" {
		return "", nil, fault.Poisonf("http: a folder is not stored file by file; let it be archived")
	}
	return w.url, w.headers, nil
}

// Has is for whoever gets it to find out.
func (w *web) Has(context.Context, string) (bool, error) { return true, nil }

// Ready is always so.
func (w *web) Ready(context.Context) error { return nil }

// Authority is the usual one.
func (w *web) Authority() string { return "" }
