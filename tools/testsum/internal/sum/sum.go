// Package sum reads what `go test -json` says and adds it up.
//
// Counted are the tests that contain no others: a table of ten cases is ten
// tests. A package that fails without a failed test (it does not build, it
// panics, it runs into its deadline) counts as one that failed.
package sum

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Total is the sum over all modules.
type Total struct {
	Passed, Failed, Skipped int

	out      io.Writer
	failures []string
	reasons  map[string][]string // why tests were skipped: reason to tests
	builds   map[string]string   // what the compiler said, by package
	packages map[string]*tests
}

// tests is what is known of one package while it runs.
type tests struct {
	output map[string]*strings.Builder
	result map[string]string
	parent map[string]bool
}

// event is one line of go test -json.
type event struct {
	Action      string `json:"Action"`
	Package     string `json:"Package"`
	Test        string `json:"Test"`
	Output      string `json:"Output"`
	ImportPath  string `json:"ImportPath"`
	FailedBuild string `json:"FailedBuild"`

	Elapsed float64 `json:"Elapsed"`
}

// New makes an empty total that writes to out.
func New(out io.Writer) *Total {
	return &Total{out: out, reasons: map[string][]string{}, builds: map[string]string{}, packages: map[string]*tests{}}
}

// Read adds the events of one module. Lines that are no events are passed on.
func (t *Total) Read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			t.add(e)
		} else if strings.TrimSpace(line) != "" {
			fmt.Fprint(t.out, line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what go test says: %w", err)
		}
	}
}

// Add takes over what another total counted.
func (t *Total) Add(other *Total) {
	t.Passed, t.Failed, t.Skipped = t.Passed+other.Passed, t.Failed+other.Failed, t.Skipped+other.Skipped
	t.failures = append(t.failures, other.failures...)
	for reason, tests := range other.reasons {
		t.reasons[reason] = append(t.reasons[reason], tests...)
	}
}

// Broken counts a module that could not be tested at all.
func (t *Total) Broken(module string, err error) {
	t.fail(module, err.Error())
}

// End prints the sum and returns the exit code. Nothing tested is no success.
func (t *Total) End() int {
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		fmt.Fprintf(t.out, "skipped: %s: %s\n", strings.Join(t.reasons[reason], ", "), reason)
	}
	for _, name := range t.failures {
		fmt.Fprintf(t.out, "failed: %s\n", name)
	}
	fmt.Fprintf(t.out, "%d passed, %d failed", t.Passed, t.Failed)
	if t.Skipped > 0 {
		fmt.Fprintf(t.out, ", %d skipped", t.Skipped)
	}
	fmt.Fprintln(t.out)
	if t.Failed > 0 || t.Passed == 0 {
		return 1
	}
	return 0
}

func (t *Total) add(e event) {
	switch {
	case e.Action == "build-output":
		t.builds[e.ImportPath] += e.Output
	case e.Package == "":
	case e.Test != "":
		t.of(e.Package).add(e)
	case e.Action == "output":
		t.of(e.Package).add(e)
	case e.Action == "pass", e.Action == "fail", e.Action == "skip":
		t.finish(e)
	}
}

func (t *Total) of(name string) *tests {
	p := t.packages[name]
	if p == nil {
		p = &tests{output: map[string]*strings.Builder{}, result: map[string]string{}, parent: map[string]bool{}}
		t.packages[name] = p
	}
	return p
}

func (p *tests) add(e event) {
	switch e.Action {
	case "run":
		p.result[e.Test] = "fail" // unless it says otherwise before its package ends
		if i := strings.LastIndex(e.Test, "/"); i > 0 {
			p.parent[e.Test[:i]] = true
		}
	case "output":
		if p.output[e.Test] == nil {
			p.output[e.Test] = &strings.Builder{}
		}
		p.output[e.Test].WriteString(e.Output)
	case "pass", "fail", "skip":
		p.result[e.Test] = e.Action
	}
}

// said is what a test printed, without the frame that go test draws.
func (p *tests) said(test string) string {
	if p.output[test] == nil {
		return ""
	}
	var kept []string
	for line := range strings.Lines(p.output[test].String()) {
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(strings.TrimSpace(line), "--- ") {
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(strings.Join(kept, ""))
}

// finish counts a package that has ended.
func (t *Total) finish(e event) {
	p := t.of(e.Package)
	delete(t.packages, e.Package)
	before, passed := t.Failed, t.Passed
	for _, test := range slices.Sorted(maps.Keys(p.result)) {
		t.count(e.Package, test, p)
	}
	if e.Action == "fail" && t.Failed == before {
		text := p.said("")
		if e.FailedBuild != "" {
			text = t.builds[e.FailedBuild] + text
		}
		t.fail(e.Package, text)
	}
	if n := len(p.result); n > 0 || t.Failed > before {
		fmt.Fprintf(
			t.out, "%-4s %s %d passed, %d failed, %.1fs\n", e.Action, short(e.Package), t.Passed-passed,
			t.Failed-before, e.Elapsed,
		)
	}
}

func (t *Total) count(pkg, test string, p *tests) {
	result := p.result[test]
	switch {
	case result == "fail" && (!p.parent[test] || p.said(test) != ""):
		t.fail(pkg+" "+test, p.said(test))
	case p.parent[test]:
	case result == "skip":
		t.Skipped++
		reason := p.said(test)
		t.reasons[reason] = append(t.reasons[reason], short(pkg)+" "+test)
	case result == "pass":
		t.Passed++
	}
}

func (t *Total) fail(name, text string) {
	t.Failed++
	t.failures = append(t.failures, short(name))
	fmt.Fprintf(t.out, "FAIL %s\n", short(name))
	for line := range strings.Lines(text) {
		fmt.Fprintf(t.out, "     %s\n", strings.TrimRight(line, "\n"))
	}
}

func short(name string) string { return strings.TrimPrefix(name, "github.com/argosy-mesh/argosy/") }
