package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the expected findings")

// Each file of testdata is a manifest, a line of "----", and its findings.
func TestFindings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			manifest, want, _ := strings.Cut(string(raw), "----\n")
			var got strings.Builder
			for _, f := range Manifest([]byte(manifest)) {
				fmt.Fprintln(&got, f)
			}
			if *update {
				if err := os.WriteFile(file, []byte(manifest+"----\n"+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// mistakes are transcripts of mistakes that the workflow goes on after.
var mistakes = map[string]bool{"expression-errors.txt": true, "hook-expression-broken.txt": true}

// What the engine plays to an end in its own transcripts must not be refused, unless
// the transcript is of a mistake.
func TestTranscriptsThatSucceedHaveNoErrors(t *testing.T) {
	files, err := filepath.Glob("../engine/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// Who runs a template, or is a CronWorkflow, has its spec elsewhere.
		elsewhere := strings.Contains(string(raw), "workflowTemplateRef:") ||
			strings.HasPrefix(string(raw), "kind: CronWorkflow")
		if !strings.Contains(string(raw), "\nworkflow Succeeded") || elsewhere || mistakes[filepath.Base(file)] {
			continue
		}
		var wf v1alpha1.Workflow
		manifest, _, _ := strings.Cut(string(raw), "----\n")
		if strings.HasPrefix(manifest, "kind: ConfigMap") {
			_, manifest, _ = strings.Cut(manifest, "\n---\n")
		}
		if err := yaml.Unmarshal([]byte(manifest), &wf); err != nil {
			t.Fatal(err)
		}
		if err := Errors(Spec(&wf.Spec)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		manifest, _, _ := strings.Cut(string(raw), "----\n")
		f.Add([]byte(manifest))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, found := range Manifest(text) {
			if found.Message == "" || found.Severity == "" {
				t.Errorf("an empty finding: %+v", found)
			}
		}
	})
}
