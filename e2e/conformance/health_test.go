package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stand-in for the program says what stands in the file, so that the verdicts are those of the runner alone.
const sayer = `#!/bin/sh
for f; do :; done
case "$f" in *broken*) echo "no such thing" >&2; exit 2;; esac
printf '[{"status":"%s","message":"so it is"}]' "$(cat "$f")"
`

func TestHealthComparesStatus(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(bin, "sync-agent"), sayer)
	kind := filepath.Join(dir, "example.com", "Thing")
	write(filepath.Join(kind, "TestData", "Good.yaml"), "Healthy")
	write(filepath.Join(kind, "TestData", "none.yaml"), "")
	write(filepath.Join(kind, "TestData", "broken.yaml"), "")
	write(filepath.Join(kind, "health_test.yaml"), `
tests:
- {inputPath: testdata/good.yaml, healthStatus: {status: Healthy, message: another}}
- {inputpath: testdata/good.yaml, healthStatus: {status: Degraded, message: wanted}}
- {inputPath: testdata/none.yaml, healthStatus: {status: Progressing}}
- {inputPath: testdata/broken.yaml, healthStatus: {status: Healthy}}
- {inputPath: testdata/gone.yaml, healthStatus: {status: Healthy}}
`)
	report, err := Health(t.Context(), Config{Dir: dir, Bin: bin})
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, r := range report.Results {
		reasons = append(reasons, r.Reason)
	}
	for i, want := range []string{"", "expected Degraded (\"wanted\"), got Healthy (\"so it is\")", "got no health", "no such thing", "has no gone.yaml"} {
		if i >= len(reasons) || !strings.Contains(reasons[i], want) || (want == "") != (reasons[i] == "") {
			t.Errorf("case %d: %q, want %q", i, reasons, want)
		}
	}
	only := Config{Dir: dir, Bin: bin, Only: "example.com/Thing/testdata/good"}
	if report, err = Health(t.Context(), only); err != nil || len(report.Results) != 2 {
		t.Errorf("only: %v, %v", report, err)
	}
	if _, err = Health(t.Context(), Config{Dir: bin, Bin: bin}); err == nil {
		t.Error("a folder without cases is no error")
	}
}
