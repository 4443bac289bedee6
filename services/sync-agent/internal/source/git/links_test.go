package git

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModules(t *testing.T) {
	got := ParseModules(`# of ours
[submodule "a"]
	path = libs/a
	url = https://git.example.org/a.git
[submodule "quoted"]
	URL = "../q.git"
	path = "./q/"
	branch = main
[submodule "without"]
	path = x
[submodule "out"]
	path = ../../y
	url = z
`)
	want := map[string]string{"libs/a": "https://git.example.org/a.git", "q": "../q.git", "y": "z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, c := range [][3]string{
		{"https://git.example.org/team/app.git", "../lib.git", "https://git.example.org/team/lib.git"},
		{"https://git.example.org/team/app.git", "../../other/lib", "https://git.example.org/other/lib"},
		{"https://git.example.org/team/app.git", "./sub", "https://git.example.org/team/app.git/sub"},
		{"https://git.example.org/team/app.git", "https://x/y", "https://x/y"},
		{"git@git.example.org:team/app.git", "../lib.git", "git@git.example.org:team/lib.git"},
		{"git@git.example.org:app.git", "../lib.git", "git@git.example.org:lib.git"},
		{"ssh://git@git.example.org:22/app.git", "../lib.git", "ssh://git@git.example.org:22/lib.git"},
		{"https://git.example.org/app.git", "../../../other.example.org/lib", ""},
		{"https://git.example.org", "../lib", ""},
	} {
		got, err := Relative(c[0], c[1])
		if got != c[2] || (err == nil) != (c[2] != "") {
			t.Errorf("%s from %s: %q, %v", c[1], c[0], got, err)
		}
	}
}

// Whatever is said to be relative stays on its server.
func FuzzRelative(f *testing.F) {
	f.Add("../x")
	f.Add("./../..//../x:y")
	f.Fuzz(func(t *testing.T, location string) {
		if !strings.HasPrefix(location, "../") && !strings.HasPrefix(location, "./") {
			return
		}
		for _, base := range []string{"https://git.example.org/a/b.git", "git@git.example.org:a/b.git"} {
			got, err := Relative(base, location)
			host, _, _ := strings.Cut(base, "/a/")
			if host == base {
				host = "git@git.example.org:"
			}
			if err == nil && !strings.HasPrefix(got, host) {
				t.Errorf("%q from %s is %q", location, base, got)
			}
		}
	})
}

func FuzzParseModules(f *testing.F) {
	f.Add("[submodule \"a\"]\npath = a\nurl = b\n")
	f.Fuzz(func(t *testing.T, text string) {
		for p, location := range ParseModules(text) {
			if p == "" || location == "" || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "../") {
				t.Errorf("%q: %q", p, location)
			}
		}
	})
}

func FuzzPointerOf(f *testing.F) {
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 12\n"))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\next-0-x sha256:y\noid sha256:\nsize -1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, is := PointerOf(text); is && (len(p.OID) != 64 || p.Size < 0 || strings.ContainsAny(p.OID, "./\\")) {
			t.Errorf("%q: %+v", text, p)
		}
	})
}
