package appset

import (
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
)

// FuzzGenerate feeds specs: nothing may panic or never end, and what is generated is the same twice.
func FuzzGenerate(f *testing.F) {
	for _, seed := range []string{
		"goTemplate: true\ngenerators: [{list: {elements: [{a: b}]}}]\ntemplate: {metadata: {name: '{{.a}}'}}",
		"generators: [{matrix: {generators: [{clusters: {}}, {git: {files: [{path: '**'}]}}]}}]\ntemplate: {metadata: {name: '{{name}}'}}",
		"generators: [{merge: {mergeKeys: [a], generators: [{list: {elementsYaml: '[{a: 1}]'}}, {list: {}}]}}]\ntemplatePatch: '{}'",
		"generators: [{plugin: {values: {a: '{{b'}}, selector: {matchLabels: {a: b}}}]\ntemplatePatch: '[{\"op\": \"add\"}]'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 || strings.Count(text, "*") > 20 && strings.Count(text, "&") > 5 {
			return
		}
		spec, ok := readYAML(text)
		if !ok {
			return
		}
		set := map[string]any{"metadata": map[string]any{"namespace": "n"}, "spec": spec}
		steps := 0
		alarm := func() bool { steps++; return steps > 1000 }
		run := func() ([]string, bool) {
			steps = 0
			answers := map[string]Answer{}
			for range 8 {
				out, err := Generate(Input{Set: set, Answers: answers, Alarm: alarm})
				if err != nil {
					return nil, false
				}
				if len(out.Ask) == 0 {
					return shown(out), true
				}
				for _, q := range out.Ask {
					answers[q.Key] = example.answer(t, q)
				}
			}
			t.Fatal("it never ends to ask")
			return nil, false
		}
		first, ok := run()
		second, again := run()
		if ok != again || strings.Join(first, "\n") != strings.Join(second, "\n") {
			t.Fatalf("two results:\n%v\n%v", first, second)
		}
	})
}

// FuzzTags fills flat parameters: what names no parameter stays, byte by byte.
func FuzzTags(f *testing.F) {
	f.Add("{{a}} {{ b }} {{c}} {{{{a}}}} {{")
	f.Add("}}{{a")
	f.Fuzz(func(t *testing.T, text string) {
		if got := replaceTags(text, Params{}); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		replaceTags(text, Params{"a": "{{a}}", "": "x"})
	})
}

// FuzzGlob matches files: every pattern matches itself unless it has special characters, and ** matches all.
func FuzzGlob(f *testing.F) {
	f.Add("a/*/c.json", "a/b/c.json")
	f.Add("[!a-c]?\\*", "dx*")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 200 || len(name) > 200 {
			return
		}
		greedy(pattern, name)
		if !greedy("**", name) {
			t.Fatalf("** does not match %q", name)
		}
		plain := !strings.ContainsAny(pattern, `*?[\`) && utf8.ValidString(pattern)
		if plain && greedy(pattern, name) != (pattern == name) {
			t.Fatalf("%q and %q", pattern, name)
		}
	})
}

// FuzzNames makes names: they are what Kubernetes takes, or empty.
func FuzzNames(f *testing.F) {
	f.Add("Feature/Ünder_score")
	f.Add("--.-")
	f.Fuzz(func(t *testing.T, text string) {
		if s := slug(text, slugLimit, true); s != "" && (len(s) > slugLimit || len(validation.IsDNS1123Label(s)) > 0) {
			t.Fatalf("slug %q of %q", s, text)
		}
		n := normalize(text)
		if strings.ToLower(n) != n || len(n) > nameLimit || strings.Trim(n, "-.") != n {
			t.Fatalf("name %q of %q", n, text)
		}
	})
}

// FuzzPatch applies patches.
func FuzzPatch(f *testing.F) {
	f.Add(`{"spec": {"$patch": "replace", "a": null}}`)
	f.Add(`[{"op": "copy", "from": "/spec", "path": "/spec/x"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return
		}
		o := map[string]any{"spec": map[string]any{"a": []any{"b"}, "c": map[string]any{"d": "e"}}}
		if out, err := applyPatch(o, text); err == nil && out == nil {
			t.Fatalf("%q gives nothing", text)
		}
	})
}
