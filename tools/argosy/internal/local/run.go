// Package local runs workflows on this machine, without a cluster: the engine
// decides, and steps are containers of a local runtime or plain processes.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/libs/flow/stage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Config is what a run needs.
type Config struct {
	Stage   *stage.Stage
	Runtime Runtime
	Dir     string    // where artifacts are kept; it exists
	Out     io.Writer // what steps print, and how they end
	Log     func(format string, args ...any)
}

// Runtime runs one step to its end. An error means that it could not be run; how it
// ended is in the pod. It stops when ctx ends.
type Runtime interface {
	Run(ctx context.Context, job Job) (flow.Pod, error)
}

// Job is one step.
type Job struct {
	Node     string
	Name     string // of the pod: unique in the run
	Template v1alpha1.Template
	Inputs   map[string]string // file or folder of each input artifact, by name
	Outputs  map[string]string // where each output artifact is to lie, by name
	Out      io.Writer
}

// ended is news of a step.
type ended struct {
	id  string
	pod flow.Pod
}

// machine is one run at work.
type machine struct {
	Config
	world flow.World
	locks map[string][]string
	stop  map[string]context.CancelFunc
	news  chan ended
}

// Run runs a workflow to its end and returns its state.
func Run(ctx context.Context, c Config) (flow.Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &machine{
		Config: c, world: c.Stage.World, locks: map[string][]string{}, stop: map[string]context.CancelFunc{},
		news: make(chan ended),
	}
	for {
		m.world.Now = time.Now()
		d := engine.Decide(m.world)
		m.world.Run = m.world.Run.Apply(d.Nodes, d.Run)
		for _, n := range d.Nodes {
			m.show(n)
		}
		if m.world.Run.Phase.Completed() {
			cancel()
			m.drain()
			return m.world.Run, nil
		}
		if m.act(ctx, d) {
			continue
		}
		if err := m.wait(ctx, d.Wake); err != nil {
			m.drain()
			return m.world.Run, err
		}
	}
}

func (m *machine) show(n v1alpha1.NodeStatus) {
	if n.Phase.Fulfilled() && n.Type != v1alpha1.NodeTypeStepGroup && n.Type != v1alpha1.NodeTypeTaskGroup {
		message := ""
		if n.Message != "" {
			message = ": " + n.Message
		}
		m.Log("%-9s %s%s", n.Phase, n.Name, message)
	}
}

