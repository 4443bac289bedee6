package appset

import (
	"os"
	"strings"
	"testing"
)

// TestTheExamplesOfTheGuideGenerate keeps docs/applicationset.md true.
func TestTheExamplesOfTheGuideGenerate(t *testing.T) {
	raw, err := os.ReadFile("../../../../../docs/applicationset.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"folders": "one two", "previews": "shop-12-east-1", "stages": "shop-dev shop-prod",
		"rolling": "shop-east-1 shop-west",
	}
	blocks := strings.Split(string(raw), "```yaml\n")[1:]
	if len(blocks) != len(want) {
		t.Errorf("%d examples, %d are checked", len(blocks), len(want))
	}
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		set := parse(t, text)
		name, _ := set["metadata"].(map[string]any)["name"].(string)
		out, err := example.run(t, set)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(shown(out), " "); got != want[name] {
			t.Errorf("%s: %s", name, got)
		}
	}
}
