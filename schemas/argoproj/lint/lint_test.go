package lint

import (
	"fmt"
	"testing"
)

func TestLinesPointAtTheKey(t *testing.T) {
	text := "apiVersion: argoproj.io/v1alpha1\nkind: EventSource\nspec:\n  webhook:\n    example:\n      endpoint: /a\n      porto: 1\n  github:\n    hub:\n      events:\n      - push\n      - {}\n"
	got := fmt.Sprint(EventSource([]byte(text)))
	want := "[7: warning: spec.webhook.example.porto: unknown field 12: error: spec.github.hub.events[1]: json: cannot unmarshal object into Go value of type string]"
	if got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

func TestLinesFallBackToWhatIsAround(t *testing.T) {
	_, lines, err := Read([]byte("a:\n  b:\n  - c: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"a": 1, "a.b": 2, "a.b[0].c": 3, "a.b[0].d": 3, "a.x.y": 1, "z": 1, "": 1} {
		if got := lines.Of(path); got != want {
			t.Errorf("%q: line %d, want %d", path, got, want)
		}
	}
}

func TestWhatIsNotYAMLIsOneFinding(t *testing.T) {
	for _, text := range []string{"a: [", "- 1", "\t"} {
		if got := EventSource([]byte(text)); len(got) != 1 || got[0].Severity != Error {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("a: &x\n  b: *x\n"))
	f.Add([]byte("spec: {webhook: {a: {endpoint: 1}}}"))
	f.Fuzz(func(_ *testing.T, text []byte) { EventSource(text) })
}
