package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/certs"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/network"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/node"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/process"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/render"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/toolchain"
)

// patience is how long a program may take until it answers: many times what it
// takes on a quiet machine.
const patience = 90 * time.Second

// unverified talks to programs of ours on loopback that sign for themselves.
var unverified = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // only a health check, on loopback
}}

// Up starts whatever of the cluster does not run, and returns when it works.
func Up(ctx context.Context, o Options) error {
	start := time.Now()
	release, err := lock(o.Dir)
	if err != nil {
		return err
	}
	defer release()
	c, err := plan(o)
	if err != nil {
		return err
	}
	s := newSession(c, o.Progress)
	if err := s.find(ctx, o); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	for _, stage := range s.stages() {
		if err := s.startAll(ctx, stage); err != nil {
			return err
		}
	}
	if s.Full() {
		if err := s.finishNode(ctx); err != nil {
			return err
		}
	}
	s.sayf(
		"cluster %s is up in %s: export KUBECONFIG=%s", c.Name, time.Since(start).Round(10*time.Millisecond),
		c.Path("kubeconfig"),
	)
	return nil
}

// find looks for, or builds, the programs.
func (s *session) find(ctx context.Context, o Options) error {
	var err error
	if s.kube = o.Kube; s.kube == "" {
		if s.kube, err = o.Find.Find(ctx, toolchain.Kube); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.kube); err != nil {
		return fmt.Errorf("the kube binary: %w", err)
	}
	if !s.Full() {
		return nil
	}
	if s.coredns, err = o.Find.Find(ctx, toolchain.CoreDNS); err != nil {
		return err
	}
	s.pause, err = o.Find.Find(ctx, toolchain.Pause)
	return err
}

// prepare lays everything down that the programs read. The state goes first:
// from here on, Down finds what a crash leaves.
func (s *session) prepare(ctx context.Context) error {
	if s.Full() {
		if err := checkMachine(s.Cluster); err != nil {
			return err
		}
		if err := claim(s.Cluster); err != nil {
			return err
		}
	}
	if err := s.Save(); err != nil {
		return err
	}
	if err := s.credentials(); err != nil {
		return err
	}
	if !s.Full() {
		return nil
	}
	if err := network.Up(ctx, s.Cluster); err != nil {
		return err
	}
	if err := node.MakeCgroup(s.CgroupRoot()); err != nil {
		return err
	}
	if err := render.Node(s.input()); err != nil {
		return err
	}
	return s.holdNamespace(ctx)
}

func (s *session) input() render.Input {
	raw, _ := os.ReadFile("/etc/resolv.conf")
	return render.Input{Cluster: s.Cluster, Nameservers: render.Nameservers(string(raw))}
}

func (s *session) credentials() error {
	authority, err := certs.Open(s.Path("pki"))
	if err != nil {
		return err
	}
	masters := []string{"system:masters"}
	hosts := []string{
		"127.0.0.1", "localhost", render.ServiceAddress(s.Cluster, 1), "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
	if s.Full() {
		hosts = append(hosts, s.Network.Gateway)
	}
	for _, request := range []certs.Request{
		{Name: "admin", Groups: masters},
		{Name: "etcd", Hosts: []string{"127.0.0.1", "localhost"}},
		{Name: "apiserver", Hosts: hosts},
		{Name: "service-account"},
		{Name: "kube-controller-manager", User: "system:kube-controller-manager"},
		{Name: "kube-scheduler", User: "system:kube-scheduler"},
		{Name: "kube-proxy", User: "system:kube-proxy"},
		{Name: "coredns", Groups: masters},
		{
			Name: "kubelet", User: "system:node:" + s.NodeName(), Groups: []string{"system:nodes"},
			Hosts: []string{s.NodeName(), s.Network.Gateway},
		},
	} {
		if err := authority.Issue(request); err != nil {
			return err
		}
	}
	if err := s.connect(); err != nil {
		return err
	}
	return s.kubeconfigs()
}

func (s *session) kubeconfigs() error {
	if err := os.MkdirAll(s.Path("config"), 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	paths := map[string]string{"admin": s.Path("kubeconfig")}
	for _, user := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "coredns"} {
		paths[user] = s.config(user)
	}
	for user, path := range paths {
		text, err := s.authority.Kubeconfig(s.Name, s.APIServer(), user)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return fmt.Errorf("write kubeconfig: %w", err)
		}
	}
	return nil
}

