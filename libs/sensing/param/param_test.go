package param

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

func filler() Filler {
	e := sensing.Event{
		ID:          "e1",
		Type:        "webhook",
		Source:      "hooks",
		Subject:     "push",
		ContentType: "application/json",
		Time:        time.Unix(0, 0).UTC(),
		Data:        []byte(`{"s":"v","num":5,"big":12345678901234567890,"o":{"k":[1]},"null":null,"t":true,"q":"a \"b\""}`),
	}
	return Filler{Events: sensing.Window{"d": e}, Cache: &Cache{}}
}

func parameter(t testing.TB, text string) []v1alpha1.TriggerParameter {
	t.Helper()
	var p v1alpha1.TriggerParameter
	if err := yaml.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return []v1alpha1.TriggerParameter{p}
}

func normal(raw []byte, err error) string {
	if err != nil {
		return "error"
	}
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(raw)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

func TestApply(t *testing.T) {
	cases := []struct{ parameter, want string }{
		{`{src: {dependencyName: d, dataKey: s}, dest: a}`, `{"a":"v","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: num}, dest: a}`, `{"a":"5","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: t}, dest: a}`, `{"a":"true","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: big}, dest: a}`, `{"a":"12345678901234567890","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: num, useRawData: true}, dest: a}`, `{"a":5,"old":"x"}`},
		{`{src: {dependencyName: d, dataKey: s, useRawData: true}, dest: a}`, `{"a":"v","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: o, useRawData: true}, dest: a}`, `{"a":{"k":[1]},"old":"x"}`},
		{`{src: {dependencyName: d, dataKey: o}, dest: a}`, `{"a":"{\"k\":[1]}","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: gone, value: fallback}, dest: a}`, `{"a":"fallback","old":"x"}`},
		{`{src: {dependencyName: d, value: fixed}, dest: a}`, `{"a":"fixed","old":"x"}`},
		{
			`{src: {dependencyName: d, dataTemplate: "{{ .Input.s | upper }}-{{ .Input.num }}"}, dest: a}`,
			`{"a":"V-5","old":"x"}`,
		},
		{`{src: {dependencyName: d, dataTemplate: "{{ .Input.gone }}", value: z}, dest: a}`, `{"a":"z","old":"x"}`},
		{`{src: {dependencyName: d, dataTemplate: "{{ .Input.gone }}", dataKey: s}, dest: a}`, `{"a":"v","old":"x"}`},
		{`{src: {dependencyName: d, dataTemplate: "{{ .Input.gone }}"}, dest: a}`, "error"},
		{`{src: {dependencyName: d, contextKey: id}, dest: a}`, `{"a":"e1","old":"x"}`},
		{`{src: {dependencyName: d, contextKey: time}, dest: a}`, `{"a":"1970-01-01T00:00:00Z","old":"x"}`},
		{
			`{src: {dependencyName: d, contextTemplate: "{{ .Input.source }}/{{ .Input.subject }}"}, dest: a}`,
			`{"a":"hooks/push","old":"x"}`,
		},
		{`{src: {dependencyName: d, contextKey: id, dataKey: s}, dest: a}`, `{"a":"v","old":"x"}`},
		{`{src: {dependencyName: d, contextKey: id, dataKey: gone}, dest: a}`, "error"},
		{`{src: {dependencyName: d, dataKey: s}, dest: old, operation: append}`, `{"old":"xv"}`},
		{`{src: {dependencyName: d, dataKey: num, useRawData: true}, dest: old, operation: append}`, `{"old":"x5"}`},
		{`{src: {dependencyName: d, dataKey: s}, dest: old, operation: prepend}`, `{"old":"vx"}`},
		{`{src: {dependencyName: d, dataKey: s}, dest: old, operation: overwrite}`, `{"old":"v"}`},
		{
			`{src: {dependencyName: d, dataKey: s}, dest: new.deep.0, operation: append}`,
			`{"new":{"deep":["v"]},"old":"x"}`,
		},
		{`{src: {dependencyName: absent, dataKey: s}, dest: a}`, `{"old":"x"}`},
		{`{src: {dependencyName: absent, dataKey: s, value: w}, dest: a}`, `{"a":"w","old":"x"}`},
		{`{src: {dependencyName: d, dataKey: gone}, dest: a}`, "error"},
		{`{src: {dependencyName: d, dataKey: s}, dest: a, operation: replace}`, "error"},
		{`{src: {dependencyName: d, dataTemplate: "{{ env \"HOME\" }}"}, dest: a}`, "error"},
		{`{src: {dependencyName: d, dataKey: s}, dest: ""}`, "error"},
		{`{dest: a}`, "error"},
	}
	for _, c := range cases {
		out, err := filler().Apply([]byte(`{"old":"x"}`), parameter(t, c.parameter))
		if got := normal(out, err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.parameter, got, err, c.want)
		}
	}
	whole, err := filler().Apply([]byte(`{}`), parameter(t, `{src: {dependencyName: d}, dest: e}`))
	if err != nil || !strings.Contains(string(whole), `"e":"{\"context\":{`) ||
		!strings.Contains(string(whole), `\"data\":\"eyJz`) {
		t.Errorf("whole event: %s, %v", whole, err)
	}
	whole, err = filler().Apply([]byte(`{}`), parameter(t, `{src: {dependencyName: d, useRawData: true}, dest: e}`))
	if err != nil || !strings.Contains(string(whole), `"e":{"context":{`) ||
		!strings.Contains(string(whole), `"data":"eyJz`) {
		t.Errorf("whole event, raw: %s, %v", whole, err)
	}
}

