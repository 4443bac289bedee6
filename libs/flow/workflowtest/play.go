package workflowtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/libs/flow/operation"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/flow/stage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// play runs a workflow against scripted pods in virtual time.
type play struct {
	w      flow.World
	script map[string]flow.Pod
	fate   func(node string) flow.Pod // of pods that are not in the script; nil: they succeed
	found  map[flow.Lookup]flow.Answer
	orders []string // of people, each when nothing else moves
	locks  map[string][]string
	log    strings.Builder
	twin   *twin      // nil: nobody compares
	chance *rand.Rand // nil: one pod after the other
	open   []opening
	begun  map[string]bool // work without a pod, by node id
	// retries are orders to do an ended run again: from what failed, and from a node when one is named
	retries []string
	shown   map[string]bool // nodes whose work is written out, by name
}

func newPlay(t Transcript) (*play, error) {
	set, err := stage.Read(t.Manifest, stage.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return nil, err
	}
	p := &play{w: set.World, script: map[string]flow.Pod{}, found: set.Answers, locks: map[string][]string{},
		begun: map[string]bool{}, shown: map[string]bool{}}
	p.w.Namespace, p.w.UID = "ns", "u1"
	for line := range strings.Lines(t.Script) {
		if err := p.read(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("script: %q: %w", strings.TrimSpace(line), err)
		}
	}
	return p, nil
}

func (p *play) read(line string) error {
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	if what, ok := strings.CutPrefix(line, "found "); ok {
		return p.readFound(what)
	}
	if node, ok := strings.CutPrefix(line, "show "); ok {
		p.shown[node] = true
		return nil
	}
	if order, ok := strings.CutPrefix(line, "resume "); ok {
		p.orders = append(p.orders, order)
		return nil
	}
	if order, ok := strings.CutPrefix(line, "order "); ok {
		p.orders = append(p.orders, "="+order)
		return nil
	}
	if verb, node, _ := strings.Cut(line, " "); verb == "retry" {
		p.retries = append(p.retries, node)
		return nil
	}
	node, rest, ok := strings.Cut(line, ": ")
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return errors.New("is none of: NODE: PHASE [key=value ...], found KIND NAME [KEY] = YAML, resume NODE [key=value ...], show NODE, order suspend|shutdown=VALUE, retry [NODE]")
	}
	pod, err := podOf(words)
	p.script[node] = pod
	return err
}

func (p *play) readFound(what string) error {
	key, text, _ := strings.Cut(what, " = ")
	words := append(strings.Fields(key), "")
	if len(words) < 3 {
		return errors.New("found needs a kind and a name")
	}
	raw, err := yaml.YAMLToJSON([]byte(text))
	p.found[flow.Lookup{Kind: flow.LookupKind(words[0]), Name: words[1], Key: words[2]}] = flow.Answer{Value: raw}
	return err
}

// podPhases are those that a script may give.
var podPhases = []flow.PodPhase{flow.PodPending, flow.PodRunning, flow.PodSucceeded, flow.PodFailed, flow.PodLost}

func podOf(words []string) (flow.Pod, error) {
	pod := flow.Pod{Phase: flow.PodPhase(words[0]), Report: &protocol.Report{Parameters: map[string]string{}}}
	if !slices.Contains(podPhases, pod.Phase) {
		return pod, fmt.Errorf("phase %q is none of %v", pod.Phase, podPhases)
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "code":
			code, err := exitCode(value)
			if err != nil {
				return pod, err
			}
			pod.ExitCode = &code
		case "result":
			pod.Report.Result = &value
		case "message":
			pod.Message = value
		case "broken":
			pod.Broken = true
		case "ready":
			pod.Ready = true
		case "ip":
			pod.IP = value
		case "container", "used":
			if err := addPart(&pod, key, value); err != nil {
				return pod, err
			}
		case "artifact":
			pod.Report.Artifacts = append(pod.Report.Artifacts, value)
		case "error":
			pod.Report.Error = value
		default:
			pod.Report.Parameters[key] = value
		}
	}
	return pod, nil
}

// addPart adds a container of a set, or the seconds of cpu that the pod used.
func addPart(pod *flow.Pod, key, value string) error {
	if key == "container" {
		return addContainer(pod, value)
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fmt.Errorf("used %q is no number", value)
	}
	pod.Resources = nodes.Resources{"cpu": seconds}
	return nil
}

