package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

var (
	target  = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
	mention = regexp.MustCompile("(?m)(?:`|^\\s+|^\\$ )make ([a-z][a-z0-9-]*)")
)

// files reads all that match a pattern below the root of the repository.
func files(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	return texts
}

func TestWhatTheDocumentsSayToMakeCanBeMade(t *testing.T) {
	var targets []string
	for _, text := range files(t, "Makefile", "tools/make/*.mk") {
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			targets = append(targets, m[1])
		}
	}
	mentioned := 0
	for name, text := range files(t, "*.md", "docs/*.md", "docs/adr/*.md") {
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			mentioned++
			if !slices.Contains(targets, m[1]) {
				t.Errorf("%s: there is no `make %s`", name, m[1])
			}
		}
	}
	if mentioned < 3 {
		t.Errorf("only %d mentions were found", mentioned)
	}
}
