package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	pushes     = 8
	pushMaps   = 5
	gitPort    = 30080
	gitInside  = "http://git.argosy-demo.svc:8080/bench/config.git"
	pushLabel  = "argosy-bench"
	pushWithin = 60 * time.Second
)

// push times commits from `git push` to objects. The floor is the same objects
// applied directly.
func (b *bench) push(ctx context.Context) ([]Figure, error) {
	dir, err := os.MkdirTemp("", "argosy-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// A server that has no such repository makes it.
	if err := git(
		ctx, "", "clone", "--quiet", fmt.Sprintf("http://%s:%d/bench/config.git", b.Node, gitPort), dir,
	); err != nil {
		return nil, err
	}
	seen := newMapEvents()
	if err := b.watchMaps(ctx, seen); err != nil {
		return nil, err
	}
	defer seen.stop()
	if _, _, err := b.pushOnce(ctx, dir, nil, "start"); err != nil {
		return nil, err
	}
	// One that an interrupted run left behind is of no use: its namespace went.
	if err := client.IgnoreNotFound(b.client.Delete(ctx, application())); err != nil {
		return nil, fmt.Errorf("remove the application of an earlier run: %w", err)
	}
	if err := b.client.Create(ctx, application()); err != nil {
		return nil, fmt.Errorf("make the application: %w", err)
	}
	defer func() { _ = b.client.Delete(context.WithoutCancel(ctx), application()) }() // the namespace goes with the run
	if err := seen.wait(ctx, "pushed", "start"); err != nil {
		return nil, fmt.Errorf("first sync: %w", err)
	}
	var fromBegin, fromEnd, direct []float64
	for n := range pushes {
		stamp := fmt.Sprintf("%d-%d", n, time.Now().UnixNano())
		began, ended, err := b.pushOnce(ctx, dir, seen, stamp)
		if err != nil {
			return nil, err
		}
		begin, end := seen.at.Sub(began).Seconds(), seen.at.Sub(ended).Seconds()
		bare, err := b.applyDirectly(ctx, seen, stamp)
		if err != nil {
			return nil, err
		}
		b.sayf(
			"  push %d: %.3f s from its begin, %.3f s from its end, applied directly %.3f s", n+1, begin, end,
			bare.Seconds(),
		)
		fromBegin, fromEnd, direct = append(fromBegin, begin), append(fromEnd, end), append(direct, bare.Seconds())
	}
	note := fmt.Sprintf("%d ConfigMaps, n=%d", pushMaps, pushes)
	return []Figure{
		{
			Job: "push end to applied", Unit: "s", Value: SpreadOf(fromEnd), Floor: SpreadOf(direct),
			Aim: Under(0.3, "s"), Note: note,
		},
		{
			Job: "push begin to applied", Unit: "s", Value: SpreadOf(fromBegin), Floor: SpreadOf(direct),
			Note: note + ", with git push itself",
		},
	}, nil
}

// pushOnce commits and pushes; with sightings it waits for the objects. It returns
// when git push began and when it returned.
func (b *bench) pushOnce(
	ctx context.Context, dir string, seen *mapEvents, stamp string,
) (began, ended time.Time, err error) {
	for n := range pushMaps {
		text := fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pushed-%d\n  labels: {%s: pushed}\ndata:\n  stamp: %q\n",
			n, pushLabel, stamp,
		)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("map-%d.yaml", n)), []byte(text), 0o600); err != nil {
			return began, ended, err
		}
	}
	for _, args := range [][]string{
		{"add", "-A"}, {"commit", "--quiet", "--allow-empty", "-m", "config: stamp " + stamp},
	} {
		if err := git(ctx, dir, args...); err != nil {
			return began, ended, err
		}
	}
	began = time.Now()
	if err := git(ctx, dir, "push", "--quiet", "origin", "HEAD:refs/heads/main"); err != nil {
		return began, ended, err
	}
	ended = time.Now()
	if seen == nil {
		return began, ended, nil
	}
	return began, ended, seen.wait(ctx, "pushed", stamp)
}

func git(ctx context.Context, dir string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(
		os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=Bench",
		"GIT_COMMITTER_EMAIL=bench@example.com",
	)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// controlNamespace is where the sync-agent takes Applications from.
const controlNamespace = "argocd"

func application() *unstructured.Unstructured {
	app := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"project":     "default",
		"source":      map[string]any{"repoURL": gitInside, "targetRevision": "main", "path": "."},
		"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": namespace},
		"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}},
	}}}
	app.SetGroupVersionKind(v1alpha1.Kind("Application"))
	app.SetNamespace(controlNamespace)
	app.SetName("config")
	return app
}

// applyDirectly applies the same objects, under other names, without Git.
func (b *bench) applyDirectly(ctx context.Context, seen *mapEvents, stamp string) (time.Duration, error) {
	began := time.Now()
	for n := range pushMaps {
		o := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"stamp": stamp}}}
		o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		o.SetNamespace(namespace)
		o.SetName(fmt.Sprintf("direct-%d", n))
		o.SetLabels(map[string]string{pushLabel: "direct"})
		if err := b.client.Apply(
			ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("argosy-bench"), client.ForceOwnership,
		); err != nil {
			return 0, fmt.Errorf("apply %s: %w", o.GetName(), err)
		}
	}
	err := seen.wait(ctx, "direct", stamp)
	return seen.at.Sub(began), err
}

// mapEvents says when a set of objects was seen to carry a stamp.
type mapEvents struct {
	updates chan sighting
	stop    func()
	at      time.Time // when the last wait was over
}

type sighting struct {
	set, name, stamp string
	at               time.Time
}

func newMapEvents() *mapEvents {
	return &mapEvents{updates: make(chan sighting, 1024)} // more than one run makes
}

func (b *bench) watchMaps(ctx context.Context, seen *mapEvents) error {
	w, err := b.client.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(namespace))
	if err != nil {
		return fmt.Errorf("watch the objects: %w", err)
	}
	seen.stop = w.Stop
	go func() {
		defer close(seen.updates)
		for e := range w.ResultChan() {
			if m, ok := e.Object.(*corev1.ConfigMap); ok && e.Type != watch.Deleted {
				seen.updates <- sighting{m.Labels[pushLabel], m.Name, m.Data["stamp"], time.Now()}
			}
		}
	}()
	return nil
}

// wait returns when all objects of a set carry the stamp.
func (s *mapEvents) wait(ctx context.Context, set, stamp string) error {
	ctx, cancel := context.WithTimeout(ctx, pushWithin)
	defer cancel()
	done := map[string]bool{}
	for len(done) < pushMaps {
		select {
		case u, ok := <-s.updates:
			if !ok {
				return errors.New("the watch of the objects broke")
			}
			if u.set == set && u.stamp == stamp {
				done[u.name] = true
				s.at = u.at
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d objects were updated: %w", len(done), pushMaps, ctx.Err())
		}
	}
	return nil
}
