package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	namespace = "bench"  // ours, removed at the end
	control   = "argosy" // where the services run
)

// cleanPatience bounds the removal of what a run made.
const cleanPatience = 5 * time.Minute // ten thousand Sensors have a finalizer each

// mostWide is as many items as a loop may have.
const mostWide = 100_000

// Config says what to measure and where.
type Config struct {
	Kubeconfig string
	Node       string   // address of the node, for its ports; loopback or private
	Only       []string // parts to run; empty means all
	Runs       int      // repetitions of the pod jobs
	Wide       int      // pods of the wide workflow
	Image      string   // of the pods; it must be there and know echo
	Peers      Peers
	Out        io.Writer
}

// bench is one run of the command.
type bench struct {
	Config
	client client.WithWatch
}

// part measures one thing.
type part struct {
	name  string
	run   func(*bench, context.Context) ([]Figure, error)
	asked bool // it takes so long, or leaves so much behind, that it only runs when it is named
	alone bool // it needs no cluster
}

// parts are in the order of running: what must be idle first, what leaves load
// behind last.
var parts = []part{
	{name: "memory", run: (*bench).memory},
	{name: "chain", run: (*bench).chain},
	{name: "fanout", run: (*bench).fanout},
	{name: "engine", run: (*bench).engine},
	{name: "shares", run: (*bench).shares, asked: true},
	{name: "wide", run: (*bench).wide},
	{name: "executor", run: (*bench).executorImage},
	{name: "push", run: (*bench).push},
	{name: "apps", run: (*bench).apps, asked: true},
	{name: "triggers", run: (*bench).triggers},
	{name: "hooks", run: (*bench).hooks},
	{name: "sensors", run: (*bench).sensors, asked: true},
	{name: "peers", run: (*bench).peers, asked: true, alone: true},
}

// Parts are the names that Only may hold.
func Parts() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// Run measures. The figures that it has are returned even with an error.
func Run(ctx context.Context, c Config) (figures []Figure, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &bench{Config: c}
	if slices.ContainsFunc(parts, func(p part) bool { return !p.alone && c.wants(p) }) {
		end, err := b.onCluster(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	for _, p := range parts {
		if !c.wants(p) {
			continue
		}
		b.sayf("%s ...", p.name)
		found, failed := p.run(b, ctx)
		figures = append(figures, found...)
		if failed != nil {
			return figures, fmt.Errorf("measure %s: %w", p.name, failed)
		}
	}
	return figures, nil
}

// wants says whether a part runs: those that are named, or all that need not be. A peer that is there is asked for.
func (c Config) wants(p part) bool {
	return slices.Contains(c.Only, p.name) || len(c.Only) == 0 && (!p.asked || p.alone && c.Peers.Program != "")
}

// onCluster connects to the cluster and makes room there, which end removes.
func (b *bench) onCluster(ctx context.Context) (end func() error, err error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("load kubeconfig %q: %w", b.Kubeconfig, err)
	}
	cfg.QPS = -1
	if b.client, err = client.NewWithWatch(cfg, client.Options{}); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return func() error { return b.clean(ctx) }, b.begin(ctx)
}

func (c Config) check() error {
	for _, name := range c.Only {
		if !slices.Contains(Parts(), name) {
			return fmt.Errorf("unknown part %q: use %s", name, strings.Join(Parts(), ", "))
		}
	}
	if c.Runs < 1 {
		return fmt.Errorf("%d runs measure nothing", c.Runs)
	}
	if c.Wide < 1 || c.Wide > mostWide {
		return fmt.Errorf("a workflow of %d pods is not wide: use 1 to %d", c.Wide, mostWide)
	}
	if len(c.Peers.Builds) == 0 && slices.Contains(c.Only, "peers") {
		return errors.New("the part peers needs a build of webhook-ingest: name one with --build NAME=PATH")
	}
	// Load is sent to this machine and its cluster, never elsewhere.
	if ip := net.ParseIP(c.Node); ip == nil || !ip.IsLoopback() && !ip.IsPrivate() {
		return fmt.Errorf("node address %q is neither loopback nor private", c.Node)
	}
	return nil
}

func (b *bench) sayf(format string, args ...any) { fmt.Fprintf(b.Out, format+"\n", args...) }

// begin makes the namespace; one that an earlier run left behind is removed first.
func (b *bench) begin(ctx context.Context) error {
	if err := b.clean(ctx); err != nil {
		return err
	}
	if err := b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return fmt.Errorf("make namespace %s: %w", namespace, err)
	}
	// Pods are refused before their service account is there.
	return b.await(ctx, 20*time.Second, "the service account", func() (bool, error) {
		err := b.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{})
		return err == nil, client.IgnoreNotFound(err)
	})
}

// clean removes the namespace with all in it, also when ctx has ended.
func (b *bench) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanPatience)
	defer cancel()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	return b.await(ctx, cleanPatience, "the end of namespace "+namespace, func() (bool, error) {
		err := b.client.Delete(ctx, space)
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// await asks until the answer is yes. It is for setting up, never for measuring.
func (b *bench) await(ctx context.Context, patience time.Duration, what string, done func() (bool, error)) error {
	return eventually(ctx, patience, what, done)
}

// eventually asks until the answer is yes.
func eventually(ctx context.Context, patience time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
