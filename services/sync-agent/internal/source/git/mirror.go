package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Store holds the mirrors below one folder. Safe for concurrent use.
type Store struct {
	dir  string
	file bool
	now  func() time.Time
	mu   sync.Mutex
	all  map[string]*Mirror
}

// Open makes a store in dir; file allows repositories on the local disk.
func Open(dir string, file bool) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of mirrors: %w", err)
	}
	return &Store{dir: dir, file: file, now: time.Now, all: map[string]*Mirror{}}, nil
}

// Mirror returns the mirror of a repository, made when it is not there yet. Other
// credentials mean another mirror: what one may read, another may not.
func (s *Store) Mirror(ctx context.Context, location string, creds Credentials) (*Mirror, error) {
	if err := check(location, s.file); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(location + "\x00" + creds.identity()))
	id := hex.EncodeToString(sum[:12])
	s.mu.Lock()
	m := s.all[id]
	if m == nil {
		transport := "http:https:ssh"
		if s.file {
			transport += ":file"
		}
		m = &Mirror{
			command: command{dir: filepath.Join(s.dir, id), transport: transport, url: location, creds: creds},
			now:     s.now,
			refs:    map[string]*tracked{},
			changes: newChanges(),
		}
		s.all[id] = m
	}
	m.used = s.now()
	s.mu.Unlock()
	m.renew(creds)
	return m, m.init(ctx)
}

// Mirror is the local copy of one repository.
type Mirror struct {
	command
	now     func() time.Time
	objects objects
	changes changes
	used    time.Time // when it was asked for last; the store's mutex guards it

	making sync.Mutex // held while the copy is set up
	made   bool

	mu     sync.Mutex
	latest Credentials         // tokens of one identity are renewed
	refs   map[string]*tracked // by full ref
	kind   map[string]string   // short name -> full ref
	picked map[string]picked   // by constraint
}

func (m *Mirror) renew(creds Credentials) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest = creds
}

// run executes git with the credentials of now.
func (m *Mirror) run(ctx context.Context, input io.Reader, extra []string, args ...string) ([]byte, error) {
	return m.current().run(ctx, input, extra, args...)
}

// current is the command with the credentials of now.
func (m *Mirror) current() command {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.command
	g.creds = m.latest
	return g
}

// tracked is one ref that is followed. Its mutex makes fetches of one ref take
// turns, and those of others not.
type tracked struct {
	mu  sync.Mutex
	sha string
	at  time.Time // when the remote was asked last
	// ended is when its answer was there.
	ended time.Time
}

func (m *Mirror) init(ctx context.Context) error {
	m.making.Lock()
	defer m.making.Unlock()
	if m.made {
		return nil
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("make the mirror of %s: %w", redact(m.url), err)
	}
	if err := m.creds.write(m.dir); err != nil {
		return fmt.Errorf("make the mirror of %s: %w", redact(m.url), err)
	}
	if err := m.unlock(); err != nil {
		return fmt.Errorf("make the mirror of %s: %w", redact(m.url), err)
	}
	// What an interrupted one left is completed: git init may be repeated.
	if _, err := m.run(ctx, nil, nil, "init", "--bare", "--quiet"); err != nil {
		return fmt.Errorf("make the mirror of %s: %w", redact(m.url), err)
	}
	m.made = true
	return nil
}

// unlock takes away the locks that a git of an earlier process left when it was killed: with one of them every later
// fetch would fail. Nobody else works in the mirror yet.
func (m *Mirror) unlock() error {
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "objects":
			return filepath.SkipDir // git's own upkeep takes what is left there
		case !d.IsDir() && strings.HasSuffix(d.Name(), ".lock"):
			return root.Remove(name)
		}
		return nil
	})
}

// Want says how fresh an answer must be.
type Want struct {
	Since     time.Time // the remote must have been asked at or after this
	SHA       string    // or the ref must be known to point here
	TagPrefix string    // of the tags among which a version is looked for
}

// Resolve returns the commit that revision stands for: HEAD, a branch, a tag, a constraint on versions among the
// tags, or a commit id. Branches and tags come first, also those whose names are digits. Its objects are in the
// mirror then.
func (m *Mirror) Resolve(ctx context.Context, revision string, want Want) (string, error) {
	if revision == "" {
		revision = "HEAD"
	}
	if err := plainRevision(revision); err != nil {
		return "", err
	}
	if isSHA(revision) {
		return revision, m.fetchCommit(ctx, revision)
	}
	ref, err := m.refOf(ctx, revision, want)
	if err != nil {
		return "", err
	}
	if ref == "" {
		return m.abbreviated(ctx, revision)
	}
	t := m.tracked(ref)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sha != "" && (t.sha == want.SHA || !t.at.Before(want.Since)) {
		return t.sha, nil
	}
	if want.SHA == "" {
		if err := t.gather(ctx, m.now()); err != nil {
			return "", err
		}
	}
	return m.fetch(ctx, ref, t)
}