func exitCode(text string) (int32, error) {
	code, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("code %q is no exit code", text)
	}
	return int32(code), nil
}

func addContainer(pod *flow.Pod, text string) error {
	name, rest, _ := strings.Cut(text, ":")
	code, err := exitCode(rest)
	if err != nil {
		return err
	}
	if pod.Containers == nil {
		pod.Containers = map[string]flow.ContainerState{}
	}
	pod.Containers[name] = flow.ContainerState{Started: true, Ended: true, ExitCode: code}
	return nil
}

// rounds bounds a play: a workflow that is not done then goes round in circles.
const rounds = 10_000

// run returns what happened and the tree that came of it. An error means that the run cannot end, and comes with
// what there is.
func (p *play) run() (string, error) {
	for range rounds {
		d := engine.Decide(p.w)
		if p.twin != nil {
			if err := p.twin.follow(p.w, d); err != nil {
				return p.text(), fmt.Errorf("event by event it is decided otherwise: %w", err)
			}
		}
		p.apply(d)
		news, err := p.answer(d)
		if err != nil {
			return p.text(), err
		}
		if news {
			continue
		}
		if again := engine.Decide(p.w); !again.Empty() && p.w.Run.Phase == v1alpha1.WorkflowRunning {
			return p.text(), fmt.Errorf("a recorded decision gives new changes though nothing happened: %+v",
				again.Nodes)
		}
		if p.w.Run.Phase.Completed() {
			if p.retry() {
				continue
			}
			return p.text(), nil
		}
		if p.act(d) {
			continue
		}
		switch {
		case !d.Wake.IsZero():
			p.w.Now = d.Wake
		case len(p.orders) > 0:
			p.resume()
		default:
			return p.text(), errors.New("stuck: nothing is at work, and nothing will happen by itself")
		}
	}
	return p.text(), fmt.Errorf("no end after %d rounds", rounds)
}

func (p *play) text() string { return p.log.String() + p.tree() }

// answer finds out what was asked and grants locks that are free; false means that nothing was new.
func (p *play) answer(d flow.Decision) (bool, error) {
	news := false
	for _, action := range d.Actions {
		switch a := action.(type) {
		case flow.Acquire:
			news = p.acquire(a) || news
		case flow.Release:
			for name, holders := range p.locks {
				p.locks[name] = slices.DeleteFunc(holders, func(h string) bool { return h == a.Holder })
			}
			news = news || p.chance != nil && p.w.Held[a.Holder] // somebody may wait for it
			delete(p.w.Held, a.Holder)
		case flow.SaveMemo:
			raw, err := json.Marshal(flow.MemoEntry{NodeID: a.NodeID, Outputs: a.Outputs, CreationTimestamp: p.w.Now})
			if err != nil {
				return false, err
			}
			fmt.Fprintf(&p.log, "remember %s %s\n", a.ConfigMap, a.Key)
			p.found[flow.Lookup{Kind: flow.LookupMemo, Name: a.ConfigMap, Key: a.Key}] = flow.Answer{Value: raw}
		}
	}
	for _, n := range d.Lookups {
		a, ok := p.found[flow.Lookup{Kind: n.Kind, Name: n.Name, Key: n.Key}]
		if !ok {
			a = flow.Answer{Missing: "it does not exist"}
		}
		p.w.Answers[n], news = a, true
	}
	return news, nil
}

func (p *play) acquire(a flow.Acquire) bool {
	for _, l := range a.Locks {
		if len(p.locks[l.Name]) >= l.Limit {
			return false
		}
	}
	for _, l := range a.Locks {
		p.locks[l.Name] = append(p.locks[l.Name], a.Holder)
		p.locked(l, a)
	}
	p.w.Held[a.Holder] = true
	return true
}

