package install

import (
	"os"
	"path/filepath"
	"testing"
)

func TestANewImageOfTheSameNameHasAnotherStamp(t *testing.T) {
	archives := t.TempDir()
	stamp := func(name string) string {
		t.Helper()
		s, err := Stamp(archives, name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	build := func(content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(archives, "sensor.tar"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build("1")
	first := stamp("sensor")
	if first == "" || first != stamp("sensor") {
		t.Errorf("the same image has the stamps %q and another", first)
	}
	build("2")
	if stamp("sensor") == first {
		t.Error("another image has the same stamp")
	}
	if s := stamp("absent"); s != "" {
		t.Errorf("an image that came another way is stamped %q", s)
	}
	if err := os.Mkdir(filepath.Join(archives, "broken.tar"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Stamp(archives, "broken"); err == nil {
		t.Error("an archive that cannot be read is no error")
	}
}
