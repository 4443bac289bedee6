package sensing

import (
	"fmt"
	"testing"
)

// Whether an event passes does not depend on the order of operands, also when one of them cannot be evaluated.
func TestSQLDoesNotDependOnTheOrderOfOperands(t *testing.T) {
	e := Event{ID: "1", Type: "github", Source: "s", Extensions: map[string]string{"level": "5"}}
	const yes, no, wrong = "type = 'github'", "type = 'gitlab'", "missing = 'x'"
	for _, c := range []struct {
		left, operator, right string
		want                  bool
	}{
		{yes, "OR", wrong, true}, {no, "OR", wrong, false}, {wrong, "OR", wrong, false}, {yes, "OR", no, true},
		{no, "OR", no, false},
		{yes, "AND", wrong, false}, {no, "AND", wrong, false}, {yes, "AND", yes, true}, {yes, "AND", no, false},
		{yes, "XOR", wrong, false}, {yes, "XOR", no, true}, {"1 / 0 = 1", "or", yes, true},
		{"INT('x') = 1", "Or", "level = 5", true},
	} {
		for _, text := range []string{
			fmt.Sprintf("%s %s %s", c.left, c.operator, c.right),
			fmt.Sprintf("(%s) %s (%s)", c.right, c.operator, c.left),
		} {
			d, err := compileSQL(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if got := d(e, nil); got != c.want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
	for text, want := range map[string]bool{
		"NOT (" + no + " AND " + wrong + ")": true, "NOT (" + wrong + " AND " + no + ")": true,
		"NOT (" + wrong + ")": false, "not (" + no + ")": true,
		"(" + wrong + " OR " + yes + ") AND level = 5": true, "EXISTS missing OR " + yes: true,
		"type = 'ü' OR type LIKE 'git%'": true, "TRUE": true, "'true'": true, "(5 > 3 AND level > 4) = TRUE": true,
	} {
		d, err := compileSQL(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := d(e, nil); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
