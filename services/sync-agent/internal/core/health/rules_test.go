package health

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
	"sigs.k8s.io/yaml"
)

// ruleCase is a row of testdata/GROUP.yaml: an object, how it is, and a part of what is said of it.
type ruleCase struct {
	Name    string
	Object  map[string]any
	Status  string // "" for no health
	Message string
}

// TestRules plays the tables of testdata, one for each group or family.
func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rows []ruleCase
		if err := yaml.UnmarshalStrict(text, &rows); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		table := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(table, func(t *testing.T) { play(t, rows) })
	}
}

func play(t *testing.T, rows []ruleCase) {
	t.Helper()
	for _, row := range rows {
		text, err := yaml.Marshal(row.Object)
		if err != nil {
			t.Fatal(err)
		}
		got := Assess(tracktest.Object(t, string(text)))
		if got.Status != row.Status || !strings.Contains(got.Message, row.Message) {
			t.Errorf("%s: %+v, want %q with %q", row.Name, got, row.Status, row.Message)
		}
	}
}

// Each rule is named once, and each file of rules has rows.
func TestEachGroupHasRows(t *testing.T) {
	seen := map[string]bool{}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rows []ruleCase
		if err := yaml.Unmarshal(text, &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			version, _ := row.Object["apiVersion"].(string)
			name, _, grouped := strings.Cut(version, "/")
			if !grouped {
				name = ""
			}
			seen[name] = true
		}
	}
	for name := range groups {
		found := seen[name]
		for one := range seen {
			found = found || strings.HasPrefix(name, "*.") && strings.HasSuffix(one, name[1:])
		}
		if !found {
			t.Errorf("no row of testdata is of group %q", name)
		}
	}
}
