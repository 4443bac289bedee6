package router

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The table of docs/rollout.md has a row for each router that says what it can do.
func TestTableOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 7 && strings.HasPrefix(cells[0], " `") {
			rows[strings.Trim(cells[0], " `")] = cells[1:]
		}
	}
	for _, r := range Routers {
		row, is := rows[r.Field]
		if !is {
			t.Errorf("%s has no row", r.Field)
			continue
		}
		for _, k := range r.Kinds {
			// A row says what a router makes in its own words; each kind is named.
			if !strings.Contains(row[0], k.Kind) {
				t.Errorf("%s: %s is not named", r.Field, k.Kind)
			}
		}
		var got []bool
		for _, cell := range row[1:] {
			got = append(got, strings.TrimSpace(cell) == "yes")
		}
		if want := []bool{r.Headers, r.Mirrors, r.Weights, r.Total, r.PingPong}; !slices.Equal(got, want) {
			t.Errorf("%s: the row says %v, want %v", r.Field, got, want)
		}
		delete(rows, r.Field)
	}
	for field := range rows {
		t.Errorf("%s is no router", field)
	}
}