// holder is the program that keeps the node's mount namespace.
const holder = "node-namespace"

// holdNamespace makes the mount namespace, or joins the one that survivors of
// a dead holder are in.
func (s *session) holdNamespace(ctx context.Context) error {
	if s.programs.Pid(holder) != 0 {
		return nil
	}
	made, err := node.MakePrivate()
	s.Made = append(s.Made, made...)
	if err := errors.Join(err, s.Save(), os.MkdirAll(s.Path("kubelet"), 0o750)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	spec := process.Spec{Name: holder, Argv: []string{self, "hold", s.Path("kubelet")}, Cloneflags: syscall.CLONE_NEWNS}
	for _, pid := range append(
		[]int{s.programs.Pid("containerd"), s.programs.Pid("kubelet")}, node.Shims(render.Socket(s.Cluster))...,
	) {
		if pid != 0 && node.Holds(pid) {
			spec.Argv, spec.Cloneflags = node.Enter(pid, spec.Argv), 0
			break
		}
	}
	p := program{name: holder, ready: func(context.Context) error {
		if !node.Holds(s.programs.Pid(holder)) {
			return errors.New("its mounts are not there")
		}
		return nil
	}}
	return s.start(ctx, p, spec)
}

// startAll starts the programs that do not run and waits for all.
func (s *session) startAll(ctx context.Context, stage []program) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range stage {
		argv := p.argv
		if p.inNode {
			argv = node.Enter(s.programs.Pid(holder), argv)
		}
		group.Go(func() error { return s.start(ctx, p, process.Spec{Name: p.name, Argv: argv}) })
	}
	return group.Wait()
}

// start starts a program unless it runs, and waits until it answers. One that
// ends meanwhile is not waited for.
func (s *session) start(ctx context.Context, p program, spec process.Spec) error {
	start := time.Now()
	fresh := s.programs.Pid(p.name) == 0
	if fresh {
		if err := s.programs.Start(spec); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := process.Poll(waiting, 50*time.Millisecond, func() error {
		err := p.ready(waiting)
		// Asked last: another program may have the port, and answer for a dead one.
		if s.programs.Pid(p.name) == 0 {
			cancel()
			return errors.New("it has ended")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf(
			"%s does not work: %w\nthe end of %s:\n%s", p.name, err, s.programs.Log(p.name),
			s.programs.Tail(p.name, 15),
		)
	}
	if fresh {
		s.sayf("%-24s %s", p.name, time.Since(start).Round(10*time.Millisecond))
	}
	return nil
}

// finishNode gives the cluster its first objects and its sandbox image, and
// waits until the node takes pods.
func (s *session) finishNode(ctx context.Context) error {
	if err := s.loadPause(ctx); err != nil {
		return err
	}
	objects, err := render.Objects(s.input())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, object := range objects {
		err := process.Poll(
			ctx,
			100*time.Millisecond,
			func() error { return s.api.Apply(ctx, object.Path, object.YAML) },
		)
		if err != nil {
			return fmt.Errorf("apply first objects: %w", err)
		}
	}
	start := time.Now()
	if err := process.Poll(ctx, 100*time.Millisecond, func() error { return s.nodeReady(ctx) }); err != nil {
		return fmt.Errorf("%w\nthe end of %s:\n%s", err, s.programs.Log("kubelet"), s.programs.Tail("kubelet", 15))
	}
	s.sayf("%-24s %s", "node ready", time.Since(start).Round(10*time.Millisecond))
	return process.Poll(ctx, 100*time.Millisecond, func() error {
		_, err := s.api.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		return err
	})
}

func (s *session) nodeReady(ctx context.Context) error {
	raw, err := s.api.Get(ctx, "/api/v1/nodes/"+s.NodeName())
	if err != nil {
		return fmt.Errorf("read node: %w", err)
	}
	var object struct {
		Status struct {
			Conditions []struct {
				Type    string `json:"type"`
				Status  string `json:"status"`
				Message string `json:"message"`
			} `json:"conditions"`
		} `json:"status"`
		Spec struct {
			Taints []struct {
				Key string `json:"key"`
			} `json:"taints"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return fmt.Errorf("parse node: %w", err)
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" && len(object.Spec.Taints) == 0 {
			return nil
		}
	}
	return fmt.Errorf("the node is not ready: %+v, taints %+v", object.Status.Conditions, object.Spec.Taints)
}
