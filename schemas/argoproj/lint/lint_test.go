package lint

import "testing"

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

func FuzzRead(f *testing.F) {
	f.Add([]byte("a: &x\n  b: *x\n"))
	f.Add([]byte("spec: {webhook: {a: {endpoint: 1}}}"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if _, lines, err := Read(text); err == nil {
			lines.Of("spec.webhook")
		}
	})
}
