package measure

import (
	"go/scanner"
	"go/token"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// width is how many columns a line may have; a tab counts as four.
	width = 120
	// longText is a string that is not cut for the sake of a line.
	longText = 40
)

// wide lists the lines of a file that are wider than a screen. A line is let off for a long string on it, for a word
// that is as long as a line, and for what a linter is told there.
func wide(text []byte) []int {
	lines := strings.Split(string(text), "\n")
	var out []int
	let := lenient(text)
	for i, line := range lines {
		if !let[i+1] && columns(line) > width && !strings.Contains(line, "//nolint:") && len(strings.Fields(line)) > 2 {
			out = append(out, i+1)
		}
	}
	return out
}

// columns does not count the spaces by which gofmt aligns a line with a longer one.
func columns(line string) int {
	return utf8.RuneCountInString(aligned.ReplaceAllString(line, ": ")) + 3*strings.Count(line, "\t")
}

var aligned = regexp.MustCompile(`:  +`)

// lenient are the lines with a long string, and those inside of one.
func lenient(text []byte) map[int]bool {
	out := map[int]bool{}
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0) // the parser has found no error
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return out
		}
		if kind != token.STRING {
			continue
		}
		first, many := file.Line(pos), strings.Count(literal, "\n")
		if many > 0 || len(literal) >= longText {
			for line := first; line <= first+many; line++ {
				out[line] = true
			}
		}
	}
}
