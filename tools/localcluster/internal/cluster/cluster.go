// Package cluster brings a cluster up, tells how it is, and takes it down.
//
// Every program of it runs in a session of its own and outlives the command.
// Up starts what does not run and waits until it answers; Down, which needs
// nothing to be alive, removes all that a cluster has made on the machine.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/certs"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/kubeapi"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/process"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/toolchain"
)

// Options are what Up is asked for.
type Options struct {
	Dir         string
	Name        string
	Mode        state.Mode
	Controllers bool              // run kube-controller-manager beside a bare control plane
	Registries  map[string]string // host in image references -> URL that the node pulls from
	Aliases     map[string]string // name in pods -> DNS name
	AlwaysPull  bool
	Find        toolchain.Finder
	Kube        string // path of the kube binary; empty looks for it
	Progress    io.Writer
}

// session is a cluster while a command works on it.
type session struct {
	*state.Cluster
	programs  process.Set
	authority *certs.Authority
	api       *kubeapi.Client
	progress  io.Writer
	kube      string
	coredns   string
	pause     string
}

func newSession(c *state.Cluster, progress io.Writer) *session {
	return &session{
		Cluster: c, progress: progress,
		programs: process.Set{Run: c.Path("run"), Logs: c.Path("logs")},
	}
}

func (s *session) sayf(format string, args ...any) { fmt.Fprintf(s.progress, format+"\n", args...) }

// connect makes the client of the API server; the certificates must be there.
func (s *session) connect() error {
	authority, err := certs.Open(s.Path("pki"))
	if err != nil {
		return err
	}
	s.authority = authority
	s.api, err = kubeapi.New(s.APIServer(), s.identity())
	return err
}

func (s *session) identity() kubeapi.Identity {
	return kubeapi.Identity{CA: s.authority.Cert("ca"), Cert: s.authority.Cert("admin"), Key: s.authority.Key("admin")}
}

// Kubeconfig is the path of the administrator's kubeconfig.
func Kubeconfig(dir string) (string, error) {
	c, err := open(dir)
	if err != nil {
		return "", err
	}
	return c.Path("kubeconfig"), nil
}

func open(dir string) (*state.Cluster, error) {
	c, err := state.Load(dir)
	if errors.Is(err, state.ErrNone) {
		return nil, fmt.Errorf("%w; start one with: localcluster up --dir %s", err, dir)
	}
	return c, err
}

// lock keeps two commands from working on one directory at a time.
func lock(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cluster directory: %w", err)
	}
	return lockFile(filepath.Join(dir, "lock"))
}

func lockFile(path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}

// answers turns a path of the API server into a readiness check.
func (s *session) answers(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.api.Get(ctx, path)
		return err
	}
}
