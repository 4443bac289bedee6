package measure

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module writes files and measures them as the module of the given path.
func module(t *testing.T, path string, files map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module " + Prefix + path + "\n"
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range m.Offences() {
		out = append(out, strings.TrimPrefix(o, dir+"/"))
	}
	return out
}

func TestOffences(t *testing.T) {
	long := strings.Repeat("\n", functionMax)
	sleep := "package p\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"
	imports := func(name string) string { return "// Package p is.\npackage p\n\nimport _ \"" + name + "\"\n" }
	cases := []struct {
		name, path, file, text, want string
	}{
		{"good", "libs/x", "p.go", "// Package p is.\npackage p\n\n// F is.\nfunc F() {}\n\n// A group is.\nconst (\n\tA = 1\n\tB = 2\n)\n\nfunc (t *hidden) M() {}\n", ""},
		{"no package comment", "libs/x", "p.go", "package p\n", "the package has no comment"},
		{"no comment", "libs/x", "p.go", "// Package p is.\npackage p\n\nfunc F() {}\n\n// T is.\ntype T int\n", "p.go:4: F is exported"},
		{"a method without", "libs/x", "p.go", "// Package p is.\npackage p\n\n// T is.\ntype T[A any] int\n\nfunc (t *T[A]) M() {}\n", "p.go:7: M is exported"},
		{"long", "libs/x", "p.go", "// Package p is.\npackage p\n\nfunc f() {" + long + "}\n", "at most 70"},
		{"many parameters", "libs/x", "p.go", "// Package p is.\npackage p\n\nfunc f(a, b, c int, d, e, f string) {}\n", "has 6 parameters"},
		{"a long file", "libs/x", "p.go", "// Package p is.\npackage p\n" + strings.Repeat("\n", fileMax), "at most 500"},
		{"generated", "libs/x", "zz_generated.p.go", "package p\n\nfunc F() {}\n", ""},
		{"a test sleeps", "libs/x", "p_test.go", sleep, "p_test.go:5: a test sleeps"},
		{"in virtual time", "libs/x", "p_test.go", strings.Replace(sleep, "import", "import _ \"testing/synctest\"\nimport", 1), ""},
		{"an untested core", "services/x", "internal/core/p.go", "// Package p is.\npackage p\n", "only 0 of tests"},
		{"libs to services", "libs/x", "p.go", imports(Prefix + "services/y/internal"), "wrong way"},
		{"libs to libs", "libs/x", "p.go", imports(Prefix + "libs/y"), ""},
		{"service to service", "services/x", "p.go", imports(Prefix + "services/y"), "wrong way"},
		{"service to itself", "services/x", "p.go", imports(Prefix + "services/x/internal/q"), ""},
		{"service to libs", "services/x", "p.go", imports(Prefix + "libs/bus"), ""},
		{"schemas to libs", "schemas", "p.go", imports(Prefix + "libs/core"), "wrong way"},
		{"NATS", "services/x", "p.go", imports("github.com/nats-io/nats.go"), "only libs/bus"},
		{"libs/core to others", "libs/core", "p.go", imports("example.com/x"), "standard library only"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := module(t, c.path, map[string]string{c.file: c.text})
			found := slices.ContainsFunc(got, func(o string) bool { return strings.Contains(o, c.want) })
			if c.want == "" && len(got) > 0 || c.want != "" && !found {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	values := make([]int, 100)
	for i := range values {
		values[i] = 100 - i
	}
	if got := percentile95(values); got != 95 {
		t.Errorf("%d", got)
	}
	if percentile95(nil) != 0 {
		t.Error("of nothing")
	}
}
