package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// connectPatience is how long a command waits for the bus.
const connectPatience = 5 * time.Second

// texter is a value that can be shown to people.
type texter interface{ text(w io.Writer) }

// formats holds the ways to print a value.
var formats = map[string]func(w io.Writer, v texter) error{
	"text": func(w io.Writer, v texter) error { v.text(w); return nil },
	"json": func(w io.Writer, v texter) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	},
	"yaml": func(w io.Writer, v texter) error {
		raw, err := yaml.Marshal(v)
		if err == nil {
			_, err = w.Write(raw)
		}
		return err
	},
}

func (a *app) print(v texter) error { return formats[a.format](a.out, v) }

// table prints rows in columns.
func table(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i == len(row)-1 {
				line.WriteString(cell)
				break
			}
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// printable keeps what others wrote from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func clip(s string, most int) string {
	s = strings.ReplaceAll(printable(s), "\n", " ")
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
