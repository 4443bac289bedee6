package git

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A branch may begin with nothing; notes of two writers stand beside each other, and the same note is written once.
func TestABranchOfItsOwnAndNotes(t *testing.T) {
	const ref = "refs/notes/hydrator.metadata"
	o := newOrigin(t)
	main := o.commit("first", map[string]string{"a": "1"})
	m, other := mirror(t, o), mirror(t, o)
	change := func(files map[string][]byte) Change {
		return Change{
			Branch: "refs/heads/env", Base: "refs/heads/env", Root: true, Author: "argosy <a@b>",
			Edit: func(h Head) (Edit, error) {
				names, err := h.Differ(files)
				if err != nil || len(names) == 0 {
					return Edit{}, err
				}
				return Edit{Files: files, Message: strings.Join(names, " ")}, nil
			},
		}
	}
	_, made, err := m.Apply(
		t.Context(), change(
			map[string][]byte{"d/x/m.yaml": []byte("1"), "d/z/m.yaml": []byte("1"), "y/m.yaml": []byte("2")},
		),
	)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	if got := o.git(o.bare, "ls-tree", "-r", "--name-only", "env"); got != "d/x/m.yaml\nd/z/m.yaml\ny/m.yaml" {
		t.Errorf("files %q: the branch began with others'", got)
	}
	if got := o.git(o.bare, "rev-list", "--count", "env"); got != "1" {
		t.Errorf("%s commits", got)
	}
	head, made, err := other.Apply(t.Context(), change(map[string][]byte{"y/m.yaml": []byte("3")}))
	if err != nil || !made || head.Message != "y/m.yaml" {
		t.Errorf("%+v, %v, %v", head, made, err)
	}
	if _, made, err = m.Apply(t.Context(), change(map[string][]byte{"y/m.yaml": []byte("3")})); made || err != nil {
		t.Errorf("nothing to write: %v, %v", made, err)
	}
	if _, made, err = m.Apply(t.Context(), change(map[string][]byte{"d/x/m.yaml": []byte("2")})); !made || err != nil {
		t.Errorf("beside another folder: %v, %v", made, err)
	}
	for range 2 {
		for commit, writer := range map[string]*Mirror{head.SHA: other, main: m} {
			if _, err := writer.Resolve(t.Context(), commit, Want{}); err != nil {
				t.Fatal(err)
			}
			if err := writer.Note(
				t.Context(), "argosy <a@b>", ref, commit, []byte(`{"drySha":"`+commit+`"}`),
			); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, commit := range []string{head.SHA, main} {
		if got := o.git(o.bare, "notes", "--ref", ref, "show", commit); got != `{"drySha":"`+commit+`"}` {
			t.Errorf("note %q", got)
		}
	}
	if got := o.git(o.bare, "rev-list", "--count", ref); got != "2" {
		t.Errorf("%s commits of notes, want 2: the same one is written again", got)
	}
}

// What is a link or a folder is not written through, and modes stay.
func TestModesOfWhatIsWritten(t *testing.T) {
	o := newOrigin(t)
	o.commit("first", map[string]string{"run": "1", "dir/a": "1"})
	if err := os.Symlink("dir", filepath.Join(o.work, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(o.work, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	o.commit("second", nil)
	m := mirror(t, o)
	write := func(name string) error {
		_, _, err := m.Apply(t.Context(), Change{
			Branch: "refs/heads/main", Author: "argosy <a@b>",
			Edit: func(Head) (Edit, error) {
				return Edit{Files: map[string][]byte{name: []byte("2")}, Message: "m"}, nil
			},
		})
		return err
	}
	for _, name := range []string{"link", "link/a", "dir", "dir/a/b"} {
		if err := write(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if err := write("run"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", o.bare, "ls-tree", "main").Output()
	if err != nil {
		t.Fatal(err)
	}
	var modes []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		modes = append(modes, fields[0]+" "+fields[3])
	}
	if d := cmp.Diff([]string{"040000 dir", "120000 link", "100755 run"}, modes); d != "" {
		t.Error(d)
	}
}
