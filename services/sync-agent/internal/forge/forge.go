// Package forge opens pull requests. A forge is one file and one entry in kinds.
package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

const (
	timeout   = 15 * time.Second // of one request
	maxAnswer = 1 << 20          // bytes of an answer that are read
)

// Request is a pull request that should be open.
type Request struct {
	Kind       string // of the forge, as in kinds
	Repository string // URL that Git uses
	Project    string // whose credentials open the repository
	Base, Head string // branches
	Title      string
	Body       string
}

// Forges opens pull requests with the credentials of repositories. Safe for concurrent use.
type Forges struct {
	client *http.Client
	// token of a repository's Secret.
	token func(ctx context.Context, repository, project string) (string, error)
}

// New returns the forges. token finds what opens a repository.
func New(client *http.Client, token func(ctx context.Context, repository, project string) (string, error)) *Forges {
	own := *client
	own.Timeout = timeout
	// A token must not follow a redirect to another host.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Forges{client: &own, token: token}
}

// kind is one forge.
type kind struct {
	name string
	// open is done again when an attempt before it was cut off: a request that is open already is left as it is.
	open func(ctx context.Context, a api, r Request) error
}

var kinds = []kind{github, gitlab, gitea}

// Kinds are the names of all forges.
func Kinds() []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.name)
	}
	return out
}

// Open has a pull request be open. Where there is nothing to merge it does nothing.
func (f *Forges) Open(ctx context.Context, r Request) error {
	for _, k := range kinds {
		if k.name != r.Kind {
			continue
		}
		u, err := url.Parse(r.Repository)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return fault.Poisonf("open a pull request at %s: the repository is not reached by http or https", r.Kind)
		}
		token, err := f.token(ctx, r.Repository, r.Project)
		if err != nil {
			return err
		}
		if token == "" {
			return fault.Poisonf("open a pull request at %s: the repository's Secret has no password", r.Kind)
		}
		a := api{
			client: f.client, base: u.Scheme + "://" + u.Host, token: token,
			path: strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"),
		}
		if err := k.open(ctx, a, r); err != nil {
			return fmt.Errorf("open a pull request of %s at %s: %w", r.Head, r.Kind, err)
		}
		return nil
	}
	return fault.Poisonf("open a pull request: forge %q is none of %s", r.Kind, strings.Join(Kinds(), ", "))
}

// api speaks REST with one forge about one repository.
type api struct {
	client            *http.Client
	base, path, token string
	header            string // that holds the token, such as "Authorization: Bearer "
}

// answerError is an answer that says no.
type answerError struct {
	status int
	text   string
}

// Error gives the status and what the forge said.
func (e *answerError) Error() string {
	return fmt.Sprintf("the forge answers %d: %s", e.status, e.text)
}

// call asks and decodes the answer into into, unless that is nil.
func (a api) call(ctx context.Context, method, target string, body, into any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return err
	}
	name, prefix, _ := strings.Cut(a.header, ": ")
	req.Header.Set(name, prefix+a.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return a.refused(resp.StatusCode, string(text))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// refused classes an answer: the forge may be better later, or never.
func (a api) refused(status int, text string) error {
	if len(text) > 500 {
		text = text[:500]
	}
	err := error(&answerError{status, strings.ReplaceAll(text, a.token, "***")})
	if status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout {
		return err
	}
	return fault.AsPoison(err)
}

// escaped is a path with each of its parts escaped.
func escaped(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// ensure opens what find does not find. Between the two another replica may have opened it, and then create is refused:
// so what is refused is looked for again. Branches without a difference have nothing to be merged.
func ensure(find func() (bool, error), create func() error) error {
	if found, err := find(); found || err != nil {
		return err
	}
	err := create()
	if err == nil {
		return nil
	}
	if found, again := find(); found && again == nil {
		return nil
	}
	for _, sign := range []string{"No commits between", "no changes between", "There are no changes"} {
		if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(sign)) {
			return nil
		}
	}
	return err
}
