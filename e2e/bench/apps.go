package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	manyApps     = 1000
	appPushes    = 20
	appWorkers   = 16 // as many as the agent reconciles at once
	appsInside   = "http://git.argosy-demo.svc:8080/bench/apps.git"
	appLabel     = "argosy-bench-app"
	appsWithin   = 10 * time.Minute
	idleSpan     = 5 * time.Minute
	strayObjects = 50_000
	straySpan    = 30 * time.Second
	fingerprints = "argosy_sync_renders_total"
)

// app is one of many applications, each of one object in a folder of its own.
type app struct {
	kind string // of its object
	n    int
}

func (a app) name() string {
	return fmt.Sprintf("%s-%04d", map[string]string{"ConfigMap": "map", "Deployment": "idle"}[a.kind], a.n)
}

// object is what the application holds; owner tells the application's from those applied by hand.
func (a app) object(owner, stamp string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{
		"name": owner + "-" + a.name(), "namespace": namespace, "labels": map[string]any{appLabel: owner},
	}}}
	if a.kind == "ConfigMap" {
		o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		o.Object["data"] = map[string]any{"stamp": stamp}
		return o
	}
	o.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	labels := map[string]any{"app": a.name()}
	o.Object["spec"] = map[string]any{
		"replicas": int64(0),
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec": map[string]any{"containers": []any{map[string]any{
				"name": "main", "image": "registry.local:5000/none:" + stamp,
			}}},
		},
	}
	return o
}

func (a app) application() *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"project":     "default",
		"source":      map[string]any{"repoURL": appsInside, "targetRevision": "main", "path": a.name()},
		"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": namespace},
		"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}},
	}}}
	o.SetGroupVersionKind(v1alpha1.Kind("Application"))
	o.SetNamespace(controlNamespace)
	o.SetName("bench-" + a.name())
	o.SetLabels(map[string]string{appLabel: "product"})
	return o
}

// apps measures many applications: how long they take from created to Synced, how long a push takes to the one of them
// that it changes, what they cost when nothing happens. The floor is the same objects applied by hand over as many
// connections.
func (b *bench) apps(ctx context.Context) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "argosy-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := git(
		ctx,
		"",
		"clone",
		"--quiet",
		fmt.Sprintf("http://%s:%d/bench/apps.git", b.Node, gitPort),
		dir,
	); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.sweepApps(context.WithoutCancel(ctx))) }()
	if err := b.sweepApps(ctx); err != nil {
		return nil, err
	}
	for _, kind := range []string{"ConfigMap", "Deployment"} {
		found, err := b.manyOf(ctx, dir, kind)
		figures = append(figures, found...)
		if err != nil {
			return figures, err
		}
		if kind == "ConfigMap" {
			found, err := b.manyAtRest(ctx, dir)
			figures = append(figures, found...)
			if err != nil {
				return figures, err
			}
			found, err = b.amongMany(ctx)
			figures = append(figures, found...)
			if err != nil {
				return figures, err
			}
		}
		if err := b.sweepApps(ctx); err != nil {
			return figures, err
		}
	}
	return figures, nil
}

// manyOf makes applications of one object each, and waits until all are Synced.
func (b *bench) manyOf(ctx context.Context, dir, kind string) ([]Figure, error) {
	all := make([]app, manyApps)
	for n := range all {
		all[n] = app{kind, n}
		if err := all[n].write(dir, "start"); err != nil {
			return nil, err
		}
	}
	if err := publish(ctx, dir, "apps: "+kind); err != nil {
		return nil, err
	}
	byHand := time.Now()
	if err := inParallel(all, func(a app) error {
		return b.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(a.object("hand", "start")),
			client.FieldOwner("argosy-bench"), client.ForceOwnership)
	}); err != nil {
		return nil, fmt.Errorf("apply by hand: %w", err)
	}
	floor := time.Since(byHand).Seconds()
	began := time.Now()
	if err := inParallel(all, func(a app) error { return b.client.Create(ctx, a.application()) }); err != nil {
		return nil, fmt.Errorf("make the applications: %w", err)
	}
	made := time.Since(began).Seconds()
	if err := b.untilSynced(ctx, manyApps); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	b.sayf(
		"  %d applications of one %s: made in %.1f s, Synced in %.1f s, by hand %.1f s",
		manyApps,
		kind,
		made,
		took,
		floor,
	)
	held, err := b.agent(ctx, "process_resident_memory_bytes")
	if err != nil {
		return nil, err
	}
	return []Figure{
		{
			Job:   fmt.Sprintf("%d applications of one %s, created to Synced", manyApps, kind),
			Unit:  "s",
			Value: SpreadOf([]float64{took}),
			Floor: SpreadOf([]float64{floor}),
			Aim:   OverFloor(60),
			Note: fmt.Sprintf(
				"made in %.1f s of it; floor: the same objects applied by hand, %d at once",
				made,
				appWorkers,
			),
		},
		{
			Job: fmt.Sprintf("memory of sync-agent with %d applications of one %s", manyApps, kind), Unit: "MiB",
			Value: SpreadOf([]float64{held / (1 << 20)}), Aim: Under(400, "MiB"),
		},
	}, nil
}