func TestDestinationsByQuery(t *testing.T) {
	const document = `{"p":[{"name":"a","value":"1"},{"name":"b)","value":"2"},{"name":"c","list":[{"k":"x"}]}]}`
	for _, c := range []struct{ dest, want string }{
		{`p.0.value`, `{"p":[{"name":"a","value":"v"},{"name":"b)","value":"2"},{"list":[{"k":"x"}],"name":"c"}]}`},
		{
			`p.#(name=="a").value`,
			`{"p":[{"name":"a","value":"v"},{"name":"b)","value":"2"},{"list":[{"k":"x"}],"name":"c"}]}`,
		},
		{
			`p.#(name=="b)").value`,
			`{"p":[{"name":"a","value":"1"},{"name":"b)","value":"v"},{"list":[{"k":"x"}],"name":"c"}]}`,
		},
		{
			`p.#(name=="c").list.#(k=="x").new`,
			`{"p":[{"name":"a","value":"1"},{"name":"b)","value":"2"},{"list":[{"k":"x","new":"v"}],"name":"c"}]}`,
		},
		{`p.#(name=="none").value`, "error"}, {`q.#(name=="a").value`, "error"}, {`p.#(name=="a"`, "error"},
		{strings.Repeat(`p.#(name=="a").`, 30), "error"},
	} {
		out, err := filler().Apply(
			[]byte(document),
			[]v1alpha1.TriggerParameter{
				{Dest: c.dest, Src: &v1alpha1.TriggerParameterSource{DependencyName: "d", DataKey: "s"}},
			},
		)
		if got := normal(out, err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.dest, got, err, c.want)
		}
	}
	out, err := filler().Apply(
		[]byte(`[{"n":"a"}]`), parameter(t, `{src: {dependencyName: d, dataKey: s}, dest: '#(n=="a").v'}`),
	)
	if got := normal(out, err); got != `[{"n":"a","v":"v"}]` {
		t.Errorf("at the root: %s, %v", got, err)
	}
}

func TestPayload(t *testing.T) {
	list := func(text string) []v1alpha1.TriggerParameter {
		var out []v1alpha1.TriggerParameter
		if err := yaml.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct{ payload, want string }{
		{
			`[{src: {dependencyName: d, dataKey: s}, dest: a}, {src: {dependencyName: d, dataKey: num}, dest: b.c}]`,
			`{"a":"v","b":{"c":"5"}}`,
		},
		{`[{src: {dependencyName: d, dataKey: o}, dest: ""}]`, `{"k":[1]}`},
		{`[{src: {dependencyName: d, dataKey: s}, dest: ""}]`, `v`},
		{`[]`, `{}`},
		{`[{src: {dependencyName: none, dataKey: s}, dest: a}]`, "error"},
		{`[{src: {dependencyName: none, dataKey: s, value: x}, dest: a}]`, `{"a":"x"}`},
		{`[{dest: a}]`, "error"},
		{`[{src: {dependencyName: d, dataKey: gone}, dest: a}]`, "error"},
		{`[{src: {dependencyName: d, dataKey: s}, dest: a, operation: x}]`, "error"},
	} {
		out, err := filler().Payload(list(c.payload))
		if got := normal(out, err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.payload, got, err, c.want)
		}
	}
	_, err := filler().Payload(list(`[{src: {dependencyName: none, dataKey: s}, dest: a}]`))
	if err == nil || !strings.Contains(err.Error(), `"none" did not contribute`) {
		t.Errorf("a missing dependency is not named: %v", err)
	}
	headers, err := filler().Headers(
		list(
			`[{src: {dependencyName: d, dataKey: s}, dest: X-A}, {src: {dependencyName: none, dataKey: s}, dest: X-B}]`,
		),
	)
	if err != nil || len(headers) != 1 || headers["X-A"] != "v" {
		t.Errorf("%v, %v", headers, err)
	}
	for _, bad := range []string{
		`[{dest: a}]`, `[{src: {dependencyName: d}}]`, `[{src: {dependencyName: d, dataKey: gone}, dest: a}]`,
	} {
		if h, err := filler().Headers(list(bad)); err == nil {
			t.Errorf("%s: %v", bad, h)
		}
	}
}

