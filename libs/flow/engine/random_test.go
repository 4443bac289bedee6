package engine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/flow/workflowtest"
)

// writer makes up workflows.
type writer struct {
	*rand.Rand
	b     strings.Builder
	hooks bool
	tight bool // few pods at once: a template that waits for a lock must not keep its holder's pods out
}

// often is true once in n times.
func (w *writer) often(n int) bool { return w.IntN(n) == 0 }

func (w *writer) linef(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

// workflow is one with templates of all kinds, each of which calls only those behind it.
func (w *writer) workflow() string {
	const templates = 4
	w.hooks = w.often(4)
	w.linef("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: wf}\nspec:\n  entrypoint: t0")
	if w.tight = w.often(2); w.tight {
		w.linef("  parallelism: %d", 1+w.IntN(3))
	}
	if w.often(6) {
		w.linef("  activeDeadlineSeconds: %d", 5+w.IntN(60))
	}
	if w.often(4) {
		w.linef("  onExit: t%d", templates-1)
	}
	if w.often(8) {
		w.linef("  synchronization: {mutexes: [{name: whole}]}")
	}
	w.linef("  templates:")
	for i := range templates {
		switch {
		case i > 1 && w.often(2), i == templates-1:
			w.head(i, true)
			w.leaf()
		case w.often(2):
			w.dag(i, templates)
		default:
			w.steps(i, templates)
		}
	}
	return w.b.String()
}

func (w *writer) head(i int, leaf bool) {
	w.linef("  - name: t%d", i)
	w.linef("    inputs: {parameters: [{name: x, default: none}]}")
	if i > 0 && (leaf || !w.tight) && w.often(5) {
		w.linef("    synchronization: {mutexes: [{name: m%d}]}", i) // in the order of calls: nobody waits for himself
	}
	if w.often(4) {
		w.linef("    retryStrategy: {limit: %d, retryPolicy: Always%s}", w.IntN(3),
			w.maybe(3, `, backoff: {duration: "3", factor: 2}`))
	}
	if w.often(10) {
		w.linef("    memoize: {key: \"k-{{inputs.parameters.x}}\", cache: {configMap: {name: c}}}")
	}
	if w.often(12) {
		w.linef("    metrics: {prometheus: [{name: m, help: h, counter: {value: \"1\"}}]}")
	}
}

func (w *writer) maybe(n int, text string) string {
	if w.often(n) {
		return text
	}
	return ""
}

func (w *writer) leaf() {
	switch w.IntN(8) {
	case 0:
		w.linef("    suspend: {duration: \"%d\"}", 1+w.IntN(9))
	case 1:
		w.linef("    http: {url: \"http://x\"}")
	case 2:
		w.linef("    containerSet: {containers: [{name: main, image: i, command: [c]}, {name: two, image: i, command: [c], dependencies: [main]}]}")
	default:
		w.linef("    container: {image: i, command: [c], args: [\"{{inputs.parameters.x}}\"]}")
		if w.often(6) {
			w.linef("    timeout: %ds", 2+w.IntN(20))
		}
		if w.often(5) {
			w.linef("    outputs: {parameters: [{name: p, globalName: g, valueFrom: {path: /p, default: d}}]}")
		}
	}
}

// bounds are what a template that holds others may say of their number.
func (w *writer) bounds() {
	if w.often(3) {
		w.linef("    parallelism: %d", 1+w.IntN(3))
	}
	if w.often(3) {
		w.linef("    failFast: true")
	}
}

func (w *writer) unit(name string, i, templates int, prior []string, kind string) string {
	text := fmt.Sprintf("name: %s, template: t%d", name, i+1+w.IntN(templates-i-1))
	value := "v"
	switch w.IntN(5) {
	case 0:
		text += fmt.Sprintf(`, withSequence: {count: "%d"}`, w.IntN(5))
		value = "{{item}}"
	case 1:
		text += `, withItems: [a, b, {k: c}]`
		value = "{{item}}"
	}
	if value == "{{item}}" && w.often(4) {
		text += `, when: "'{{item}}' != '1'"`
	}
	if len(prior) > 0 && w.often(2) {
		value = fmt.Sprintf("{{%s.%s.status}}", kind, prior[w.IntN(len(prior))])
	}
	text += fmt.Sprintf(`, arguments: {parameters: [{name: x, value: "%s"}]}`, value)
	if w.hooks && w.often(4) {
		text += fmt.Sprintf(", hooks: {exit: {template: t%d}, seen: {template: t%d, expression: \"%s['%s'].status == 'Succeeded'\"}}", templates-1, templates-1, kind, name)
	}
	return text
}

func (w *writer) steps(i, templates int) {
	w.head(i, false)
	w.bounds()
	w.linef("    steps:")
	var prior []string
	for g := range 1 + w.IntN(3) {
		var names []string
		mark := "  "
		for s := range 1 + w.IntN(3) {
			name := fmt.Sprintf("s%d%d", g, s)
			names = append(names, name)
			lead := "      "
			if s == 0 {
				lead = "    - "
			}
			tolerance := w.maybe(4, ", continueOn: {failed: true, error: true}")
			w.linef("%s%s- {%s%s}", mark, lead[2:], w.unit(name, i, templates, prior, "steps"), tolerance)
		}
		prior = append(prior, names...)
	}
}

func (w *writer) dag(i, templates int) {
	w.head(i, false)
	w.bounds()
	w.linef("    dag:\n      failFast: %t\n      tasks:", w.often(2))
	var prior []string
	for n := range 1 + w.IntN(5) {
		name := fmt.Sprintf("d%d", n)
		depends, known := "", []string(nil)
		if len(prior) > 0 && w.often(2) {
			before := prior[w.IntN(len(prior))]
			known = []string{before}
			result := []string{"", ".Succeeded", ".Failed", ".AnySucceeded", ".Skipped"}[w.IntN(5)]
			depends = fmt.Sprintf(`, depends: "%s%s"`, before, result)
			if other := prior[w.IntN(len(prior))]; other != before && w.often(2) {
				depends = fmt.Sprintf(`, depends: "%s%s || %s"`, before, result, other)
			}
		}
		w.linef("      - {%s%s}", w.unit(name, i, templates, known, "tasks"), depends)
		prior = append(prior, name)
	}
}

// fate lets pods end in all ways.
func (w *writer) fate(string) flow.Pod {
	code := int32(0)
	pod := flow.Pod{Phase: flow.PodSucceeded, ExitCode: &code,
		Report: &protocol.Report{Parameters: map[string]string{"p": strconv.Itoa(w.IntN(9))}}}
	switch w.IntN(10) {
	case 0:
		code, pod.Phase, pod.Message = 1, flow.PodFailed, "Error (exit code 1)"
	case 1:
		pod.Phase, pod.Broken, pod.Message = flow.PodFailed, true, "broken"
	case 2:
		pod = flow.Pod{Phase: flow.PodLost}
	}
	return pod
}

// Whatever the workflow, whatever becomes of its pods, and in whatever order that is seen: what is decided event by
// event is what is decided by looking at everything.
func TestEventByEventTheSameIsDecidedAsByLookingAtEverything(t *testing.T) {
	runs := 400
	began := time.Now()
	if testing.Short() {
		runs = 60
	}
	seeds := []uint64{177, 288} // of these something was wrong once: no machine is too busy for them
	if text := os.Getenv("ARGOSY_SEED"); text != "" {
		only, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		runs, seeds = 0, []uint64{only}
	}
	ended, nodes := 0, 0
	for i := range uint64(runs) {
		seeds = append(seeds, i+1)
	}
	for _, seed := range seeds {
		if ended >= 10 && time.Since(began) > 20*time.Second {
			break // a busy machine sees fewer
		}
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 1))}
		manifest := w.workflow()
		count, told, err := workflowtest.PlayBesideOracle(manifest, rand.New(rand.NewPCG(seed, 2)), w.fate)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, manifest, told)
		}
		ended++
		nodes += count
	}
	t.Logf("%d workflows with %d nodes", ended, nodes)
}
