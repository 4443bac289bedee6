// Package world is a running product as end-to-end stories see it: a way to push a
// commit, to watch its chain on the bus, and to do harm to the parts.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/tools/demo/demo"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Services are the parts that a story may harm.
var Services = []string{"webhook-ingest", "sensor", "workflow-runner", "sync-agent", "rollout-analyzer"}

// World is one cluster with the demo on it.
type World struct {
	t    *testing.T
	Demo demo.Config
	Kube client.Client
	Bus  *bus.Bus // may only read
}

// Open connects to the cluster that `make e2e` brought up.
func Open(t *testing.T) *World {
	t.Helper()
	kubeconfig := os.Getenv("ARGOSY_E2E_KUBECONFIG")
	if kubeconfig == "" {
		t.Skip("needs the whole product on a node: run `make e2e`, which sets ARGOSY_E2E_KUBECONFIG")
	}
	w := &World{t: t, Demo: demo.Config{Kubeconfig: kubeconfig, Node: "127.0.0.1", Out: io.Discard}}
	cfg, err := w.Demo.Rest()
	w.must(err)
	w.Kube, err = client.New(cfg, client.Options{})
	w.must(err)
	w.Bus, err = w.Demo.Reader(t.Context())
	w.must(err)
	t.Cleanup(w.Bus.Close)
	t.Cleanup(w.aftermath)
	w.Await("bus answers", 30*time.Second, func() error { return w.Bus.Ready() })
	w.Rest()
	return w
}

// Context outlives the test's own, which ends before its cleanup runs.
func (w *World) Context() context.Context { return context.WithoutCancel(w.t.Context()) }

func (w *World) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Await repeats check until it is content.
func (w *World) Await(what string, patience time.Duration, check func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s: not after %s: %v", what, patience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Rest waits until nothing is under way: every service is up, the rollout is at
// rest, no workflow runs.
func (w *World) Rest() {
	w.t.Helper()
	w.Await("services are up", 2*time.Minute, w.servicesUp)
	w.Await("rollout is at rest", 2*time.Minute, func() error {
		phase, message := w.Rollout()
		if phase != string(v1alpha1.RolloutHealthy) && phase != string(v1alpha1.RolloutDegraded) {
			return fmt.Errorf("rollout is %s: %s", phase, message)
		}
		return nil
	})
	w.Await("workflows are finished", 2*time.Minute, func() error {
		for _, wf := range w.Workflows() {
			if phase, _, _ := unstructured.NestedString(
				wf.Object, "status", "phase",
			); !v1alpha1.WorkflowPhase(phase).Completed() {
				return fmt.Errorf("workflow %s is %q", wf.GetName(), phase)
			}
		}
		return nil
	})
}

func (w *World) servicesUp() error {
	var list appsv1.DeploymentList
	if err := w.Kube.List(w.Context(), &list, client.InNamespace("argosy")); err != nil {
		return err
	}
	for i := range list.Items {
		d := &list.Items[i]
		if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas != *d.Spec.Replicas ||
			d.Status.Replicas != *d.Spec.Replicas {
			return fmt.Errorf("%s has %d of %d available", d.Name, d.Status.AvailableReplicas, *d.Spec.Replicas)
		}
	}
	return nil
}

// Rollout is the phase of the app's rollout.
func (w *World) Rollout() (phase, message string) {
	w.t.Helper()
	o := object.New("Rollout")
	if err := w.Kube.Get(w.Context(), client.ObjectKey{Namespace: "demo-app", Name: "web"}, o); err != nil {
		return "", err.Error()
	}
	phase, _, _ = unstructured.NestedString(o.Object, "status", "phase")
	message, _, _ = unstructured.NestedString(o.Object, "status", "message")
	return phase, message
}

// Workflows lists those of the CI namespace.
func (w *World) Workflows() []unstructured.Unstructured {
	w.t.Helper()
	list := object.NewList("Workflow")
	w.must(w.Kube.List(w.Context(), list, client.InNamespace("ci")))
	return list.Items
}

// ReplicaSets lists those of the app that run the image of a commit.
func (w *World) ReplicaSets(commit string) []appsv1.ReplicaSet {
	w.t.Helper()
	var list, found = appsv1.ReplicaSetList{}, []appsv1.ReplicaSet{}
	w.must(w.Kube.List(w.Context(), &list, client.InNamespace("demo-app")))
	for i := range list.Items {
		if strings.HasSuffix(list.Items[i].Spec.Template.Spec.Containers[0].Image, ":"+commit[:12]) {
			found = append(found, list.Items[i])
		}
	}
	return found
}

// Kill ends every process of a service's binary with SIGKILL, and gives its pods
// up, so that the next one does not wait out the kubelet's back-off. The pids are
// those of the containers on this node.
func (w *World) Kill(service string) {
	w.t.Helper()
	pids := w.pids(service)
	if len(pids) == 0 {
		w.t.Fatalf("no process of %s runs on this node", service)
	}
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		w.must(err)
		if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			w.t.Fatalf("kill -9 %d (%s): %v", pid, service, err)
		}
	}
	now := int64(0)
	w.must(
		w.Kube.DeleteAllOf(
			w.Context(),
			&corev1.Pod{},
			client.InNamespace("argosy"),
			client.MatchingLabels{"app": service},
			&client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{GracePeriodSeconds: &now}},
		),
	)
}

// KillContainer ends the processes with SIGKILL and keeps the pod with its disk:
// the kubelet starts the container again.
func (w *World) KillContainer(program string) {
	w.t.Helper()
	pids := w.pids(program)
	if len(pids) == 0 {
		w.t.Fatalf("no process of %s runs on this node", program)
	}
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		w.must(err)
		w.must(p.Kill())
	}
}

// pids finds the processes of containers by the base name of their program.
func (w *World) pids(program string) []int {
	w.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	w.must(err)
	var pids []int
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it ended meanwhile
		}
		name, _, _ := strings.Cut(string(raw), "\x00")
		if filepath.Base(name) != program || !inPod(dir) {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(filepath.Base(dir), &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inPod keeps the hands off processes that are not the cluster's.
func inPod(proc string) bool {
	raw, err := os.ReadFile(filepath.Join(proc, "cgroup"))
	return err == nil && strings.Contains(string(raw), "kubepods")
}

// Scale sets the replicas of every service and waits until they are there.
func (w *World) Scale(replicas int32) {
	w.t.Helper()
	for _, name := range Services {
		d := &appsv1.Deployment{}
		key := client.ObjectKey{Namespace: "argosy", Name: name}
		w.Await("scale "+name, 10*time.Second, func() error {
			if err := w.Kube.Get(w.Context(), key, d); err != nil {
				return err
			}
			d.Spec.Replicas = &replicas
			return w.Kube.Update(w.Context(), d)
		})
	}
	w.Await("services are up", 2*time.Minute, w.servicesUp)
}
