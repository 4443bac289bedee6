package git

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// picked is the tag that a constraint on versions gave.
type picked struct {
	ref string
	at  time.Time // when the remote was asked
}

// plainRevision refuses what is neither the name of a ref nor a constraint.
func plainRevision(revision string) error {
	err := plainRef(revision)
	if err == nil {
		return nil
	}
	if _, ok := constraintOf(revision); ok {
		return nil
	}
	return err
}

// constraintOf reads a constraint on versions, such as 1.2.* or ">=1.2, <2". A version alone is the name of a tag.
func constraintOf(revision string) (*semver.Constraints, bool) {
	if len(revision) > 256 || strings.HasPrefix(revision, "-") {
		return nil, false
	}
	if _, err := semver.NewVersion(revision); err == nil {
		return nil, false
	}
	c, err := semver.NewConstraint(revision)
	return c, err == nil
}

// pick returns the tag of the highest version that a constraint allows; none when revision is no constraint and may be
// the beginning of a commit id, else missing.
func (m *Mirror) pick(ctx context.Context, revision string, want Want, missing error) (string, error) {
	c, ok := constraintOf(revision)
	if !ok {
		if short(revision) {
			return "", nil
		}
		return "", missing
	}
	key := want.TagPrefix + "\x00" + revision
	m.mu.Lock()
	known := m.picked[key]
	m.mu.Unlock()
	if known.ref != "" && !known.at.Before(want.Since) {
		return known.ref, nil
	}
	began := m.now()
	out, err := m.run(ctx, nil, nil, "ls-remote", "--tags", "--refs", "--end-of-options", m.url)
	if err != nil {
		return "", fmt.Errorf("list tags of %s: %w", redact(m.url), err)
	}
	best, tag := (*semver.Version)(nil), ""
	for line := range strings.Lines(string(out)) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		text, ok := strings.CutPrefix(strings.TrimPrefix(name, "refs/tags/"), want.TagPrefix)
		if !ok {
			continue
		}
		v, err := semver.NewVersion(text)
		if err == nil && c.Check(v) && (best == nil || v.GreaterThan(best)) {
			best, tag = v, name
		}
	}
	if tag == "" {
		return "", fmt.Errorf("repository %s: revision %q: no tag with a version that it allows: %w",
			redact(m.url), want.TagPrefix+revision, ErrNoRevision)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.picked == nil {
		m.picked = map[string]picked{}
	}
	m.picked[key] = picked{ref: tag, at: began}
	return tag, nil
}

// short reports whether a revision may be the beginning of a commit id.
func short(revision string) bool {
	if len(revision) < 7 || len(revision) > 40 || strings.ToLower(revision) != revision {
		return false
	}
	_, err := hex.DecodeString((revision + "0")[:len(revision)+len(revision)%2])
	return err == nil
}

// abbreviated finds the commit whose id begins so. No server tells it, so the commits are fetched, without what is in
// them, where the server can do that.
func (m *Mirror) abbreviated(ctx context.Context, revision string) (string, error) {
	m.mu.Lock()
	known := m.kind["commit:"+revision]
	g := m.command
	g.creds = m.latest
	m.mu.Unlock()
	if known != "" {
		return known, m.fetchCommit(ctx, known)
	}
	scratch, err := os.MkdirTemp("", "argosy-commits-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // what is left over is in a folder for such
	key := g.dir
	g.dir = scratch
	g.keys = key
	if _, err := g.run(ctx, nil, nil, "init", "--bare", "--quiet"); err != nil {
		return "", fmt.Errorf("look for commit %s of %s: %w", revision, redact(m.url), err)
	}
	if _, err := g.run(
		ctx, nil, nil, "fetch", "--quiet", "--no-tags", "--filter=tree:0", "--no-write-fetch-head", "--end-of-options",
		m.url, "+refs/heads/*:refs/heads/*",
	); err != nil {
		return "", fmt.Errorf("look for commit %s of %s: %w", revision, redact(m.url), err)
	}
	out, err := g.run(ctx, nil, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return "", errors.Join(
			fmt.Errorf("repository %s: revision %q: %w", redact(m.url), revision, ErrNoRevision),
			ctx.Err(),
		)
	}
	sha := strings.TrimSpace(string(out))
	m.mu.Lock()
	if m.kind == nil {
		m.kind = map[string]string{}
	}
	m.kind["commit:"+revision] = sha
	m.mu.Unlock()
	return sha, m.fetchCommit(ctx, sha)
}
