package notification

import "testing"

func TestNamesOfRepositories(t *testing.T) {
	for repository, want := range map[string][2]string{
		"https://github.com/a/b.git":        {"https://github.com/a/b", "a/b"},
		"git@github.com:a/b.git":            {"https://github.com/a/b", "a/b"},
		"ssh://git@host.example:22/a/b/c":   {"https://host.example/a/b/c", "a/b/c"},
		"https://user:pw@host.example/a/b/": {"https://host.example/a/b/", "a/b"},
	} {
		if got := [2]string{toHTTPS(repository), fullName(repository)}; got != want {
			t.Errorf("%s: %v", repository, got)
		}
	}
	if got := replaceAll("aaaa", "a", string(make([]byte, maxText))); got != "aaaa" {
		t.Error("a text without bounds")
	}
	if !parseTime("x").IsZero() || parseTime("2026-11-30T12:00:00Z").Hour() != 12 {
		t.Error("times")
	}
}
