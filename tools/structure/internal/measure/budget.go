package measure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The budgets. Most of a module must be small; the maxima are for the rare rest.
const (
	fileP95, fileMax         = 350, 500
	functionP95, functionMax = 45, 70
	parametersMax            = 5
)

// Offences lists where the module is over a budget, one line each.
func (m Module) Offences() []string {
	var out []string
	var files, functions []int
	for _, f := range m.Files {
		if f.Lines > fileMax {
			out = append(out, fmt.Sprintf("%s: has %d lines, at most %d", f.Name, f.Lines, fileMax))
		}
		out = append(out, m.imports(f)...)
		if f.Test {
			out = append(out, sleepless(f)...)
			continue
		}
		files = append(files, f.Lines)
		for _, fn := range f.Functions {
			functions = append(functions, fn.Lines)
			out = append(out, oversized(f, fn)...)
		}
		for _, name := range f.Bare {
			out = append(out, fmt.Sprintf("%s:%s is exported and has no comment", f.Name, name))
		}
	}
	if p := percentile95(files); p > fileP95 {
		out = append(out, fmt.Sprintf("%s: 95%% of its files have up to %d lines, budget %d", m.Path, p, fileP95))
	}
	if p := percentile95(functions); p > functionP95 {
		out = append(out, fmt.Sprintf("%s: 95%% of its functions have up to %d lines, budget %d", m.Path, p, functionP95))
	}
	return append(append(out, m.undocumented()...), m.untested()...)
}

func oversized(f File, fn Function) []string {
	var out []string
	if fn.Lines > functionMax {
		out = append(out, fmt.Sprintf("%s:%d: %s has %d lines, at most %d", f.Name, fn.At, fn.Name, fn.Lines, functionMax))
	}
	if fn.Parameters > parametersMax {
		out = append(out, fmt.Sprintf("%s:%d: %s has %d parameters, at most %d", f.Name, fn.At, fn.Name, fn.Parameters, parametersMax))
	}
	return out
}

func sleepless(f File) []string {
	if slices.Contains(f.Imports, "testing/synctest") {
		return nil // its time is virtual
	}
	var out []string
	for _, line := range f.Sleeps {
		out = append(out, fmt.Sprintf("%s:%d: a test sleeps; wait for what it waits for, or use testing/synctest", f.Name, line))
	}
	return out
}

func percentile95(values []int) int {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*95+99)/100-1]
}

// debts are how many percent of tests a core lacks that was written before the
// budget was held to. They may only shrink.
var debts = map[string]int{
	"services/rollout-analyzer": 16,
	"services/sync-agent":       79,
	"services/webhook-ingest":   58,
	"libs/flow":                 25,
}

// undocumented names packages without a comment.
func (m Module) undocumented() []string {
	documented := map[string]bool{}
	for _, f := range m.Files {
		if !f.Test {
			documented[f.Package] = documented[f.Package] || f.Documents
		}
	}
	var out []string
	for _, p := range slices.Sorted(maps.Keys(documented)) {
		if !documented[p] {
			out = append(out, p+": the package has no comment")
		}
	}
	return out
}

// untested compares the core of a service with its tests and transcripts.
func (m Module) untested() []string {
	code, tests := 0, m.Extra
	for _, f := range m.Files {
		switch {
		case !inCore(f.Package):
		case f.Test:
			tests += f.Lines
		default:
			code += f.Lines
		}
	}
	if tests < code*(100-debts[m.Path])/100 {
		return []string{fmt.Sprintf("%s: its core has %d lines and only %d of tests and transcripts", m.Path, code, tests)}
	}
	return nil
}

// inCore also holds for the core that the command line shares with the runner, but not for what plays it in tests.
func inCore(pkg string) bool {
	return strings.Contains(pkg+"/", "/internal/core/") || pkg == "libs/flow" || pkg == "libs/flow/lint"
}

// imports checks the arrows: schemas <- libs <- services <- e2e. Tools stand
// beside the services.
func (m Module) imports(f File) []string {
	var out []string
	for _, name := range f.Imports {
		if why := m.forbids(f, name); why != "" {
			out = append(out, fmt.Sprintf("%s: imports %s: %s", f.Name, strings.TrimPrefix(name, Prefix), why))
		}
	}
	return out
}

// mayKnowNATS also holds for the benchmark, which measures the bare bus as its floor.
func (m Module) mayKnowNATS(f File) bool {
	return m.Path == "libs/bus" || strings.HasPrefix(f.Name, "e2e/bench/")
}

// mayCoreKnow also holds for what only computes.
func mayCoreKnow(pkg string) bool { return strings.HasPrefix(pkg, "schemas/") || pure[pkg] }

// pure are libraries that only compute: no I/O, no clock, no randomness.
var pure = map[string]bool{"libs/core/span": true}

func (m Module) forbids(f File, name string) string {
	if strings.HasPrefix(name, "github.com/nats-io/nats.go") && !m.mayKnowNATS(f) {
		return "only libs/bus knows NATS"
	}
	to, ours := strings.CutPrefix(name, Prefix)
	if m.Path == "libs/core" && !ours && strings.Contains(strings.Split(name, "/")[0], ".") {
		return "libs/core is for the standard library only"
	}
	if !ours || to == m.Path || strings.HasPrefix(to, m.Path+"/") {
		return ""
	}
	if inCore(f.Package) && !f.Test && !mayCoreKnow(to) {
		return "a core knows the schemas and its own service"
	}
	from, target := layer(m.Path), layer(to)
	if target >= from && (target != layerLibs || from != layerLibs) {
		return fmt.Sprintf("the arrow from %s points the wrong way", m.Path)
	}
	return ""
}

const (
	layerSchemas = iota
	layerLibs
	layerServices
	layerTop // e2e
)

func layer(path string) int {
	head, _, _ := strings.Cut(path, "/")
	switch head {
	case "schemas":
		return layerSchemas
	case "libs":
		return layerLibs
	case "services", "tools":
		return layerServices
	default:
		return layerTop
	}
}
