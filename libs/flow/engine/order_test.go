package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/workflowtest"
	"github.com/google/go-cmp/cmp"
)

// orderMatters says of transcripts why another order of events may give another tree.
var orderMatters = map[string]string{
	"dag-fail-fast-lets-running-finish": "what began before the failure goes on, what had not does not begin",
	"retry-max-duration":                "attempts end when their time is up, and pods take longer here",
	"step-hooks":                        "a hook on Running runs when somebody saw the pod run",
}

func TestAnyOrderAndRepetitionOfPodEventsGivesTheSameTree(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if orderMatters[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			transcript, err := workflowtest.Parse(string(raw), "testdata")
			if err != nil {
				t.Fatal(err)
			}
			want := workflowtest.Tree(transcript.Want)
			for seed := range uint64(20) {
				got, err := transcript.PlayShuffled(seed)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Fatalf("seed %d: %v: -want +got\n%s", seed, err, diff)
				}
			}
		})
	}
}
