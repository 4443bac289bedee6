package debian

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDependencies(t *testing.T) {
	const out = `curl
  Depends: libc6
  Depends: libcurl4
x
 |Depends: first
  Depends: second
  PreDepends: libacl1
  Depends: <virtual>
    provider
    another
  Depends: <nobody>
  Depends: last
`
	want := []string{"libc6", "libcurl4", "first", "libacl1", "provider", "last"}
	if got := dependencies(out); !slices.Equal(got, want) {
		t.Errorf("dependencies %v, want %v", got, want)
	}
}

func TestMergeUsr(t *testing.T) {
	root := t.TempDir()
	if err := mergeUsr(root); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin/sh"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/sh")); err != nil {
		t.Error(err)
	}
}
