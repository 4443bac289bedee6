package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/tools/demo/install"
	"github.com/argosy-mesh/argosy/tools/demo/internal/load"
	"github.com/argosy-mesh/argosy/tools/demo/internal/web"
)

// actPatience bounds one act.
const actPatience = 4 * time.Minute

// Settings are what a commit of the app's repository changes.
type Settings = web.Settings

// Stats is what the load generator counted.
type Stats = load.Stats

// act is one commit and what should come of it.
type act struct {
	title    string
	settings Settings
	want     string // the fact that ends it well
}

// Run plays both acts and returns an error unless each ends as it should.
func Run(ctx context.Context, c Config) error {
	b, err := c.Reader(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	stamp := time.Now().Format("0102-150405")
	good, bad := "good-"+stamp, "bad-"+stamp
	acts := []act{
		{"Act 1: a good commit", Settings{Version: good}, events.FactRolloutPromoted},
		{"Act 2: a commit that fails under load", Settings{Version: bad, FaultRate: 0.5}, events.FactRolloutAborted},
	}
	for n, a := range acts {
		fmt.Fprintf(c.Out, "\n== %s (%s)\n", a.title, a.settings.Version)
		if err := c.Reset(ctx); err != nil {
			return err
		}
		if err := c.play(ctx, b, a); err != nil {
			return fmt.Errorf("act %d: %w", n+1, err)
		}
		if err := c.judge(ctx, a, good); err != nil {
			return fmt.Errorf("act %d: %w", n+1, err)
		}
	}
	return nil
}

// Reader connects to the bus as somebody who may only look.
func (c Config) Reader(ctx context.Context) (*bus.Bus, error) {
	cfg, err := c.Rest()
	if err != nil {
		return nil, err
	}
	i, err := install.New(cfg, c.Out)
	if err != nil {
		return nil, err
	}
	var s corev1.Secret
	if err := i.Client().Get(ctx, client.ObjectKey{Namespace: "argosy", Name: "nats-reader"}, &s); err != nil {
		return nil, fmt.Errorf("read the bus password: %w", err)
	}
	return bus.Connect(
		bus.Config{
			URL: fmt.Sprintf("nats://%s:%d", c.Node, busPort), User: "reader", Password: string(s.Data["password"]),
			Name: "demo",
		},
	)
}

// Push commits settings to the app's repository and returns the commit.
func (c Config) Push(ctx context.Context, s Settings) (string, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return c.Commit(
		ctx, "app", "app: version "+s.Version, Write(map[string]string{"app/settings.json": string(raw) + "\n"}),
	)
}

func (c Config) play(ctx context.Context, b *bus.Bus, a act) error {
	ctx, cancel := context.WithTimeout(ctx, actPatience)
	defer cancel()
	s := newStory(c.Out)
	// Followed from before the push; the server needs a moment to start telling.
	told := make(chan error, 2)
	for stream, subject := range map[string]string{bus.Events: "events.>", bus.Facts: "facts.>"} {
		go func() { told <- b.Follow(ctx, stream, subject, false, s.see) }()
	}
	if err := s.wait(ctx, b); err != nil {
		return err
	}
	began := time.Now()
	commit, err := c.Push(ctx, a.settings)
	if err != nil {
		return err
	}
	s.start(commit, began)
	select {
	case err := <-told:
		if err != nil && !errors.Is(err, errStoryEnds) {
			return err
		}
	case <-s.done:
	case <-ctx.Done():
	}
	s.chain()
	if got := s.ending(); got != a.want {
		return fmt.Errorf("ended with %q, want %s", got, a.want)
	}
	if err := c.pods(ctx); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s\n", strings.TrimPrefix(a.want, "rollout."))
	return nil
}

// pods names the pods at the end of the chain: those of the stable version.
func (c Config) pods(ctx context.Context) error {
	cfg, err := c.Rest()
	if err != nil {
		return err
	}
	i, err := install.New(cfg, c.Out)
	if err != nil {
		return err
	}
	var sets appsv1.ReplicaSetList
	if err := i.Client().List(ctx, &sets, client.InNamespace("demo-app")); err != nil {
		return fmt.Errorf("list replica sets: %w", err)
	}
	for k := range sets.Items {
		set := &sets.Items[k]
		if set.Spec.Replicas == nil || *set.Spec.Replicas == 0 {
			continue
		}
		var pods corev1.PodList
		if err := i.Client().List(
			ctx, &pods, client.InNamespace("demo-app"), client.MatchingLabels(set.Spec.Selector.MatchLabels),
		); err != nil {
			return fmt.Errorf("list pods: %w", err)
		}
		var names []string
		for n := range pods.Items {
			names = append(names, pods.Items[n].Name)
		}
		fmt.Fprintf(c.Out, "pods of %s, caused by %s: %s\n", set.Spec.Template.Spec.Containers[0].Image,
			set.Annotations[events.AnnotationCorrelationID], strings.Join(names, " "))
	}
	return nil
}

// Reset makes the load generator count anew.
func (c Config) Reset(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.at(loadPort, "/reset"), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("reset the load's counters: %w", err)
	}
	return res.Body.Close()
}

// Stats reads what the load generator counted.
func (c Config) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.at(loadPort, "/stats"), nil)
	if err != nil {
		return s, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("read the load's counters: %w", err)
	}
	defer res.Body.Close()
	return s, json.NewDecoder(res.Body).Decode(&s)
}

// judge looks at what users saw.
func (c Config) judge(ctx context.Context, a act, good string) error {
	s, err := c.Stats(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "users: %d requests, %d failed, versions %v\n", s.Requests, s.Failed, s.Versions)
	if a.want == events.FactRolloutPromoted && s.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed (%s), want none", s.Failed, s.Requests, s.LastErr)
	}
	// The router needs a moment to learn its last weights.
	if err := settle(ctx); err != nil {
		return err
	}
	if err := c.Reset(ctx); err != nil {
		return err
	}
	if err := settle(ctx); err != nil {
		return err
	}
	if s, err = c.Stats(ctx); err != nil {
		return err
	}
	if s.Requests == 0 || s.Versions[good] != s.Requests {
		return fmt.Errorf("after the act users see %v of %d requests, want only %s", s.Versions, s.Requests, good)
	}
	fmt.Fprintf(c.Out, "users see only %s now\n", good)
	return nil
}

func settle(ctx context.Context) error {
	select {
	case <-time.After(2 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
