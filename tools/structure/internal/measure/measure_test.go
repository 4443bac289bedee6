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
	sleep := "package p\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"
	imports := func(name string) string { return "// Package p is.\npackage p\n\nimport _ \"" + name + "\"\n" }
	cases := []struct {
		name, path, file, text, want string
	}{
		{
			"good", "libs/x", "p.go",
			"// Package p is.\npackage p\n\n// F is.\nfunc F() {}\n\n// A group is.\nconst (\n\tA = 1\n\tB = 2\n)\n\nfunc (t *hidden) M() {}\n",
			"",
		},
		{"no package comment", "libs/x", "p.go", "package p\n", "the package has no comment"},
		{
			"no comment", "libs/x", "p.go", "// Package p is.\npackage p\n\nfunc F() {}\n\n// T is.\ntype T int\n",
			"p.go:4: F is exported",
		},
		{
			"a method without", "libs/x", "p.go",
			"// Package p is.\npackage p\n\n// T is.\ntype T[A any] int\n\nfunc (t *T[A]) M() {}\n",
			"p.go:7: M is exported",
		},
		{
			"a wide line", "libs/x", "p.go",
			"// Package p is.\npackage p\n\nvar x = " + strings.Repeat("1 + ", 30) + "1\n",
			"p.go:4: is wider than 120 columns",
		},
		{
			"a wide comment", "libs/x", "p.go", "// Package p is " + strings.Repeat("x ", 60) + ".\npackage p\n",
			"p.go:1: is wider",
		},
		{
			"a long string", "libs/x", "p.go",
			"// Package p is.\npackage p\n\nvar x = \"" + strings.Repeat("x ", 60) + "\"\n", "",
		},
		{
			"a text of lines", "libs/x", "p.go",
			"// Package p is.\npackage p\n\nvar x = `\n" + strings.Repeat("x ", 61) + "`\n", "",
		},
		{"a long word", "libs/x", "p.go", "// Package p is.\n//\n// " + strings.Repeat("x", 130) + "\npackage p\n", ""},
		{"generated", "libs/x", "zz_generated.p.go", "package p\n\nfunc F() {}\n", ""},
		{"a test sleeps", "libs/x", "p_test.go", sleep, "p_test.go:5: a test sleeps"},
		{
			"in virtual time", "libs/x", "p_test.go",
			strings.Replace(sleep, "import", "import _ \"testing/synctest\"\nimport", 1), "",
		},
		{"libs to services", "libs/x", "p.go", imports(Prefix + "services/y/internal"), "wrong way"},
		{"libs to libs", "libs/x", "p.go", imports(Prefix + "libs/y"), ""},
		{"service to service", "services/x", "p.go", imports(Prefix + "services/y"), "wrong way"},
		{"service to itself", "services/x", "p.go", imports(Prefix + "services/x/internal/q"), ""},
		{"service to libs", "services/x", "p.go", imports(Prefix + "libs/bus"), ""},
		{"schemas to libs", "schemas", "p.go", imports(Prefix + "libs/core"), "wrong way"},
		{"NATS", "services/x", "p.go", imports("github.com/nats-io/nats.go"), "only libs/bus"},
		{
			"a core with a clock", "services/x", "internal/core/p.go",
			"// Package p is.\npackage p\n\nimport \"time\"\n\nfunc f() any { return time.Now() }\n",
			"p.go:6: reads the clock",
		},
		{
			"a core that computes with times", "services/x", "internal/core/p.go",
			"// Package p is.\npackage p\n\nimport \"time\"\n\nfunc f(t time.Time) any { return t.Add(time.Hour) }\n",
			"",
		},
		{"a core with I/O", "libs/flow", "p.go", imports("os"), "a core has no I/O"},
		{"a part of a core with I/O", "libs/flow/scope", "p.go", imports("os"), "a core has no I/O"},
		{"a core with chance", "libs/sensing", "check/p.go", imports("math/rand/v2"), "a core has no randomness"},
		{
			"a core that answers", "services/x", "internal/core/p.go",
			"// Package p is.\npackage p\n\nimport \"net/http\"\n\nvar c = http.StatusOK\n\nvar h http.Header\n", "",
		},
		{
			"a core that asks", "services/x", "internal/core/p.go",
			"// Package p is.\npackage p\n\nimport \"net/http\"\n\nvar c = http.DefaultClient\n",
			"p.go:6: http.DefaultClient",
		},
		{"a shell", "services/x", "internal/p.go", imports("os"), ""},
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

func TestFunctionsThatStandTwice(t *testing.T) {
	body := "{\n\tfor i := range %[2]s {\n\t\tif i > 3 {\n\t\t\treturn i // why\n\t\t}\n\t}\n\tx := %[2]s\n\tx++\n\tx++\n\treturn x\n}\n"
	one := "// Package p is.\npackage p\n\nfunc f(n int) int " + strings.ReplaceAll(body, "%[2]s", "n")
	for name, c := range map[string]struct {
		other string
		twice bool
	}{
		"the same": {strings.Replace(one, "func f", "func g", 1), true},
		"with other names": {
			"package p\n\nfunc (s S) other(count int) int " + strings.ReplaceAll(strings.ReplaceAll(body, "%[2]s", "count"), "x", "sum"),
			false,
		},
		"with other variables": {
			"package p\n\nfunc other(count int) int " + strings.ReplaceAll(strings.ReplaceAll(body, "%[2]s", "count"), "x", "sum"),
			true,
		},
		"with another constant": {strings.Replace(one, "> 3", "> 4", 1), false},
		"with other types":      {strings.Replace(one, "n int", "n int64", 1), false},
		"shorter":               {"package p\n\nfunc g(n int) int { return n }\n", false},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{
			"go.mod": "module " + Prefix + "libs/x\n", "p.go": one, "q.go": c.other,
			"p_test.go": strings.Replace(one, "func f", "func h", 1),
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := Twice([]Module{m}); len(got) > 0 != c.twice {
			t.Errorf("%s: %q", name, got)
		}
	}
}
