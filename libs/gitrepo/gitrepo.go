// Package gitrepo fetches Git repositories, checks a revision out and packs it for the pods that want it.
//
// A repository is fetched once for all pods that ask for the same within a short time: its archive lies in a folder of
// this process. What is fetched is bounded in bytes, files and time; a repository never makes this process read its own
// files. See docs/adr/0039-fetch-git-in-the-runner.md.
package gitrepo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"golang.org/x/sync/singleflight"
)

// Source is what is to be checked out. Source: Argo Workflows, the fields of its git artifact.
type Source struct {
	Repo         string
	Revision     string   // commit, branch or tag; "" is what HEAD of the repository is, or Branch
	Branch       string   // to clone; needed by Single
	Depth        int      // commits of each branch, 0 is all
	Fetch        []string // more refspecs
	Single       bool     // only Branch is fetched
	NoSubmodules bool
	SkipTLS      bool // any certificate is believed
	SkipHostKey  bool // any host key is believed

	User, Password string // for HTTP
	Key            string // private key for SSH, PEM

	Namespace string // in which the host of Repo is looked up; "" where that makes no difference
}

// Limits bound one repository, and what is kept of all.
type Limits struct {
	Bytes int64         // of one checkout on disk, its history included
	Files int64         // of one checkout
	Time  time.Duration // for one fetch
	Kept  int64         // bytes of all archives that are kept
	Age   time.Duration // how long an archive is handed out again
}

// DefaultLimits fit repositories of code.
func DefaultLimits() Limits {
	return Limits{Bytes: 2 << 30, Files: 1_000_000, Time: 15 * time.Minute, Kept: 4 << 30, Age: time.Minute}
}

// atOnce bounds the fetches under way: each holds the index of its objects in memory.
const atOnce = 2

// Config says how repositories are reached.
type Config struct {
	Dir        string // folder for fetches under way and archives; made when it is not there, and emptied
	KnownHosts string // file with the host keys of SSH servers, as ssh has it; "": only those that a manifest lets pass
	// Dial connects; nil connects as usual.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Limits Limits
	// AtOnce bounds the fetches under way; 0 is two. A namespace has at most a quarter of them, and at least two.
	AtOnce int
}

// Fetcher fetches repositories. Safe for concurrent use.
type Fetcher struct {
	config  Config
	slots   chan struct{}
	shares  map[string]chan struct{} // of slots, by namespace; under mu
	flights singleflight.Group
	now     func() time.Time

	mu   sync.Mutex
	kept map[[sha256.Size]byte]archive
}

// archive is a packed checkout in the folder.
type archive struct {
	path string
	size int64
	at   time.Time
}

// New makes a fetcher. What an earlier process left in the folder is removed: nobody reads it any more.
func New(c Config) (*Fetcher, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for checkouts: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(c.Dir, "checkout-*"))
	if err != nil {
		return nil, fmt.Errorf("look into the folder for checkouts: %w", err)
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("empty the folder for checkouts: %w", err)
		}
	}
	install()
	if c.AtOnce == 0 {
		c.AtOnce = atOnce
	}
	return &Fetcher{
		config: c, slots: make(chan struct{}, c.AtOnce), shares: map[string]chan struct{}{}, now: time.Now,
		kept: map[[sha256.Size]byte]archive{},
	}, nil
}

// Open returns a gzipped tar with one folder, the checkout. Errors of class poison are final: they are the repository's
// or the manifest's, and hold neither credentials nor addresses with them.
func (f *Fetcher) Open(ctx context.Context, s Source) (io.ReadCloser, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%q", []any{s}))
	if file, err := f.reuse(key); file != nil || err != nil {
		return file, err
	}
	// The fetch is not given up with the one that asked first: others wait for it, and that one asks again.
	flight := f.flights.DoChan(string(key[:]), func() (any, error) {
		return nil, f.fetch(context.WithoutCancel(ctx), key, s)
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case end := <-flight:
		if end.Err != nil {
			return nil, end.Err
		}
	}
	file, err := f.reuse(key)
	if file == nil && err == nil {
		err = errors.New("the archive was removed before it was read")
	}
	return file, err
}

// reuse opens an archive that is young enough. It may be removed while it is read.
func (f *Fetcher) reuse(key [sha256.Size]byte) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.kept[key]
	if !ok {
		return nil, nil
	}
	if f.now().Sub(a.at) > f.config.Limits.Age {
		f.drop(key)
		return nil, nil
	}
	file, err := os.Open(a.path)
	if err != nil {
		return nil, fmt.Errorf("open the archive of a checkout: %w", err)
	}
	return file, nil
}

// drop removes an archive. The lock is held.
func (f *Fetcher) drop(key [sha256.Size]byte) {
	_ = os.Remove(f.kept[key].path) // what stays is removed at the next start
	delete(f.kept, key)
}

// keep adds an archive and makes room for it: the old ones go first.
func (f *Fetcher) keep(key [sha256.Size]byte, a archive) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var total int64
	for other, b := range f.kept {
		if f.now().Sub(b.at) > f.config.Limits.Age {
			f.drop(other)
			continue
		}
		total += b.size
	}
	for total+a.size > f.config.Limits.Kept && len(f.kept) > 0 {
		oldest, found := key, false
		for other, b := range f.kept {
			if !found || b.at.Before(f.kept[oldest].at) {
				oldest, found = other, true
			}
		}
		total -= f.kept[oldest].size
		f.drop(oldest)
	}
	f.kept[key] = a
}

// enter waits for a slot, first for one of the namespace's: slow servers of one must not hold up all others.
func (f *Fetcher) enter(ctx context.Context, namespace string) (leave func(), err error) {
	f.mu.Lock()
	share := f.shares[namespace]
	if share == nil {
		share = make(chan struct{}, max(atOnce, f.config.AtOnce/4))
		f.shares[namespace] = share
	}
	f.mu.Unlock()
	for i, slots := range []chan struct{}{share, f.slots} {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-share
			}
			return nil, errors.New("too many repositories are being fetched")
		}
	}
	return func() { <-f.slots; <-share }, nil
}

// fetch brings a checkout into the folder, packs it and keeps the archive.
func (f *Fetcher) fetch(ctx context.Context, key [sha256.Size]byte, s Source) error {
	limit := f.config.Limits.Time
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fault.Poisonf("it takes longer than %s", limit))
	defer cancel()
	leave, err := f.enter(ctx, s.Namespace)
	if err != nil {
		return err
	}
	defer leave()
	dir, err := os.MkdirTemp(f.config.Dir, "checkout-*")
	if err != nil {
		return fmt.Errorf("make a folder for a checkout: %w", err)
	}
	defer os.RemoveAll(dir)
	work := filepath.Join(dir, "repository")
	if err := f.clone(ctx, work, s); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	path := filepath.Join(f.config.Dir, fmt.Sprintf("checkout-%x.tgz", key))
	size, err := packFile(path, work)
	if err != nil {
		return err
	}
	f.keep(key, archive{path: path, size: size, at: f.now()})
	return nil
}
