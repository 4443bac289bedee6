package executor

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// packed is a folder with a/b.txt in it, as the store keeps it.
func packed(t *testing.T, mark string) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder")
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pack(&out, dir+"/", mark, nil); err != nil { // people write paths of folders so
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAFolderKeptWithoutArchiveComesBackAsAFolder(t *testing.T) {
	target := filepath.Join(t.TempDir(), "in")
	if err := place(bytes.NewReader(packed(t, folderMark)), protocol.Transfer{Plain: true}, target); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(target, "a", "b.txt")); string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAnArchiveThatWasStoredAsItIsStaysOne(t *testing.T) {
	raw := packed(t, "")
	target := filepath.Join(t.TempDir(), "in")
	if err := place(bytes.NewReader(raw), protocol.Transfer{Plain: true}, target); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); !bytes.Equal(got, raw) {
		t.Errorf("%d bytes of %d, %v", len(got), len(raw), err)
	}
}

func TestASubPathIsAPartOfTheArtifact(t *testing.T) {
	for sub, good := range map[string]bool{"a/b.txt": true, "a": true, "c": false, "../x": false, "/etc": false,
		"a/b.txt/c": false} {
		target := filepath.Join(t.TempDir(), "in")
		err := place(bytes.NewReader(packed(t, folderMark)), protocol.Transfer{Plain: true, SubPath: sub}, target)
		if (err == nil) != good {
			t.Errorf("%s: %v", sub, err)
		}
		if _, there := os.Stat(target); (there == nil) != good {
			t.Errorf("%s: target: %v", sub, there)
		}
	}
}
