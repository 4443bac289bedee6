package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/network"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/node"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/process"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/render"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
)

// Down ends the cluster and removes all it has made, but its logs. It asks no
// program of the cluster for anything, so that it works whatever has died, and
// may be run again after a failure. A directory without cluster is down.
func Down(ctx context.Context, dir string, progress io.Writer) error {
	c, err := state.Load(dir)
	if errors.Is(err, state.ErrNone) {
		fmt.Fprintln(progress, "no cluster in", dir)
		return nil
	}
	if err != nil {
		return err
	}
	release, err := lock(dir)
	if err != nil {
		return err
	}
	defer release()
	start := time.Now()
	s := newSession(c, progress)
	if err := s.stopAll(ctx); err != nil {
		return err
	}
	if c.Full() {
		if err := s.removeNode(ctx); err != nil {
			return err
		}
	}
	if err := s.removeFiles(ctx); err != nil {
		return err
	}
	s.sayf(
		"cluster %s is down in %s; its logs stay in %s", c.Name, time.Since(start).Round(10*time.Millisecond),
		c.Path("logs"),
	)
	return nil
}

// stopAll kills the programs. Their data goes too, so none has anything to
// save. What starts others ends before what it would restart.
func (s *session) stopAll(ctx context.Context) error {
	for _, first := range []string{"kubelet", "containerd"} {
		if err := s.programs.Stop(ctx, first, 0); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range s.programs.Names() {
		group.Go(func() error { return s.programs.Stop(ctx, name, 0) })
	}
	return group.Wait()
}

// removeNode ends the containers; with the last process of its mount namespace
// every mount and network namespace of the node is gone.
func (s *session) removeNode(ctx context.Context) error {
	shims := node.Shims(render.Socket(s.Cluster))
	dead := append(node.Members(s.CgroupRoot()), shims...)
	for _, pid := range shims {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := node.RemoveCgroup(ctx, s.CgroupRoot()); err != nil {
		return err
	}
	if err := network.Down(ctx, s.Cluster); err != nil {
		return err
	}
	if err := node.Remove(s.Made); err != nil {
		return err
	}
	s.awaitReaped(ctx, dead)
	return unclaim(s.Cluster)
}

// reapPatience bounds the wait for init.
const reapPatience = 10 * time.Second

// awaitReaped returns when ps lists none of the dead any more. That is up to init, not to us: no error.
func (s *session) awaitReaped(ctx context.Context, dead []int) {
	ctx, cancel := context.WithTimeout(ctx, reapPatience)
	defer cancel()
	if err := process.Poll(ctx, 20*time.Millisecond, func() error { return node.Reaped(dead) }); err != nil {
		s.sayf("init takes its time: %v", err)
	}
}

// removeFiles deletes the data, the state last. The kernel may take a moment
// to let go of a dead namespace's mounts.
func (s *session) removeFiles(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, name := range []string{
		"etcd", "containerd", "kubelet", "cni", "pods", "registries", "pki", "config", "run", "volumes", "kubeconfig",
		"state.json", "lock",
	} {
		err := process.Poll(ctx, 50*time.Millisecond, func() error { return os.RemoveAll(s.Path(name)) })
		if err != nil {
			return fmt.Errorf("remove data: %w", err)
		}
	}
	return nil
}