// resume does what a person does who was waited for.
func (p *play) resume() {
	words := strings.Fields(p.orders[0])
	p.orders = p.orders[1:]
	if order, is := strings.CutPrefix(words[0], "="); is {
		p.perform(order)
		return
	}
	outputs := map[string]string{}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		outputs[key] = value
	}
	changed, err := operation.Resume(p.w.Run, func(n v1alpha1.NodeStatus) bool { return n.Name == words[0] }, outputs,
		p.w.Now)
	fmt.Fprintf(&p.log, "resume %s %d %v\n", words[0], len(changed), err)
	p.w.Run = p.w.Run.Apply(changed, nil)
	if p.twin != nil {
		p.twin.plan = nil
	}
}

// perform changes what a person may change of a workflow at work.
func (p *play) perform(order string) {
	field, value, _ := strings.Cut(order, "=")
	fmt.Fprintf(&p.log, "order %s=%s\n", field, value)
	if field == "shutdown" {
		p.w.Spec.Shutdown = value
		return
	}
	suspend := value == "true"
	p.w.Spec.Suspend = &suspend
}

func (p *play) apply(d flow.Decision) {
	p.w.Run = p.w.Run.Apply(d.Nodes, d.Run)
	for _, m := range d.Metrics {
		fmt.Fprintf(&p.log, "measure %s\n", measured(m))
	}
	if d.Run != nil && d.Run.Metadata != nil {
		for _, all := range []map[string]string{d.Run.Metadata.Labels, d.Run.Metadata.Annotations} {
			for _, name := range slices.Sorted(maps.Keys(all)) {
				fmt.Fprintf(&p.log, "mark %s=%s\n", name, all[name])
			}
		}
	}
}

// act plays one new pod from start to end; false means there is none.
func (p *play) act(d flow.Decision) bool {
	if p.chance != nil {
		return p.actByChance(d)
	}
	for _, a := range d.Actions {
		if p.actWithoutPod(a) {
			return true
		}
		create, ok := a.(flow.CreatePod)
		if !ok {
			continue
		}
		if _, seen := p.w.Pods[create.NodeID]; seen {
			continue
		}
		fmt.Fprintf(&p.log, "pod %s%s\n", create.NodeName, program(create.Template))
		p.show(create.NodeName, create.Template, create.Spec)
		p.w.Now = p.w.Now.Add(time.Second)
		p.w.Pods[create.NodeID] = p.outcome(create.NodeName)
		return true
	}
	return false
}

// outcome is what becomes of the pod of a node.
func (p *play) outcome(node string) flow.Pod {
	pod, scripted := p.script[node]
	if !scripted && p.fate != nil {
		return p.fate(node)
	}
	if !scripted {
		zero := int32(0)
		pod = flow.Pod{Phase: flow.PodSucceeded, ExitCode: &zero, Report: &protocol.Report{}}
	}
	return pod
}

func program(t v1alpha1.Template) string {
	if t.ContainerSet != nil {
		return " set"
	}
	if t.Script != nil {
		return " script " + strings.TrimSpace(t.Script.Source)
	}
	return " " + strings.Join(append(slices.Clone(t.Container.Command), t.Container.Args...), " ")
}

func (p *play) tree() string {
	var b strings.Builder
	fmt.Fprintf(&b, "workflow %s%s\n", p.w.Run.Phase, suffix(p.w.Run.Message))
	nodes := slices.SortedFunc(maps.Values(p.w.Run.Nodes),
		func(a, b v1alpha1.NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s%s %s %s%s%s\n", n.Name, shownAs(n), n.Type, n.Phase, suffix(n.Message),
			outputsText(n.Outputs))
	}
	return b.String()
}

// shownAs says under what other name a node is shown.
func shownAs(n v1alpha1.NodeStatus) string {
	if strings.HasSuffix(n.Name, n.DisplayName) {
		return ""
	}
	return " as " + n.DisplayName
}

func suffix(message string) string {
	if message == "" {
		return ""
	}
	return " (" + message + ")"
}

func outputsText(o *v1alpha1.Outputs) string {
	if o == nil {
		return ""
	}
	var b strings.Builder
	if o.Result != nil {
		b.WriteString(" result=" + *o.Result)
	}
	for _, p := range o.Parameters {
		value := "?"
		if p.Value != nil {
			value = p.Value.String()
		}
		b.WriteString(" " + p.Name + "=" + value)
	}
	for _, a := range o.Artifacts {
		b.WriteString(" " + a.Name + "@" + placeText(a.ArtifactLocation))
	}
	return b.String()
}
