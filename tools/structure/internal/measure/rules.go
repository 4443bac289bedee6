package measure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Offences lists what of the module breaks a rule, one line each.
func (m Module) Offences() []string {
	var out []string
	for _, f := range m.Files {
		out = append(out, m.imports(f)...)
		for _, line := range f.Wide {
			out = append(out, fmt.Sprintf("%s:%d: is wider than %d columns", f.Name, line, width))
		}
		if f.Test {
			out = append(out, sleepless(f)...)
			continue
		}
		if isCore(f.Package) {
			out = append(out, impure(f)...)
		}
		for _, name := range f.Bare {
			out = append(out, fmt.Sprintf("%s:%s is exported and has no comment", f.Name, name))
		}
	}
	return append(out, m.undocumented()...)
}

// impure lists what of a core depends on more than its arguments.
func impure(f File) []string {
	var out []string
	for _, name := range f.Imports {
		if why := outside[name]; why != "" {
			out = append(out, fmt.Sprintf("%s: imports %s: a core has no %s", f.Name, name, why))
		}
	}
	for _, use := range f.HTTP {
		out = append(out, fmt.Sprintf("%s:%s: a core knows of net/http the words alone", f.Name, use))
	}
	for _, line := range f.Clocks {
		out = append(out, fmt.Sprintf("%s:%d: reads the clock: a core is told what time it is", f.Name, line))
	}
	return out
}

// outside are packages by what a core must not have.
var outside = map[string]string{
	"os":                     "I/O",
	"os/exec":                "I/O",
	"os/signal":              "I/O",
	"io/ioutil":              "I/O",
	"net":                    "I/O",
	"net/rpc":                "I/O",
	"net/smtp":               "I/O",
	"log":                    "I/O",
	"log/slog":               "I/O",
	"database/sql":           "I/O",
	"syscall":                "I/O",
	"plugin":                 "I/O",
	"context":                "context",
	"embed":                  "files",
	"math/rand":              "randomness",
	"math/rand/v2":           "randomness",
	"crypto/rand":            "randomness",
	"github.com/google/uuid": "randomness",
}

func sleepless(f File) []string {
	if slices.Contains(f.Imports, "testing/synctest") {
		return nil // its time is virtual
	}
	var out []string
	for _, line := range f.Sleeps {
		out = append(
			out, fmt.Sprintf("%s:%d: a test sleeps; wait for what it waits for, or use testing/synctest", f.Name, line),
		)
	}
	return out
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

// isCore holds for what decides, in services and in the libraries that several of them share.
func isCore(pkg string) bool {
	return strings.Contains(pkg+"/", "/internal/core/") ||
		within(pkg, "libs/flow") && pkg != "libs/flow/workflowtest" ||
		within(pkg, "libs/sensing") || within(pkg, "libs/script")
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

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
var pure = map[string]bool{"libs/core/span": true, "libs/script": true}

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
	if isCore(f.Package) && !f.Test && !mayCoreKnow(to) {
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
