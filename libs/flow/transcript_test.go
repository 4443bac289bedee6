package flow

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the expected half of each transcript")

// A transcript is three parts parted by lines of "----": a Workflow, what its pods
// will do ("<node name>: <phase> [key=value ...]"; others succeed) or what is found
// and done outside ("found <kind> <name> [key] = <YAML>", "resume <node> [key=value
// ...]"), and the tree that comes of it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.SplitN(string(raw), "----\n", 3)
			if len(parts) < 2 {
				t.Fatal("a transcript has three parts")
			}
			got := newPlay(t, parts[0], parts[1]).run()
			if *update {
				text := parts[0] + "----\n" + parts[1] + "----\n" + got
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(parts[2], got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// play runs a workflow against scripted pods in virtual time.
type play struct {
	t      *testing.T
	w      World
	script map[string]Pod
	under  map[string]bool // tasks that were begun, by node id
	found  map[Need]Answer
	orders []string // of people, each when nothing else moves
	locks  map[string][]string
	log    strings.Builder
}

func newPlay(t *testing.T, manifest, script string) *play {
	t.Helper()
	var wf v1alpha1.Workflow
	if err := yaml.Unmarshal([]byte(manifest), &wf); err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, script: map[string]Pod{}, under: map[string]bool{}, found: map[Need]Answer{}, locks: map[string][]string{}}
	p.w = World{Name: orDefault(wf.Name, "wf"), Namespace: "ns", UID: "u1", Labels: wf.Labels, Spec: wf.Spec, Pods: map[string]Pod{}, Tasks: map[string]Task{}, Found: map[Need]Answer{}, Held: map[string]bool{},
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for line := range strings.Lines(script) {
		p.read(strings.TrimSpace(line))
	}
	return p
}

func (p *play) read(line string) {
	if what, ok := strings.CutPrefix(line, "found "); ok {
		key, text, _ := strings.Cut(what, " = ")
		raw, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			p.t.Fatal(err)
		}
		words := append(strings.Fields(key), "")
		p.found[Need{Kind: NeedKind(words[0]), Name: words[1], Key: words[2]}] = Answer{Value: raw}
		return
	}
	if order, ok := strings.CutPrefix(line, "resume "); ok {
		p.orders = append(p.orders, order)
		return
	}
	if node, rest, ok := strings.Cut(line, ": "); ok {
		p.script[node] = p.pod(strings.Fields(rest))
	}
}

func (p *play) pod(words []string) Pod {
	pod := Pod{Phase: PodPhase(words[0]), Report: &protocol.Report{Parameters: map[string]string{}}}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "code":
			var code int32
			if _, err := fmt.Sscan(value, &code); err != nil {
				return Pod{Phase: PodFailed, Message: err.Error()}
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
		case "container":
			name, code, _ := strings.Cut(value, ":")
			if pod.Containers == nil {
				pod.Containers = map[string]ContainerState{}
			}
			pod.Containers[name] = ContainerState{Started: true, Ended: true, ExitCode: int32(code[0] - '0')}
		case "artifact":
			pod.Report.Artifacts = append(pod.Report.Artifacts, value)
		case "error":
			pod.Report.Error = value
		default:
			pod.Report.Parameters[key] = value
		}
	}
	return pod
}

func (p *play) run() string {
	for range 1000 {
		d := Decide(p.w)
		p.apply(d)
		if p.answer(d) {
			continue
		}
		if again := Decide(p.w); !again.Empty() && p.w.Run.Phase == v1alpha1.WorkflowRunning {
			p.t.Fatalf("a recorded decision gives new changes though nothing happened: %+v", again.Nodes)
		}
		if p.w.Run.Phase.Completed() {
			return p.log.String() + p.tree()
		}
		if !p.act(d) {
			switch {
			case d.Wake.IsZero() && len(p.orders) > 0:
				p.resume()
			case d.Wake.IsZero():
				p.t.Fatalf("stuck\n%s%s", p.log.String(), p.tree())
			default:
				p.w.Now = d.Wake
			}
		}
	}
	p.t.Fatal("no end after 1000 rounds")
	return ""
}

// answer finds out what was asked and grants locks that are free; false means that nothing was new.
func (p *play) answer(d Decision) bool {
	news := false
	for _, action := range d.Actions {
		switch a := action.(type) {
		case Acquire:
			news = p.acquire(a) || news
		case Release:
			for name, holders := range p.locks {
				p.locks[name] = slices.DeleteFunc(holders, func(h string) bool { return h == a.Holder })
			}
			delete(p.w.Held, a.Holder)
		case SaveMemo:
			raw, err := json.Marshal(MemoEntry{NodeID: a.NodeID, Outputs: a.Outputs, CreationTimestamp: p.w.Now})
			if err != nil {
				p.t.Fatal(err)
			}
			fmt.Fprintf(&p.log, "remember %s %s\n", a.ConfigMap, a.Key)
			p.found[Need{Kind: NeedMemo, Name: a.ConfigMap, Key: a.Key}] = Answer{Value: raw}
		}
	}
	for _, n := range d.Needs {
		a, ok := p.found[Need{Kind: n.Kind, Name: n.Name, Key: n.Key}]
		if !ok {
			a = Answer{Missing: "it does not exist"}
		}
		p.w.Found[n], news = a, true
	}
	return news
}