// manyAtRest pushes changes to one application after another, and then looks at what all cost when nothing happens.
func (b *bench) manyAtRest(ctx context.Context, dir string) ([]Figure, error) {
	renders, err := b.agent(ctx, fingerprints)
	if err != nil {
		return nil, err
	}
	var samples []float64
	for n := range appPushes {
		a, stamp := app{"ConfigMap", n * (manyApps / appPushes)}, fmt.Sprintf("%d-%d", n, time.Now().UnixNano())
		if err := a.write(dir, stamp); err != nil {
			return nil, err
		}
		if err := publish(ctx, dir, "apps: "+stamp); err != nil {
			return nil, err
		}
		pushed := time.Now()
		if err := b.untilStamped(ctx, a, stamp); err != nil {
			return nil, err
		}
		samples = append(samples, time.Since(pushed).Seconds())
	}
	slices.Sort(samples)
	worst := samples[len(samples)-1]
	after, err := b.agent(ctx, fingerprints)
	if err != nil {
		return nil, err
	}
	b.sayf(
		"  push to applied: %.3f s, most %.3f s; %.0f renders for %d pushes",
		samples[len(samples)/2],
		worst,
		after-renders,
		appPushes,
	)
	before, err := b.agent(ctx, "process_cpu_seconds_total")
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(idleSpan):
	}
	used, err := b.agent(ctx, "process_cpu_seconds_total")
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d applications in one repository, 1 of them changed, n=%d", manyApps, appPushes)
	return []Figure{
		{Job: "push end to the one changed", Unit: "s", Value: SpreadOf(samples), Aim: Under(0.3, "s"), Note: note},
		{
			Job:   "push end to the one changed, most",
			Unit:  "s",
			Value: SpreadOf([]float64{worst}),
			Aim:   Under(1, "s"),
			Note:  note,
		},
		{
			Job: "renders for each push", Value: SpreadOf([]float64{(after - renders) / appPushes}),
			Aim: Under(1.01, ""), Note: note,
		},
		{
			Job: "CPU of sync-agent at rest", Unit: "% of a core",
			Value: SpreadOf([]float64{(used - before) / idleSpan.Seconds() * 100}), Aim: Under(2, "%"),
			Note: fmt.Sprintf("%d applications, %s", manyApps, idleSpan),
		},
	}, nil
}

// amongMany fills the cluster with objects that no application has, of the kind that all applications are of.
func (b *bench) amongMany(ctx context.Context) ([]Figure, error) {
	all := make([]app, strayObjects)
	for n := range all {
		all[n] = app{"ConfigMap", n}
	}
	if err := inParallel(all, func(a app) error {
		o := a.object("stray", "x")
		o.SetLabels(map[string]string{appLabel: "stray"})
		return client.IgnoreAlreadyExists(b.client.Create(ctx, o))
	}); err != nil {
		return nil, fmt.Errorf("fill the cluster: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(straySpan):
	}
	held, err := b.agent(ctx, "process_resident_memory_bytes")
	if err != nil {
		return nil, err
	}
	b.sayf("  memory among %d objects of others: %.0f MiB", strayObjects, held/(1<<20))
	return []Figure{{
		Job: fmt.Sprintf("memory of sync-agent among %d objects of others", strayObjects), Unit: "MiB",
		Value: SpreadOf([]float64{held / (1 << 20)}), Aim: Under(300, "MiB"),
		Note: fmt.Sprintf("beside %d applications, all of them of the kind that is watched", manyApps),
	}}, nil
}

// write puts the application's object into its folder.
func (a app) write(dir, stamp string) error {
	text, err := yaml.Marshal(a.object("product", stamp).Object)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, a.name()), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, a.name(), "object.yaml"), text, 0o644)
}

// publish commits and pushes what a folder holds.
func publish(ctx context.Context, dir, message string) error {
	for _, args := range [][]string{
		{"add", "-A"}, {"commit", "--quiet", "--allow-empty", "-m", message},
		{"push", "--quiet", "origin", "HEAD:refs/heads/main"},
	} {
		if err := git(ctx, dir, args...); err != nil {
			return err
		}
	}
	return nil
}

