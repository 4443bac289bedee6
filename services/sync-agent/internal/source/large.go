package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// Bounds of what is asked of Git LFS.
const (
	largeAtOnce  = 100 // files in one question. Source: Git LFS.
	maxBatch     = 4 << 20
	largeTimeout = 5 * time.Minute
	largeType    = "application/vnd.git-lfs+json"
)

// largeAction says where one file is.
type largeAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// largeObject is what a server says of one file. Source: the batch API of Git LFS.
type largeObject struct {
	OID     string `json:"oid"`
	Size    int    `json:"size"`
	Actions struct {
		Download *largeAction `json:"download"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// large puts the files of Git LFS in the place of their pointers.
func (s *Sources) large(ctx context.Context, m *git.Mirror, project string, blobs map[string][]byte) error {
	pointers := map[string]git.Pointer{}
	total := 0
	for id, text := range blobs {
		if p, is := git.PointerOf(text); is {
			pointers[id] = p
			if total += p.Size; total > git.MaxBytes {
				return fmt.Errorf("%w: over %d bytes in files of Git LFS", git.ErrLimit, git.MaxBytes)
			}
		}
	}
	ask := largeServer{s: s, m: m, project: project, known: map[string]largeAction{}}
	for _, id := range slices.Sorted(maps.Keys(pointers)) {
		text, err := m.Large(ctx, pointers[id], func(ctx context.Context) (io.ReadCloser, error) {
			return ask.open(ctx, pointers[id], pointers)
		})
		if err != nil {
			return fmt.Errorf("file of Git LFS: %w", err)
		}
		blobs[id] = text
	}
	return nil
}

// largeServer is that of one repository, asked for several files at once when the first is wanted.
type largeServer struct {
	s       *Sources
	m       *git.Mirror
	project string

	client *http.Client
	base   *url.URL
	header string // of the repository
	known  map[string]largeAction
}

// open begins to read one file.
func (l *largeServer) open(ctx context.Context, p git.Pointer, all map[string]git.Pointer) (io.ReadCloser, error) {
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	if _, is := l.known[p.OID]; !is {
		if err := l.ask(ctx, p, all); err != nil {
			return nil, err
		}
	}
	action := l.known[p.OID]
	to, err := url.Parse(action.Href)
	if err != nil || (to.Scheme != "https" && to.Scheme != l.base.Scheme) || to.User != nil {
		return nil, fmt.Errorf(
			"%w: the server of %s names no URL to read %s from", render.ErrSource, l.base.Host, p.OID,
		)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, action.Href, nil)
	if err != nil {
		return nil, err
	}
	// What opens the repository goes to its own host alone; another one is opened by what the server says for it.
	if to.Scheme == l.base.Scheme && to.Host == l.base.Host && l.header != "" {
		req.Header.Set("Authorization", l.header)
	}
	for name, value := range action.Header {
		req.Header.Set(name, value)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read %s from %s: %w", p.OID, to.Host, errors.Unwrap(err))
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // is not looked at
		return nil, fmt.Errorf("read %s from %s: it answers %s", p.OID, to.Host, resp.Status)
	}
	return resp.Body, nil
}

// connect finds out where the server is, and what opens it.
func (l *largeServer) connect(ctx context.Context) error {
	if l.client != nil {
		return nil
	}
	at, err := url.Parse(l.m.URL())
	if err != nil || (at.Scheme != "https" && at.Scheme != "http") {
		return fmt.Errorf(
			"%w: enableLfs: files of Git LFS are read over https; give the repository such a URL", render.ErrSource,
		)
	}
	r, err := l.s.repositories.find(ctx, l.m.URL(), l.project)
	if err != nil {
		return err
	}
	creds, err := r.git(ctx, l.s.tokens)
	if err != nil {
		return err
	}
	transport, err := r.transport()
	if err != nil {
		return err
	}
	at.User = nil
	at.Path = strings.TrimSuffix(strings.TrimSuffix(at.Path, "/"), ".git") + ".git/info/lfs"
	l.base, l.header = at, strings.TrimPrefix(creds.Header(), "Authorization: ")
	l.client = &http.Client{
		Transport: transport, Timeout: largeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// ask asks for one file and for others that are wanted, too.
func (l *largeServer) ask(ctx context.Context, first git.Pointer, all map[string]git.Pointer) error {
	type object struct {
		OID  string `json:"oid"`
		Size int    `json:"size"`
	}
	objects := []object{{first.OID, first.Size}}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		p := all[id]
		if _, is := l.known[p.OID]; !is && p.OID != first.OID && len(objects) < largeAtOnce {
			objects = append(objects, object{p.OID, p.Size})
		}
	}
	body, err := json.Marshal(map[string]any{
		"operation": "download", "transfers": []string{"basic"}, "objects": objects, "hash_algo": "sha256",
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, l.base.String()+"/objects/batch", bytes.NewReader(body),
	)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", largeType)
	req.Header.Set("Content-Type", largeType)
	if l.header != "" {
		req.Header.Set("Authorization", l.header)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s for files of Git LFS: %w", l.base.Host, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s for files of Git LFS: it answers %s", l.base.Host, resp.Status)
	}
	var said struct {
		Objects []largeObject `json:"objects"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBatch)).Decode(&said); err != nil {
		return fmt.Errorf("ask %s for files of Git LFS: %w", l.base.Host, err)
	}
	for _, o := range said.Objects {
		switch {
		case o.Error != nil && o.OID == first.OID:
			return fmt.Errorf("%w: %s of Git LFS: %d %s", render.ErrSource, o.OID, o.Error.Code, o.Error.Message)
		case o.Error == nil && o.Actions.Download != nil:
			l.known[o.OID] = *o.Actions.Download
		}
	}
	if _, is := l.known[first.OID]; !is {
		return fmt.Errorf("%w: %s of Git LFS is not on the server", render.ErrSource, first.OID)
	}
	return nil
}
