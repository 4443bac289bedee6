package bench

import (
	"testing"
)

func TestAProcessTellsWhatItTakes(t *testing.T) {
	dir := t.TempDir()
	p, err := spawn(dir, "idle", "sleep", nil, "60")
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.usage()
	if err != nil || u.cpu < 0 || u.bytes < 0 {
		t.Errorf("%+v, %v", u, err)
	}
	p.stop()
	if _, err := p.usage(); err == nil {
		t.Error("one that is gone takes something")
	}
	if _, err := spawn(dir, "none", dir+"/none", nil); err == nil {
		t.Error("a program that is not there was started")
	}
}