// wait returns when something happened, or when it is time to look again.
func (m *machine) wait(ctx context.Context, wake time.Time) error {
	if wake.IsZero() && len(m.stop) == 0 {
		return errors.New("nothing is at work, and nothing will happen by itself: a suspended step has no duration")
	}
	var alarm <-chan time.Time
	if !wake.IsZero() {
		alarm = time.After(time.Until(wake))
	}
	select {
	case e := <-m.news:
		m.settle(e)
	case <-alarm:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (m *machine) settle(e ended) {
	m.world.Pods[e.id] = e.pod
	m.stop[e.id]()
	delete(m.stop, e.id)
}

// drain waits for the steps that were told to stop.
func (m *machine) drain() {
	for _, stop := range m.stop {
		stop()
	}
	for len(m.stop) > 0 {
		m.settle(<-m.news)
	}
}

// act does what was decided; true means that more can be decided at once.
func (m *machine) act(ctx context.Context, d flow.Decision) bool {
	news := false
	for _, action := range d.Actions {
		switch a := action.(type) {
		case flow.CreatePod:
			m.create(ctx, a)
		case flow.StopPod:
			if stop := m.stop[a.NodeID]; stop != nil {
				stop()
			}
		case flow.Perform:
			m.world.Tasks[a.NodeID] = flow.Task{
				Phase: v1alpha1.NodeError, Message: "work without a container needs a cluster", At: time.Now(),
			}
			news = true
		case flow.StopTask: // none is at work
		case flow.SaveMemo:
			news = m.remember(a) || news
		case flow.Acquire:
			news = m.acquire(a) || news
		case flow.Release:
			for name, holders := range m.locks {
				m.locks[name] = slices.DeleteFunc(holders, func(h string) bool { return h == a.Holder })
			}
			delete(m.world.Held, a.Holder)
		}
	}
	for _, n := range d.Lookups {
		answer, ok := m.Stage.Answers[flow.Lookup{Kind: n.Kind, Name: n.Name, Key: n.Key}]
		if !ok {
			answer = flow.Answer{Missing: "it is not in the manifest"}
		}
		m.world.Answers[n], news = answer, true
	}
	return news
}

// remember keeps what a step came to for the others of its run.
func (m *machine) remember(a flow.SaveMemo) bool {
	raw, err := json.Marshal(flow.MemoEntry{NodeID: a.NodeID, Outputs: a.Outputs, CreationTimestamp: time.Now()})
	if err != nil {
		m.Log("remember %s: %v", a.Key, err)
		return false
	}
	m.Stage.Answers[flow.Lookup{Kind: flow.LookupMemo, Name: a.ConfigMap, Key: a.Key}] = flow.Answer{Value: raw}
	return true
}

func (m *machine) acquire(a flow.Acquire) bool {
	for _, l := range a.Locks {
		if len(m.locks[l.Name]) >= l.Limit {
			return false
		}
	}
	for _, l := range a.Locks {
		m.locks[l.Name] = append(m.locks[l.Name], a.Holder)
	}
	m.world.Held[a.Holder] = true
	return true
}

func (m *machine) create(ctx context.Context, a flow.CreatePod) {
	if _, known := m.world.Pods[a.NodeID]; known {
		return
	}
	m.world.Pods[a.NodeID] = flow.Pod{Name: a.PodName, Phase: flow.PodRunning, StartedAt: time.Now()}
	stepContext, stop := context.WithCancel(ctx)
	if !a.Deadline.IsZero() {
		stepContext, stop = context.WithDeadline(ctx, a.Deadline)
	}
	m.stop[a.NodeID] = stop
	m.Log("%-9s %s", "Running", a.NodeName)
	go func() {
		pod, err := m.run(stepContext, a)
		if err != nil {
			pod.Phase, pod.Broken, pod.Message = flow.PodFailed, true, err.Error()
		}
		pod.Name, pod.FinishedAt = a.PodName, time.Now()
		m.news <- ended{a.NodeID, pod}
	}()
}

func (m *machine) run(ctx context.Context, a flow.CreatePod) (flow.Pod, error) {
	job := Job{
		Node: a.NodeName, Name: a.PodName, Template: a.Template, Inputs: map[string]string{},
		Outputs: map[string]string{}, Out: m.Out,
	}
	if in := a.Template.Inputs; in != nil {
		for _, artifact := range in.Artifacts {
			path, err := m.input(a.PodName, artifact)
			if err != nil {
				return flow.Pod{}, fmt.Errorf("input artifact %q: %w", artifact.Name, err)
			}
			if path != "" {
				job.Inputs[artifact.Name] = path
			}
		}
	}
	if out := a.Template.Outputs; out != nil {
		for _, artifact := range out.Artifacts {
			if artifact.S3 == nil {
				return flow.Pod{}, fmt.Errorf("output artifact %q: it can only be kept here", artifact.Name)
			}
			path, err := m.place(artifact.S3.Key)
			if err != nil {
				return flow.Pod{}, fmt.Errorf("output artifact %q: %w", artifact.Name, err)
			}
			job.Outputs[artifact.Name] = path
		}
	}
	return m.Runtime.Run(ctx, job)
}

// place is where the artifact of a key lies, in a folder that exists.
func (m *machine) place(key string) (string, error) {
	if !filepath.IsLocal(key) {
		return "", fmt.Errorf("its key %q leads out of the store", key)
	}
	path := filepath.Join(m.Dir, key)
	return path, os.MkdirAll(filepath.Dir(path), 0o700)
}

// input returns where an artifact lies: a step of this run made it, or the manifest holds it.
func (m *machine) input(pod string, a v1alpha1.Artifact) (string, error) {
	if a.Raw != nil {
		path, err := m.place(filepath.Join("raw", pod, a.Name))
		if err != nil {
			return "", err
		}
		return path, os.WriteFile(path, []byte(a.Raw.Data), 0o600)
	}
	if a.S3 == nil {
		return "", errors.New("only artifacts of this run and raw ones are at hand here")
	}
	if a.SubPath != "" && !filepath.IsLocal(a.SubPath) {
		return "", fmt.Errorf("subPath %q leads out of the artifact", a.SubPath)
	}
	path, err := m.place(a.S3.Key)
	if err != nil {
		return "", err
	}
	path = filepath.Join(path, a.SubPath)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && a.Optional {
		return "", nil
	} else if err != nil {
		return "", errors.New("no step of this run made it")
	}
	return path, nil
}
