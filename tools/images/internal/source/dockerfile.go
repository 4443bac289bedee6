// Package source builds an image from a checkout and a Dockerfile of which
// only what copies and configures is understood: nothing in it is run.
package source

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Instruction is one line of a Dockerfile.
type Instruction struct {
	Line int
	Name string // upper case
	Args []string
	Exec bool // the arguments were a JSON array
}

// supported says how many arguments each instruction takes at least.
var supported = map[string]int{
	"FROM": 1, "COPY": 2, "WORKDIR": 1, "ENV": 1, "ENTRYPOINT": 1, "CMD": 1, "USER": 1, "EXPOSE": 1, "LABEL": 1,
}

// Parse reads a Dockerfile and refuses what it does not understand.
func Parse(r io.Reader) ([]Instruction, error) {
	var all []Instruction
	scanner := bufio.NewScanner(r)
	number, start, pending := 0, 0, ""
	for scanner.Scan() {
		number++
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if pending == "" {
			start = number
		}
		if head, continued := strings.CutSuffix(line, `\`); continued {
			pending += head + " "
			continue
		}
		instruction, err := parseLine(start, pending+line)
		if err != nil {
			return nil, err
		}
		all, pending = append(all, instruction), ""
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read Dockerfile: %w", err)
	}
	if pending != "" {
		return nil, fmt.Errorf("line %d: the file ends in a continuation", start)
	}
	return all, nil
}

func parseLine(number int, line string) (Instruction, error) {
	word, rest, _ := strings.Cut(line, " ")
	i := Instruction{Line: number, Name: strings.ToUpper(word)}
	least, known := supported[i.Name]
	if !known {
		return i, fmt.Errorf(
			"line %d: %s is not supported, because nothing is run to build an image: build first, then COPY the result (supported: FROM COPY WORKDIR ENV ENTRYPOINT CMD USER EXPOSE LABEL)",
			number, i.Name,
		)
	}
	rest = strings.TrimSpace(rest)
	if strings.HasPrefix(rest, "[") && json.Unmarshal([]byte(rest), &i.Args) == nil {
		i.Exec = true
	} else {
		i.Args = words(rest)
	}
	if len(i.Args) < least {
		return i, fmt.Errorf("line %d: %s wants at least %d arguments", number, i.Name, least)
	}
	if i.Name == "COPY" && strings.HasPrefix(i.Args[0], "--") {
		return i, fmt.Errorf("line %d: COPY takes no flags here, got %s", number, i.Args[0])
	}
	if i.Name == "FROM" && len(i.Args) > 1 {
		return i, fmt.Errorf("line %d: FROM takes one image; stages are not supported", number)
	}
	if (i.Name == "ENTRYPOINT" || i.Name == "CMD") && !i.Exec {
		i.Args = []string{"/bin/sh", "-c", rest}
	}
	return i, nil
}

// words splits at spaces outside double quotes, which it removes.
func words(text string) []string {
	var all []string
	var word strings.Builder
	quoted, started := false, false
	for _, r := range text {
		switch {
		case r == '"':
			quoted, started = !quoted, true
		case !quoted && (r == ' ' || r == '\t'):
			if started {
				all = append(all, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		all = append(all, word.String())
	}
	return all
}
