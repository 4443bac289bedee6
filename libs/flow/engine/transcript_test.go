package engine_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/workflowtest"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected part of each transcript")

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			transcript, err := workflowtest.Parse(string(raw), "testdata")
			if err != nil {
				t.Fatal(err)
			}
			got, err := transcript.Play()
			if err != nil {
				t.Fatalf("%v\n%s", err, got)
			}
			if *update {
				if err := os.WriteFile(file, []byte(transcript.With(got)), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(transcript.Want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
