package script

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	input := map[string]any{"s": "v", "n": 5.0, "list": []any{"a", "b"}}
	cases := []struct{ source, want string }{
		{`{{ .Input.s | upper }}-{{ .Input.n }}`, "V-5"},
		{`{{ range .Input.list }}{{ . }};{{ end }}`, "a;b;"},
		{`{{ define "x" }}[{{ . }}]{{ end }}{{ template "x" .Input.s }}`, "[v]"},
		{`{{ repeat 3 "ab" }}`, "ababab"},
		{`{{ until 3 }}`, "[0 1 2]"},
		{`{{ untilStep 6 0 -2 }}`, "[6 4 2]"},
		{`{{ seq 3 }}|{{ seq 2 4 }}|{{ seq 0 2 4 }}|{{ seq 0 -2 }}`, "1 2 3|2 3 4|0 2 4|0 -1 -2"},
		{`{{ "a\nb" | indent 2 }}`, "  a\n  b"},
		{`{{ "a" | nindent 1 }}`, "\n a"},
		{`{{ "aa" | replace "a" "b" }}`, "bb"},
		{`{{ if eq .Input.s "v" }}yes{{ else }}no{{ end }}`, "yes"},
		{`{{ with .Input.s }}{{ . }}{{ end }}`, "v"},
		{`{{ randAlpha 4 | len }}`, "4"},
		{`{{ .Input | toJson }}`, `{"list":["a","b"],"n":5,"s":"v"}`},
	}
	for _, c := range cases {
		tpl, err := CompileTemplate(c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		for range 2 {
			if got, err := tpl.Run(input, Limits{}); err != nil || got != c.want {
				t.Errorf("%s: got %q, %v, want %q", c.source, got, err, c.want)
			}
		}
	}
	for _, source := range []string{`{{ .Input.gone }}`, `{{ "" }}`, `{{ if false }}x{{ end }}`} {
		tpl, err := CompileTemplate(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Run(input, Limits{}); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: %q, %v", source, got, err)
		}
	}
	for _, source := range []string{
		`{{`, `{{ env "HOME" }}`, `{{ genPrivateKey "rsa" }}`, `{{ nothing }}`, strings.Repeat("x", maxSource+1),
	} {
		if _, err := CompileTemplate(source); err == nil {
			t.Errorf("%.40s was read", source)
		}
	}
}

var endlessTemplates = []string{
	`{{ repeat 1000000000000 "x" }}`,
	`{{ repeat -1 "x" }}`,
	`{{ until 1000000000000 }}`,
	`{{ untilStep 0 -1000000000000 -1 }}`,
	`{{ indent 1000000000000 "x" }}`,
	`{{ randAlpha 1000000000000 }}`,
	`{{ define "x" }}{{ template "x" }}{{ template "x" }}{{ end }}{{ template "x" }}`,
	`{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}`,
	`{{ range until 100000 }}{{ repeat 1000 "x" }}{{ end }}`,
	`{{ $x := repeat 1000000 "x" }}{{ replace "x" $x $x }}`,
}

func TestEndlessTemplatesEnd(t *testing.T) {
	for _, source := range endlessTemplates {
		tpl, err := CompileTemplate(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Run(nil, Limits{}); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("%s: %d bytes, %v", source, len(got), err)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, source := range endlessTemplates {
		f.Add(source)
	}
	f.Add(`{{ range $i, $x := .Input.list }}{{ $x | upper }}{{ end }}`)
	f.Fuzz(func(_ *testing.T, source string) {
		tpl, err := CompileTemplate(source)
		if err != nil {
			return
		}
		text, err := tpl.Run(map[string]any{"s": "v", "list": []any{"a"}}, Limits{Steps: 20_000, Bytes: 1 << 20})
		if err == nil && len(text) > 1<<20 {
			panic("the text is large")
		}
	})
}

func TestTemplatesOfALanguage(t *testing.T) {
	language := TemplateOptions{
		Functions: map[string]any{"shout": func(s string) string { return s + "!" }},
		Without:   Drawing(), Missing: "error",
	}
	data := map[string]any{"a": "x", "n": json.Number("12345678"), "list": []any{json.Number("1.10")}}
	for source, want := range map[string]string{
		`{{.a | shout}} {{.n}} {{index .list 0}}`: "x! 12345678 1.10",
		`{{if false}}x{{end}}`:                    "",
	} {
		tpl, err := CompileTemplateWith(source, language)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Execute(data, Limits{}); err != nil || got != want {
			t.Errorf("%s: %q %v", source, got, err)
		}
	}
	for _, source := range []string{`{{randAlpha 3}}`, `{{now}}`, `{{uuidv4}}`, `{{env "HOME"}}`} {
		_, err := CompileTemplateWith(source, language)
		if err == nil || !strings.Contains(err.Error(), "not defined") {
			t.Errorf("%s: %v", source, err)
		}
	}
	if tpl, err := CompileTemplateWith(`{{.gone}}`, language); err != nil {
		t.Error(err)
	} else if got, err := tpl.Execute(data, Limits{}); err == nil {
		t.Errorf("a key that is missing gives %q", got)
	}
	if _, err := CompileTemplateWith("x", TemplateOptions{Missing: "strict"}); err == nil {
		t.Error("an unknown option passes")
	}
	tpl, err := CompileTemplateWith(`{{range until 100000}}{{range until 100000}}{{end}}{{end}}`, language)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpl.Execute(data, Limits{}); !errors.Is(err, ErrBudget) {
		t.Errorf("an endless loop: %v", err)
	}
}
