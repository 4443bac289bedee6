package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/crds"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// namespace is where manifests without one live.
const namespace = "argo-events"

// stage is a control plane, a bus and our services as processes on this machine.
type stage struct {
	dir        string // of everything below; removed at the end
	bin        string
	kubeconfig string
	kube       client.Client
	bus        *bus.Bus
	natsURL    string
	hooks      string // URL of webhook-ingest
	files      string // folder that the sensor may read
	logs       io.Writer
	undo       []func() // in reverse order
}

// raise starts everything. The caller ends it with strike, also after an error.
func (s *stage) raise(ctx context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "argosy-conformance-"); err != nil {
		return err
	}
	s.later(func() { _ = os.RemoveAll(s.dir) })
	if err := s.controlPlane(ctx); err != nil {
		return err
	}
	if err := s.startBus(ctx); err != nil {
		return err
	}
	s.files = filepath.Join(s.dir, "outside", "files")
	if err := os.MkdirAll(s.files, 0o755); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	s.hooks = "http://127.0.0.1:" + port
	services := map[string][]string{
		"webhook-ingest":  {"--listen", "127.0.0.1:" + port, "--local-log", filepath.Join(s.dir, "wal")},
		"sensor":          {"--files", s.files},
		"workflow-runner": nil,
	}
	for name, args := range services {
		if err := s.service(ctx, name, args...); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) later(f func()) { s.undo = append(s.undo, f) }

// strike ends what raise and others started.
func (s *stage) strike() {
	for _, undo := range slices.Backward(s.undo) {
		undo()
	}
	s.undo = nil
}

func (s *stage) controlPlane(ctx context.Context) error {
	dir, tool := filepath.Join(s.dir, "cluster"), filepath.Join(s.bin, "localcluster")
	s.later(func() {
		_ = exec.Command(tool, "down", "--dir", dir).Run() //nolint:noctx // it runs after the context has ended
	})
	if out, err := exec.CommandContext(
		ctx, tool, "up", "--control-plane-only", "--dir", dir,
	).CombinedOutput(); err != nil {
		return fmt.Errorf("start a control plane: %w: %s", err, out)
	}
	s.kubeconfig = filepath.Join(dir, "kubeconfig")
	cfg, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS = -1
	if s.kube, err = client.New(cfg, client.Options{}); err != nil {
		return err
	}
	return s.definitions(ctx)
}

// definitions applies our definitions and waits until the API serves each.
func (s *stage) definitions(ctx context.Context) error {
	files, err := crds.FS.ReadDir(".")
	if err != nil {
		return err
	}
	var kinds []string
	for _, f := range files {
		text, err := crds.FS.ReadFile(f.Name())
		if err != nil {
			return err
		}
		objects, err := documents(text)
		if err != nil {
			return err
		}
		for _, o := range objects {
			kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "listKind")
			kinds = append(kinds, kind)
			if err := s.apply(ctx, o); err != nil {
				return err
			}
		}
	}
	for _, kind := range kinds {
		err := s.await(ctx, time.Minute, func() error {
			list := &unstructured.UnstructuredList{}
			list.SetAPIVersion("argoproj.io/v1alpha1")
			list.SetKind(kind)
			return s.kube.List(ctx, list)
		})
		if err != nil {
			return fmt.Errorf("serve %s: %w", kind, err)
		}
	}
	return nil
}

func (s *stage) startBus(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := s.process(
		ctx, "nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", filepath.Join(s.dir, "nats"),
	); err != nil {
		return err
	}
	s.natsURL = "nats://127.0.0.1:" + port
	if s.bus, err = bus.Connect(bus.Config{URL: s.natsURL, Name: "conformance"}); err != nil {
		return err
	}
	s.later(s.bus.Close)
	return s.bus.AwaitDeclared(ctx, bus.DefaultLimits())
}

func (s *stage) service(ctx context.Context, name string, args ...string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	args = append(
		args, "--kubeconfig", s.kubeconfig, "--nats-url", s.natsURL, "--http-address", "127.0.0.1:"+port, "--instance",
		name, "--log-level", "warn",
	)
	return s.process(ctx, name, args...)
}

// process starts one of our programs; it is asked to stop at the end and killed if it does not.
func (s *stage) process(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.bin, name), args...)
	cmd.Stdout, cmd.Stderr = s.logs, s.logs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.later(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		hard := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer hard.Stop()
		_ = cmd.Wait()
	})
	return nil
}

// apply writes an object whatever was there before.
func (s *stage) apply(ctx context.Context, o *unstructured.Unstructured) error {
	o = o.DeepCopy()
	err := s.kube.Apply(
		ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("conformance"), client.ForceOwnership,
	)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// await repeats check until it is content.
func (s *stage) await(ctx context.Context, patience time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not after %s: %w", patience, err)
		case <-tick.C:
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// object is an object of the core API or another, from its parts.
func object(apiVersion, kind, name string, fields map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	maps.Copy(o.Object, fields)
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetName(name)
	return o
}