func TestTemplatesOfTriggers(t *testing.T) {
	template := &v1alpha1.TriggerTemplate{Name: "t", HTTP: &v1alpha1.HTTPTrigger{URL: "http://x/", Method: "POST"}}
	out, err := filler().Template(
		template, parameter(t, `{src: {dependencyName: d, dataKey: s}, dest: http.url, operation: append}`),
	)
	if err != nil || out.HTTP.URL != "http://x/v" || template.HTTP.URL != "http://x/" {
		t.Errorf("%+v, %v", out, err)
	}
	if same, err := filler().Template(template, nil); err != nil || same != template {
		t.Errorf("%v", err)
	}
	if _, err := filler().Template(
		template, parameter(t, `{src: {dependencyName: d, dataKey: gone}, dest: http.url}`),
	); err == nil {
		t.Error("a missing key went unnoticed")
	}
	if _, err := filler().Template(
		template, parameter(t, `{src: {dependencyName: d, dataKey: s}, dest: http.timeout}`),
	); err == nil {
		t.Error("a text became a number")
	}
	filled, err := Fill(filler(), template.HTTP, parameter(t, `{src: {dependencyName: d, dataKey: s}, dest: method}`))
	if err != nil || filled.Method != "v" || template.HTTP.Method != http.MethodPost {
		t.Errorf("%+v, %v", filled, err)
	}
	if same, err := Fill(filler(), template.HTTP, nil); err != nil || same != template.HTTP {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{
		`{src: {dependencyName: d, dataKey: gone}, dest: method}`,
		`{src: {dependencyName: d, dataKey: s}, dest: timeout}`,
	} {
		if _, err := Fill(filler(), template.HTTP, parameter(t, bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestManifests(t *testing.T) {
	inline := "kind: A\nmetadata: {name: x}"
	bad, list := "a: [", "[1]"
	for _, c := range []struct {
		source *v1alpha1.EventArtifactLocation
		want   string
		ok     bool
	}{
		{nil, "error", true},
		{&v1alpha1.EventArtifactLocation{Resource: []byte(`{"kind":"A"}`)}, `{"kind":"A"}`, true},
		{&v1alpha1.EventArtifactLocation{Inline: &inline}, `{"kind":"A","metadata":{"name":"x"}}`, true},
		{&v1alpha1.EventArtifactLocation{Inline: &bad}, "error", true},
		{&v1alpha1.EventArtifactLocation{Inline: &list}, "error", true},
		{&v1alpha1.EventArtifactLocation{}, "", false},
	} {
		raw, ok, err := Inline(c.source)
		if got := normal(raw, err); got != c.want || ok != c.ok {
			t.Errorf("%+v: %s, %v, %v", c.source, got, ok, err)
		}
	}
}

func TestTags(t *testing.T) {
	out, err := filler().Resource(
		[]byte(`{"x":"{{dependency.d.outputs.s}}","y":"at {{dependency.d.outputs.q}} {{workflow.name}}"}`), nil,
	)
	if got := normal(out, err); got != `{"x":"v","y":"at a \"b\" {{workflow.name}}"}` {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{
		`{"x":"{{dependency.d.outputs.gone}}"}`, `{"x":"{{dependency.no.outputs.a}}"}`, `{"x":"{{dependency.d"}`,
	} {
		if out, err := filler().Resource([]byte(bad), nil); err == nil {
			t.Errorf("%s became %s", bad, out)
		}
	}
}

func TestACacheIsOptional(t *testing.T) {
	f := filler()
	f.Cache = nil
	out, err := f.Apply(
		[]byte(`{}`), parameter(t, `{src: {dependencyName: d, dataTemplate: "{{ .Input.s }}"}, dest: a}`),
	)
	if got := normal(out, err); got != `{"a":"v"}` {
		t.Errorf("%s, %v", got, err)
	}
	f.Events = sensing.Window{"d": {Data: []byte("no json")}}
	if _, err := f.Apply(
		[]byte(`{}`), parameter(t, `{src: {dependencyName: d, dataTemplate: "{{ .Input.s }}"}, dest: a}`),
	); err == nil {
		t.Error("data that is no JSON was taken")
	}
}

func FuzzApply(f *testing.F) {
	f.Add(`a.b.#(name=="x").c`, "s", "", "append", `{"a":{"b":[{"name":"x"}]}}`)
	f.Add("", "#.x", "{{ .Input }}", "", `[]`)
	f.Fuzz(func(_ *testing.T, dest, key, template, operation, document string) {
		p := []v1alpha1.TriggerParameter{
			{
				Dest:      dest,
				Operation: operation,
				Src:       &v1alpha1.TriggerParameterSource{DependencyName: "d", DataKey: key, DataTemplate: template},
			},
		}
		if !json.Valid([]byte(document)) {
			return
		}
		_, _ = filler().Apply([]byte(document), p)
		_, _ = filler().Payload(p)
		_, _ = filler().Headers(p)
		_, _ = filler().Resource([]byte(document), p)
	})
}
