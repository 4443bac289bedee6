// Package helmrepo fetches charts from Helm repositories over HTTP and from registries, within limits.
package helmrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// Limits of what is fetched, in bytes.
const (
	maxIndex    = 64 << 20
	maxChart    = 32 << 20
	maxDocument = 5 << 20
)

// timeout bounds each request with all of its answer.
const timeout = 90 * time.Second

// Access is how a repository is reached.
type Access struct {
	Transport                       http.RoundTripper // nil is the usual one
	Username, Password, BearerToken string
	// PassCredentials sends them to other hosts that the index names, too.
	PassCredentials bool
	PlainHTTP       bool // of a registry
}

// identity tells apart who may read what.
func (a Access) identity() string { return a.Username + "\x00" + a.Password + "\x00" + a.BearerToken }

func (a Access) transport() http.RoundTripper {
	if a.Transport == nil {
		return http.DefaultTransport
	}
	return a.Transport
}

// Indexer reads the index of a repository.
type Indexer interface {
	// Index returns what an index tells of a chart.
	Index(ctx context.Context, text []byte, name string) ([]render.ChartVersion, error)
}

// Client fetches charts and remembers them. Safe for concurrent use.
type Client struct {
	indexer Indexer
	store   *store
	now     func() time.Time

	mu      sync.Mutex
	indexes map[string]listed // by repository, identity and chart
}

// listed are the versions of a chart as the repository told them.
type listed struct {
	etag     string
	versions []render.ChartVersion
	at       time.Time
}

// New returns a client that keeps charts in dir, up to about budget bytes.
func New(dir string, budget int64, indexer Indexer) (*Client, error) {
	s, err := newStore(dir, budget)
	if err != nil {
		return nil, err
	}
	return &Client{indexer: indexer, store: s, now: time.Now, indexes: map[string]listed{}}, nil
}

// ErrNoVersion is wrapped by errors about a chart or version that a repository does not have.
var ErrNoVersion = errors.New("the repository does not have it")

// maxIndexes bounds the charts whose versions are remembered.
const maxIndexes = 4096

// Fetch returns the archive of a chart at the highest version that a constraint allows, and that version. What a
// repository told of versions may be as old as since.
func (c *Client) Fetch(
	ctx context.Context, repo, name, constraint string, since time.Time, a Access,
) (data []byte, version string, err error) {
	if host, ok := strings.CutPrefix(repo, "oci://"); ok {
		return c.fetchOCI(ctx, host+"/"+name, constraint, since, a)
	}
	base, err := url.Parse(strings.TrimSuffix(repo, "/") + "/")
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, "", fmt.Errorf("repository of charts %q: its URL begins with https:// or oci://", repo)
	}
	versions, err := c.versions(ctx, base, name, since, a)
	if err != nil {
		return nil, "", fmt.Errorf("repository of charts %s: %w", base.Redacted(), err)
	}
	chosen, err := choose(versions, constraint)
	if err != nil {
		return nil, "", fmt.Errorf("repository of charts %s: chart %q: %w", base.Redacted(), name, err)
	}
	data, err = c.archive(ctx, base, name, chosen, a)
	if err != nil {
		return nil, "", fmt.Errorf("repository of charts %s: chart %q %s: %w", base.Redacted(), name, chosen.Version, err)
	}
	return data, chosen.Version, nil
}

// Versions are those that a repository has of a chart.
func (c *Client) versions(
	ctx context.Context, base *url.URL, name string, since time.Time, a Access,
) ([]render.ChartVersion, error) {
	key := base.String() + "\x00" + a.identity() + "\x00" + name
	c.mu.Lock()
	known := c.indexes[key]
	c.mu.Unlock()
	if known.versions != nil && !known.at.Before(since) {
		return known.versions, nil
	}
	began := c.now()
	text, etag, err := c.get(ctx, base.ResolveReference(&url.URL{Path: "index.yaml"}), known.etag, maxIndex, a, true)
	switch {
	case errors.Is(err, errNotModified):
		known.at = began
	case err != nil:
		return nil, err
	default:
		versions, err := c.indexer.Index(ctx, text, name)
		if err != nil {
			return nil, err
		}
		known = listed{etag: etag, versions: versions, at: began}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.indexes) >= maxIndexes {
		clear(c.indexes)
	}
	c.indexes[key] = known
	return known.versions, nil
}

