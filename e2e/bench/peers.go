package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/argosy-mesh/argosy/schemas/crds"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Peers says what is compared without a cluster: each contender is a process of this machine with a bus of its own,
// and an API server alone holds the EventSource for those that are ours.
type Peers struct {
	Program      string        // argo-events of tools/peers; empty leaves the peer out
	NATS         string        // nats-server
	Localcluster string        // makes the API server
	Builds       []Build       // of webhook-ingest; the first one is judged
	Rounds       int           // turns of each contender
	Time         time.Duration // of a turn
	Connections  []int         // how many send at once; one after the other
	Kubeconfig   string        // of an API server that is there; empty makes one
}

// Build is a program of ours and how it is called in the figures.
type Build struct{ Name, Path string }

// turnPause lets what a turn left behind come to rest.
const turnPause = time.Second

// peers measures the same hooks at our builds and at the peer, by turns, and at the bus alone.
func (b *bench) peers(ctx context.Context) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "argosy-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, secret := b.Peers, rand.Text()
	if p.Kubeconfig == "" {
		down, err := p.apiServer(ctx, filepath.Join(dir, "api"))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, down()) }()
		p.Kubeconfig = filepath.Join(dir, "api", "kubeconfig")
	}
	if err := declare(ctx, p.Kubeconfig, secret); err != nil {
		return nil, err
	}
	var all []*contender
	defer func() {
		for _, c := range all {
			c.stop()
		}
	}()
	for _, build := range p.Builds {
		c, err := startOurs(ctx, p, build, filepath.Join(dir, build.Name), secret)
		if c != nil {
			all = append(all, c)
		}
		if err != nil {
			return nil, err
		}
	}
	if p.Program != "" {
		defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(peerSecrets))) }()
		c, err := startPeer(ctx, p, filepath.Join(dir, "peer"), secret)
		if c != nil {
			all = append(all, c)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, connections := range p.Connections {
		for _, size := range []int{smallBody, largeBody} {
			found, err := b.contest(ctx, all, size, connections)
			if err != nil {
				return figures, err
			}
			figures = append(figures, found...)
		}
	}
	return figures, nil
}

// turns are the samples of one contender.
type turns struct {
	rates, p50s, p99s    []float64
	cpu, busCPU, resides []float64 // microseconds a hook of the front and of its bus; MiB
	refused              int
}

// contest gives each contender a turn, again and again, and the bus alone as well.
func (b *bench) contest(ctx context.Context, all []*contender, size, connections int) ([]Figure, error) {
	body := pushBody(size)
	results := make([]turns, len(all))
	var floor turns
	for range b.Peers.Rounds {
		if err := b.floorTurn(ctx, all[0], &floor, body, connections); err != nil {
			return nil, err
		}
		for i, c := range all {
			if err := b.turn(ctx, c, &results[i], body, connections); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	var figures []Figure
	add := func(who, what, unit string, samples []float64) {
		job := fmt.Sprintf("%d B, %d connections, %s: %s", size, connections, what, who)
		f := Figure{Job: job, Unit: unit, Value: SpreadOf(samples)}
		figures = append(figures, f)
		b.sayf("  %-60s %s %s", job, f.Value, unit)
	}
	row := func(who string, t turns, front bool) {
		add(who, "rate", "/s", t.rates)
		add(who, "p50", "ms", t.p50s)
		add(who, "p99", "ms", t.p99s)
		if front {
			add(who, "CPU a hook", "us", t.cpu)
			add(who, "memory", "MiB", t.resides)
		}
		add(who, "CPU a hook of its bus", "us", t.busCPU)
	}
	row("the bus alone", floor, false)
	for i, c := range all {
		row(c.name, results[i], true)
		if results[i].refused > 0 {
			figures[len(figures)-1].Note = fmt.Sprintf("%d refused", results[i].refused)
		}
	}
	return figures, nil
}

func (b *bench) turn(ctx context.Context, c *contender, t *turns, body []byte, connections int) error {
	front, err := c.front.usage()
	if err != nil {
		return err
	}
	post, done := c.sender.poster(body, connections)
	defer done()
	err = b.measured(ctx, c, t, connections, post)
	if err != nil {
		return err
	}
	after, err := c.front.usage()
	if err != nil {
		return err
	}
	n := t.rates[len(t.rates)-1] * b.Peers.Time.Seconds()
	t.cpu = append(t.cpu, float64((after.cpu-front.cpu).Microseconds())/n)
	t.resides = append(t.resides, float64(after.bytes)/(1<<20))
	return nil
}

// measured drives one load, with the bus watched, and empties the stream behind it.
func (b *bench) measured(ctx context.Context, c *contender, t *turns, connections int, try attempt) error {
	before, err := c.server.usage()
	if err != nil {
		return err
	}
	o, err := drive(ctx, load{connections, b.Peers.Time, 1 << 30}, try)
	if err != nil {
		return err
	}
	after, err := c.server.usage()
	if err != nil {
		return err
	}
	t.rates, t.p50s, t.p99s = append(t.rates, o.rate()), append(t.p50s, o.ms(50)), append(t.p99s, o.ms(99))
	t.busCPU = append(t.busCPU, float64((after.cpu-before.cpu).Microseconds())/float64(len(o.took)))
	t.refused += o.refused
	time.Sleep(turnPause)
	return c.empty(ctx)
}

// floorTurn publishes over as many connections as hooks come by.
func (b *bench) floorTurn(ctx context.Context, c *contender, t *turns, body []byte, connections int) error {
	idle := make(chan attempt, connections)
	for range connections {
		nc, err := nats.Connect(c.bus.url)
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		idle <- (&busFloor{nc: nc, js: js}).publisher(body)
	}
	return b.measured(ctx, c, t, connections, func(ctx context.Context, n int64) (bool, error) {
		publish := <-idle
		defer func() { idle <- publish }()
		return publish(ctx, n)
	})
}

// apiServer makes one without nodes.
func (p Peers) apiServer(ctx context.Context, dir string) (down func() error, err error) {
	run := func(ctx context.Context, args ...string) error {
		out, err := exec.CommandContext(ctx, p.Localcluster, append(args, "--dir", dir)...).CombinedOutput() //nolint:gosec // named by whoever measures
		if err != nil {
			return fmt.Errorf("localcluster %v: %w: %s", args, err, out)
		}
		return nil
	}
	if err := run(ctx, "up", "--control-plane-only"); err != nil {
		return nil, err
	}
	return func() error { return run(context.WithoutCancel(ctx), "down") }, nil
}

// declare brings definitions, EventSource and secret to an API server.
func declare(ctx context.Context, kubeconfig, secret string) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("load kubeconfig %q: %w", kubeconfig, err)
	}
	k, err := client.New(cfg, client.Options{})
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	files, err := crds.FS.ReadDir(".")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := crds.FS.ReadFile(f.Name())
		if err != nil {
			return err
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &o.Object); err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
		if err := k.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("declare %s: %w", f.Name(), err)
		}
	}
	return eventually(ctx, time.Minute, "the definitions to be served", func() (bool, error) {
		for _, o := range []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, hookSecret(secret), eventSource("12000"),
		} {
			if err := k.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
				return false, nil //nolint:nilerr // not served yet
			}
		}
		return true, nil
	})
}
