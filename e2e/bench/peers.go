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
	figures := tellTurns(fmt.Sprintf("%d B, %d connections", size, connections), all, results, floor, connections)
	for _, f := range figures {
		b.sayf("  %s: %s %s", f.Job, f.Value, f.Unit)
	}
	return figures, nil
}

// What the first build is to be, beside the peer and the bus.
const (
	ofPeer    = 2.5 // times its rate at judgedAt connections
	ofPeerOne = 1.2 // at one connection
	ofBus     = 0.6 // of the rate of the bus alone
)

// tellTurns makes the rows of one load. Those of the first contender have the others beside them: the peer, which is
// the last where there is one, the bus, and the second build.
func tellTurns(job string, all []*contender, results []turns, bus turns, connections int) (figures []Figure) {
	figures = make([]Figure, 0, 6*len(all)+4) // rows are filled in place
	row := func(what, unit string, samples []float64) *Figure {
		figures = append(figures, Figure{Job: job + ", " + what, Unit: unit, Value: SpreadOf(samples)})
		return &figures[len(figures)-1]
	}
	ours := results[0]
	for i, c := range all {
		t := results[i]
		rate := row("rate of "+c.name, "/s", t.rates)
		p50, p99 := row("p50 of "+c.name, "ms", t.p50s), row("p99 of "+c.name, "ms", t.p99s)
		cpu := row("CPU a hook of "+c.name, "us", t.cpu)
		row("CPU a hook of the bus of "+c.name, "us", t.busCPU)
		held := row("memory of "+c.name, "MiB", t.resides)
		if t.refused > 0 {
			rate.Note = fmt.Sprintf("%d refused", t.refused)
		}
		if peer := results[len(results)-1]; i == 0 && all[len(all)-1].peer {
			times := ofPeer
			if connections == 1 {
				times = ofPeerOne
			}
			rate.Floor, p50.Floor, p99.Floor, cpu.Floor, held.Floor = SpreadOf(peer.rates), SpreadOf(
				peer.p50s,
			), SpreadOf(peer.p99s), SpreadOf(peer.cpu), SpreadOf(peer.resides)
			rate.Aim = AtLeast(times*rate.Floor.Median, "/s")
			if connections == judgedAt {
				p99.Aim = Under(p99.Floor.Median, "ms")
			}
		}
	}
	if len(all) > 1 && !all[1].peer {
		f := row(fmt.Sprintf("CPU a hook of %s beside %s", all[0].name, all[1].name), "us", ours.cpu)
		f.Floor = SpreadOf(results[1].cpu)
		f.Aim = Under(f.Floor.Median/2, "us")
	}
	f := row(fmt.Sprintf("rate of %s beside the bus alone", all[0].name), "/s", ours.rates)
	f.Floor = SpreadOf(bus.rates)
	f.Aim = AtLeast(ofBus*f.Floor.Median, "/s")
	row("p99 of the bus alone", "ms", bus.p99s)
	row("CPU of the bus alone", "us", bus.busCPU)
	return figures
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
		out, err := exec.CommandContext(
			ctx,
			p.Localcluster,
			append(args, "--dir", dir)...).CombinedOutput()
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
				return false, nil // not served yet
			}
		}
		return true, nil
	})
}