// choose is the version that is named, else the highest one that a constraint allows. "" allows all but previews.
func choose(versions []render.ChartVersion, constraint string) (render.ChartVersion, error) {
	if constraint == "" {
		constraint = "*"
	}
	for _, v := range versions {
		if v.Version == constraint {
			return v, nil
		}
	}
	allowed, err := semver.NewConstraint(constraint)
	if err != nil {
		return render.ChartVersion{}, fmt.Errorf(
			"version %q is neither a version nor a constraint: %w",
			constraint,
			err,
		)
	}
	best := -1
	var highest *semver.Version
	for i, v := range versions {
		parsed, err := semver.NewVersion(v.Version)
		if err == nil && allowed.Check(parsed) && (highest == nil || parsed.GreaterThan(highest)) {
			best, highest = i, parsed
		}
	}
	if best < 0 {
		return render.ChartVersion{}, fmt.Errorf(
			"version %q among %d versions: %w",
			constraint,
			len(versions),
			ErrNoVersion,
		)
	}
	return versions[best], nil
}

// archive fetches one version, unless it is kept.
func (c *Client) archive(
	ctx context.Context, base *url.URL, name string, v render.ChartVersion, a Access,
) ([]byte, error) {
	if len(v.URLs) == 0 {
		return nil, errors.New("the index names no URL")
	}
	at, err := url.Parse(v.URLs[0])
	if err != nil {
		return nil, fmt.Errorf("URL %q: %w", v.URLs[0], err)
	}
	if at.Scheme == "oci" {
		data, _, err := c.fetchOCI(ctx, at.Host+strings.TrimSuffix(at.Path, ":"+v.Version), v.Version, c.now(), a)
		return data, err
	}
	if at = base.ResolveReference(at); at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("URL %q: only http and https are fetched", at.Redacted())
	}
	digest := strings.ToLower(strings.TrimPrefix(v.Digest, "sha256:"))
	key := strings.Join([]string{base.String(), a.identity(), name, v.Version, digest, at.String()}, "\x00")
	if data, ok := c.store.get(key); ok {
		return data, nil
	}
	own := at.Host == base.Host && at.Scheme == base.Scheme
	data, _, err := c.get(ctx, at, "", maxChart, a, own || a.PassCredentials)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); digest != "" && hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%s has another digest than the index says, %s", at.Redacted(), digest)
	}
	c.store.put(key, data)
	return data, nil
}

// Document returns what is at a URL, as files of values are.
func (c *Client) Document(ctx context.Context, location string, a Access) ([]byte, error) {
	at, err := url.Parse(location)
	if err != nil || !slices.Contains([]string{"http", "https"}, at.Scheme) || at.Host == "" {
		return nil, fmt.Errorf("%q: only http and https are fetched", location)
	}
	data, _, err := c.get(ctx, at, "", maxDocument, a, true)
	return data, err
}

// errNotModified says that what is known still holds.
var errNotModified = errors.New("not modified")

// StatusError is an answer that is none of those that were hoped for.
type StatusError struct {
	URL  string
	Code int
}

// Error tells what was asked and answered.
func (s StatusError) Error() string {
	return fmt.Sprintf("GET %s: %d %s", s.URL, s.Code, http.StatusText(s.Code))
}

// get fetches a URL within a limit of bytes.
func (c *Client) get(
	ctx context.Context, at *url.URL, etag string, limit int64, a Access, open bool,
) (data []byte, newTag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, "", fmt.Errorf("GET %s: %w", at.Redacted(), err)
	}
	if etag != "" {
		q.Header.Set("If-None-Match", etag)
	}
	switch {
	case !open:
	case a.BearerToken != "":
		q.Header.Set("Authorization", "Bearer "+a.BearerToken)
	case a.Password != "" || a.Username != "":
		q.SetBasicAuth(a.Username, a.Password)
	}
	answer, err := (&http.Client{Transport: a.transport()}).Do(q) // which leaves the header out for other hosts
	if err != nil {
		return nil, "", fmt.Errorf("GET %s: %w", at.Redacted(), redactedCause(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotModified && etag != "" {
		return nil, etag, errNotModified
	}
	if answer.StatusCode != http.StatusOK {
		return nil, "", StatusError{URL: at.Redacted(), Code: answer.StatusCode}
	}
	data, err = io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, "", fmt.Errorf("GET %s: %w", at.Redacted(), err)
	}
	if int64(len(data)) > limit {
		return nil, "", fmt.Errorf("GET %s: %w: over %d bytes", at.Redacted(), render.ErrLimit, limit)
	}
	return data, answer.Header.Get("ETag"), nil
}

// redactedCause is an error without the URL that the library repeats, password and all.
func redactedCause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
