package events

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var contracts = map[string]any{
	"image-pushed":     &ImagePushed{},
	"git-pushed":       &GitPushed{},
	"submit-workflow":  &SubmitWorkflow{},
	"fact":             &Fact{},
	"operate-workflow": &OperateWorkflow{},
	"fire-trigger":     &FireTrigger{},
	"traffic-counted":  &TrafficCounted{},
}

func TestExamplesKeepTheContract(t *testing.T) {
	for name, into := range contracts {
		t.Run(name, func(t *testing.T) {
			text := read(t, "examples/"+name+".json")
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schemaOf(t, name).Validate(value); err != nil {
				t.Errorf("the example breaks the schema: %v", err)
			}
			strict := json.NewDecoder(bytes.NewReader(text))
			strict.DisallowUnknownFields()
			if err := strict.Decode(into); err != nil {
				t.Fatalf("the Go type does not know the example: %v", err)
			}
			again, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plain(t, text), plain(t, again)); diff != "" {
				t.Errorf("a field was lost (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSchemasNameEveryField(t *testing.T) {
	for name, into := range contracts {
		var schema struct {
			Properties map[string]json.RawMessage `json:"properties"`
		}
		if err := json.Unmarshal(read(t, "schema/"+name+".json"), &schema); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for field := range reflect.TypeOf(into).Elem().Fields() {
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			want = append(want, tag)
			if _, ok := schema.Properties[tag]; ok {
				got = append(got, tag)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) != len(schema.Properties) {
			t.Errorf("%s: schema and Go type differ: %s", name, diff)
		}
	}
}

func TestReference(t *testing.T) {
	p := ImagePushed{Registry: "r", Repository: "a/b"}
	if got := p.Reference(); got != "r/a/b" {
		t.Errorf("bare: %s", got)
	}
	p.Tag = "v1"
	if got := p.Reference(); got != "r/a/b:v1" {
		t.Errorf("tag: %s", got)
	}
	p.Digest = "sha256:00"
	if got := p.Reference(); got != "r/a/b@sha256:00" {
		t.Errorf("digest: %s", got)
	}
}

func TestSubjects(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{EventSubject("ns", "my.source", "push"), "events.ns.my%2Esource.push"},
		{EventSubject("ns", "s", ""), "events.ns.s.%00"},
		{SubmitSubject("ci"), "commands.workflow-runner.submit.ci"},
		{FireSubject("ci", "u-1"), "commands.sensor.fire.ci.u-1"},
		{
			FactSubject(ServiceSyncAgent, FactApplicationSynced, "argocd", "a b*>"),
			"facts.sync-agent.application.synced.argocd.a%20b%2A%3E",
		},
		{RunSubject("ns", "u-1"), "runs.ns.u-1"},
		{DeadSubject("EVENTS", "events.ns.s.e"), "dead.EVENTS.events.ns.s.e"},
		{FactType(FactRolloutAborted), "dev.argosy.rollout.aborted.v1"},
		{RunType("planned"), "dev.argosy.run.planned.v1"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{"", "%", "a.b", "*", ">", " \t\n", "ü", "\xff", "%2E"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token := Token(value)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n") {
			t.Fatalf("%q is no token", token)
		}
		if value == "\x00" {
			return // The one value that cannot be told from an empty one.
		}
		back, err := Untoken(token)
		if err != nil || back != value {
			t.Fatalf("%q came back as %q, %v", value, back, err)
		}
	})
}

func TestUntokenRefusesHalfAnEscape(t *testing.T) {
	if _, err := Untoken("a%2"); err == nil {
		t.Error("accepted")
	}
}

func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(read(t, "schema/"+name+".json")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	fs := Schemas
	if strings.HasPrefix(path, "examples/") {
		fs = Examples
	}
	text, err := fs.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func plain(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAttachmentsAreKnownByTheirTags(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	for tag, want := range map[string]bool{
		"": true, "sha256-" + hex: true, "sha256-" + hex + ".sig": true, "sha256-" + hex + ".att": true,
		"sha256-" + hex + ".sbom": true, "sha512-" + hex + hex: true,
		"v1": false, "latest": false, "sha256-abc": false, "main-" + hex: false, "sha256-" + hex + "x": false,
		"SHA256-" + hex: false,
	} {
		if got := Attachment(tag); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
}