func (p *play) acquire(a Acquire) bool {
	for _, l := range a.Locks {
		if len(p.locks[l.Name]) >= l.Limit {
			return false
		}
	}
	for _, l := range a.Locks {
		p.locks[l.Name] = append(p.locks[l.Name], a.Holder)
		fmt.Fprintf(&p.log, "lock %s for %s\n", l.Name, p.w.Run.Nodes[a.Holder].Name)
	}
	p.w.Held[a.Holder] = true
	return true
}

// resume does what a person does who was waited for.
func (p *play) resume() {
	words := strings.Fields(p.orders[0])
	p.orders = p.orders[1:]
	outputs := map[string]string{}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		outputs[key] = value
	}
	changed, err := Resume(p.w.Run, func(n v1alpha1.NodeStatus) bool { return n.Name == words[0] }, outputs, p.w.Now)
	fmt.Fprintf(&p.log, "resume %s %d %v\n", words[0], len(changed), err)
	p.w.Run = p.w.Run.Apply(changed, nil)
}

func (p *play) apply(d Decision) { p.w.Run = p.w.Run.Apply(d.Nodes, d.Run) }

// act plays one new pod from start to end; false means there is none.
func (p *play) act(d Decision) bool {
	for _, a := range d.Actions {
		if work, is := a.(Perform); is && p.perform(work) {
			return true
		}
		if stop, is := a.(StopTask); is && p.under[stop.NodeID] {
			fmt.Fprintf(&p.log, "give up %s\n", p.w.Run.Nodes[stop.NodeID].Name)
			delete(p.under, stop.NodeID)
		}
		create, ok := a.(CreatePod)
		if !ok {
			continue
		}
		if _, seen := p.w.Pods[create.NodeID]; seen {
			continue
		}
		fmt.Fprintf(&p.log, "pod %s%s\n", create.NodeName, program(create.Template))
		p.w.Now = p.w.Now.Add(time.Second)
		pod, scripted := p.script[create.NodeName]
		if !scripted {
			zero := int32(0)
			pod = Pod{Phase: PodSucceeded, ExitCode: &zero, Report: &protocol.Report{}}
		}
		p.w.Pods[create.NodeID] = pod
		return true
	}
	return false
}

// perform plays work without a pod from start to end; what is scripted as Running never ends. False means that nothing
// is new.
func (p *play) perform(a Perform) bool {
	if p.under[a.NodeID] {
		return false
	}
	p.under[a.NodeID] = true
	fmt.Fprintf(&p.log, "perform %s %s\n", a.NodeName, work(a))
	p.w.Now = p.w.Now.Add(time.Second)
	end := Task{Phase: v1alpha1.NodeSucceeded, At: p.w.Now}
	if pod, scripted := p.script[a.NodeName]; scripted {
		end.Phase, end.Message, end.Outputs = v1alpha1.NodePhase(pod.Phase), pod.Message, &v1alpha1.Outputs{Result: pod.Report.Result}
		for name, value := range pod.Report.Parameters {
			end.Outputs.Parameters = append(end.Outputs.Parameters, v1alpha1.Parameter{Name: name, Value: v1alpha1.AnyStringPtr(value)})
		}
	}
	if end.Phase.Fulfilled() {
		p.w.Tasks[a.NodeID] = end
	}
	return true
}

func work(a Perform) string {
	t := a.Template
	switch {
	case t.HTTP != nil:
		return strings.Join([]string{"http", t.HTTP.Method, t.HTTP.URL, t.HTTP.Body}, " ")
	case t.Resource != nil && t.Resource.ManifestFrom != nil:
		return "resource " + t.Resource.Action + " of " + t.Resource.ManifestFrom.Artifact.S3.Key + " as " + a.Account
	case t.Resource != nil:
		return "resource " + t.Resource.Action + " " + t.Resource.Manifest + " as " + a.Account
	}
	return "data"
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
	nodes := slices.SortedFunc(maps.Values(p.w.Run.Nodes), func(a, b v1alpha1.NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s %s %s%s%s\n", n.Name, n.Type, n.Phase, suffix(n.Message), outputsText(n.Outputs))
	}
	return b.String()
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
		b.WriteString(" " + a.Name + "@" + a.S3.Key)
	}
	return b.String()
}
