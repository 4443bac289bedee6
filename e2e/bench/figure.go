package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Figure is one row of the table.
type Figure struct {
	Job   string `json:"job"`
	Unit  string `json:"unit"`
	Value Spread `json:"value"`
	Floor Spread `json:"floor"` // the same work without the product, in the same run; N is 0 where there is none
	Aim   Aim    `json:"-"`
	Note  string `json:"note,omitempty"`
}

// Aim is what a figure should come to. The zero value is no aim.
type Aim struct {
	text  string
	meets func(Figure) bool
}

// OverFloor asks for no more than some percent over the floor.
func OverFloor(percent float64) Aim {
	return Aim{text: fmt.Sprintf("floor + %g %%", percent), meets: func(f Figure) bool {
		// What rounds to the limit is the limit.
		return f.Value.Median <= f.Floor.Median*(1+percent/100)+1e-9
	}}
}

// AtLeast asks for a rate.
func AtLeast(limit float64, unit string) Aim {
	return Aim{
		text:  fmt.Sprintf(">= %s %s", digits(limit), unit),
		meets: func(f Figure) bool { return f.Value.Median >= limit },
	}
}

// Under asks for a value below a limit.
func Under(limit float64, unit string) Aim {
	return Aim{text: fmt.Sprintf("< %g %s", limit, unit), meets: func(f Figure) bool { return f.Value.Median < limit }}
}

// Verdict is "met" or "short of aim", or empty where there is nothing to judge.
func (f Figure) Verdict() string {
	relative := strings.HasPrefix(f.Aim.text, "floor")
	if f.Aim.meets == nil || f.Value.N == 0 || relative && f.Floor.N == 0 {
		return ""
	}
	if f.Aim.meets(f) {
		return "met"
	}
	return "short of aim"
}

// Write prints figures as a table for people and Markdown ("text"), or as "json".
func Write(out io.Writer, format string, figures []Figure) error {
	switch format {
	case "json":
		return writeJSON(out, figures)
	case "text":
		return writeText(out, figures)
	}
	return fmt.Errorf("unknown format %q: use text or json", format)
}

func writeJSON(out io.Writer, figures []Figure) error {
	type row struct {
		Figure
		Ratio   string `json:"ratio"`
		Aim     string `json:"aim"`
		Verdict string `json:"verdict"`
	}
	rows := []row{}
	for _, f := range figures {
		rows = append(rows, row{f, Ratio(f.Value, f.Floor), f.Aim.text, f.Verdict()})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(rows)
}

func writeText(out io.Writer, figures []Figure) error {
	rows := [][]string{{"job", "measured", "floor", "ratio", "aim", "verdict", "note"}, nil}
	for _, f := range figures {
		rows = append(
			rows,
			[]string{
				f.Job, with(f.Value, f.Unit), with(f.Floor, f.Unit), Ratio(f.Value, f.Floor), f.Aim.text, f.Verdict(),
				f.Note,
			},
		)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, width := range widths {
		rows[1] = append(rows[1], strings.Repeat("-", width))
	}
	for _, row := range rows {
		var line strings.Builder
		line.WriteString("|")
		for i, cell := range row {
			fmt.Fprintf(&line, " %-*s |", widths[i], cell)
		}
		if _, err := fmt.Fprintln(out, line.String()); err != nil {
			return err
		}
	}
	return nil
}

func with(s Spread, unit string) string {
	if s.N == 0 {
		return "-"
	}
	return s.String() + " " + unit
}