// refOf is the branch or tag that a revision stands for, "" when it may be the beginning of a commit id.
func (m *Mirror) refOf(ctx context.Context, revision string, want Want) (string, error) {
	ref, err := m.fullRef(ctx, revision)
	if errors.Is(err, ErrNoRevision) {
		return m.pick(ctx, revision, want, err)
	}
	return ref, err
}

// gathering is the least time between two fetches of one ref that no push asked for: what many applications that come
// at once want to know is answered by one.
const gathering = 200 * time.Millisecond

// gather waits until the last fetch is long enough ago; who asks meanwhile is answered by the one that follows.
func (t *tracked) gather(ctx context.Context, now time.Time) error {
	left := gathering - now.Sub(t.ended)
	if t.ended.IsZero() || left <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(left):
		return nil
	}
}

// Branch returns the full name of a branch or of the default one for "".
func (m *Mirror) Branch(ctx context.Context, name string) (string, error) {
	if name != "" && name != "HEAD" {
		return "refs/heads/" + strings.TrimPrefix(name, "refs/heads/"), plainRef(name)
	}
	return m.fullRef(ctx, "HEAD")
}

func (m *Mirror) tracked(ref string) *tracked {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.refs[ref]
	if t == nil {
		t = &tracked{}
		m.refs[ref] = t
	}
	return t
}

// fetch brings one ref up to date. The caller holds t.
func (m *Mirror) fetch(ctx context.Context, ref string, t *tracked) (string, error) {
	began := m.now()
	local := "refs/argosy/" + strings.TrimPrefix(ref, "refs/")
	if _, err := m.run(
		ctx, nil, nil, "fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head", "--end-of-options", m.url,
		"+"+ref+":"+local,
	); err != nil {
		m.forget(ref)
		return "", fmt.Errorf("fetch %s of %s: %w", ref, redact(m.url), err)
	}
	out, err := m.run(ctx, nil, nil, "rev-parse", "--verify", "--end-of-options", local+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("%s of %s: %w", ref, redact(m.url), err)
	}
	t.sha, t.at, t.ended = strings.TrimSpace(string(out)), began, m.now()
	return t.sha, nil
}

// forget makes the next resolution ask again which kind of ref a name is: a
// branch may have become a tag, or the default branch another one.
func (m *Mirror) forget(ref string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for short, full := range m.kind {
		if full == ref {
			delete(m.kind, short)
		}
	}
}

func (m *Mirror) fetchCommit(ctx context.Context, commit string) error {
	if _, err := m.run(ctx, nil, nil, "cat-file", "-e", commit+"^{commit}"); err == nil {
		return nil
	}
	if _, err := m.run(
		ctx, nil, nil, "fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head", "--end-of-options", m.url,
		commit,
	); err != nil {
		return fmt.Errorf("fetch commit %s of %s: %w", commit, redact(m.url), err)
	}
	return nil
}

// fullRef finds out what kind of name revision is.
func (m *Mirror) fullRef(ctx context.Context, revision string) (string, error) {
	if strings.HasPrefix(revision, "refs/") {
		return revision, nil
	}
	if plainRef(revision) != nil {
		return "", fmt.Errorf("repository %s: revision %q: %w", redact(m.url), revision, ErrNoRevision)
	}
	m.mu.Lock()
	ref := m.kind[revision]
	m.mu.Unlock()
	if ref != "" {
		return ref, nil
	}
	out, err := m.run(
		ctx, nil, nil, "ls-remote", "--symref", "--end-of-options", m.url, "HEAD", "refs/heads/"+revision,
		"refs/tags/"+revision,
	)
	if err != nil {
		return "", fmt.Errorf("list refs of %s: %w", redact(m.url), err)
	}
	if ref = refIn(string(out), revision); ref == "" {
		return "", fmt.Errorf("repository %s: revision %q: %w", redact(m.url), revision, ErrNoRevision)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kind == nil {
		m.kind = map[string]string{}
	}
	m.kind[revision] = ref
	return ref, nil
}

// ErrNoRevision is wrapped by errors about a revision that the repository does
// not have.
var ErrNoRevision = errors.New("there is no such branch, tag or commit")

// refIn reads the answer of ls-remote; branches win over tags.
func refIn(listing, revision string) string {
	found := map[string]bool{}
	head := ""
	for line := range strings.Lines(listing) {
		left, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if target, ok := strings.CutPrefix(left, "ref: "); ok && name == "HEAD" {
			head = target
			continue
		}
		found[name] = true
	}
	if revision == "HEAD" {
		if head == "" && found["HEAD"] {
			return "HEAD" // detached
		}
		return head
	}
	for _, ref := range []string{"refs/heads/" + revision, "refs/tags/" + revision} {
		if found[ref] {
			return ref
		}
	}
	return ""
}

func isSHA(s string) bool {
	if len(s) != 40 {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}