// inParallel does something with each application, a bounded number at once.
func inParallel(all []app, do func(app) error) error {
	work := make(chan app)
	errs := make([]error, appWorkers)
	var group sync.WaitGroup
	for n := range appWorkers {
		group.Go(func() {
			for a := range work {
				errs[n] = errors.Join(errs[n], do(a))
			}
		})
	}
	for _, a := range all {
		work <- a
	}
	close(work)
	group.Wait()
	return errors.Join(errs...)
}

// untilSynced waits until a number of applications are Synced, by watch. The server ends the watch of one who is slow;
// it is begun anew then.
func (b *bench) untilSynced(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, appsWithin)
	defer cancel()
	done := map[string]bool{}
	note := func(o *unstructured.Unstructured) {
		if state, _, _ := unstructured.NestedString(o.Object, "status", "sync", "status"); state == "Synced" {
			done[o.GetName()] = true
		}
	}
	options := []client.ListOption{client.InNamespace(controlNamespace), client.MatchingLabels{appLabel: "product"}}
	for len(done) < want {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.Kind("ApplicationList"))
		if err := b.client.List(ctx, list, options...); err != nil {
			return fmt.Errorf("%d of %d applications are Synced: %w", len(done), want, errors.Join(err, ctx.Err()))
		}
		for i := range list.Items {
			note(&list.Items[i])
		}
		w, err := b.client.Watch(ctx, list, append(options, &client.ListOptions{
			Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()},
		})...)
		if err != nil {
			return fmt.Errorf("watch the applications: %w", err)
		}
		for e := range w.ResultChan() {
			if o, ok := e.Object.(*unstructured.Unstructured); ok {
				note(o)
			}
			if len(done) >= want {
				break
			}
		}
		w.Stop()
	}
	return nil
}

// untilStamped waits until an application's object carries a stamp, by watch.
func (b *bench) untilStamped(ctx context.Context, a app, stamp string) error {
	ctx, cancel := context.WithTimeout(ctx, pushWithin)
	defer cancel()
	name := a.object("product", stamp).GetName()
	w, err := b.client.Watch(
		ctx,
		&corev1.ConfigMapList{},
		client.InNamespace(namespace),
		client.MatchingFields{"metadata.name": name},
	)
	if err != nil {
		return fmt.Errorf("watch %s: %w", name, err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if m, ok := e.Object.(*corev1.ConfigMap); ok && m.Data["stamp"] == stamp {
			return nil
		}
	}
	return fmt.Errorf("%s does not say %s: %w", name, stamp, errors.Join(ctx.Err(), errors.New("the watch ended")))
}

// agent sums a metric over the replicas of sync-agent and its labels.
func (b *bench) agent(ctx context.Context, name string) (float64, error) {
	var pods corev1.PodList
	if err := b.client.List(
		ctx,
		&pods,
		client.InNamespace(control),
		client.MatchingLabels{"app.kubernetes.io/name": "sync-agent"},
	); err != nil {
		return 0, fmt.Errorf("list the pods of sync-agent: %w", err)
	}
	total := 0.0
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp != nil || pods.Items[i].Status.PodIP == "" {
			continue
		}
		v, err := metric(ctx, pods.Items[i].Status.PodIP, name)
		if err != nil {
			return 0, err
		}
		total += v
	}
	return total, nil
}

// sweepApps removes what is there of applications, their objects and those applied by hand.
func (b *bench) sweepApps(ctx context.Context) error {
	application := &unstructured.Unstructured{}
	application.SetGroupVersionKind(v1alpha1.Kind("Application"))
	all := client.HasLabels{appLabel}
	return errors.Join(
		b.deleteAll(ctx, application, controlNamespace, all),
		b.deleteAll(ctx, &corev1.ConfigMap{}, namespace, all),
		b.deleteAll(ctx, &appsv1.Deployment{}, namespace, all),
	)
}

// sweeps is how often the rest is deleted of what one request did not get to.
const sweeps = 20

// deleteAll deletes objects that may be more than the server can delete in the time that it gives one request, which it
// then ends in one way or another.
func (b *bench) deleteAll(ctx context.Context, kind client.Object, in string, those client.HasLabels) error {
	ctx, cancel := context.WithTimeout(ctx, appsWithin)
	defer cancel()
	var err error
	for range sweeps {
		if err = b.client.DeleteAllOf(ctx, kind, client.InNamespace(in), those); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
