package toolchain

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindWhatIsThere(t *testing.T) {
	empty, full := t.TempDir(), t.TempDir()
	want := filepath.Join(full, "pause")
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Finder{Dirs: []string{empty, full}, Progress: io.Discard}.Find(t.Context(), Pause)
	if err != nil || got != want {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
}

func TestFindBuildsWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	got, err := Finder{Dirs: []string{dir}, Progress: io.Discard}.Find(t.Context(), Pause)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(got); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%s is not a program: %v", got, err)
	}
}

func TestFindOutsideTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Finder{Dirs: []string{t.TempDir()}, Progress: io.Discard}.Find(t.Context(), Kube)
	if err == nil || !strings.Contains(err.Error(), "ARGOSY_KUBE") {
		t.Errorf("error %v does not say what to do", err)
	}
}
