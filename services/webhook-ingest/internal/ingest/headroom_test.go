package ingest

import "testing"

// The collector has room while hooks come, and a while longer; then memory is given back, once.
func TestTheCollectorHasRoomUnderLoad(t *testing.T) {
	c := collector{percent: 100, idle: headroomAfter}
	var allocated uint64
	look := func(more uint64) (int, bool) {
		allocated += more
		return c.look(32<<20, allocated)
	}
	for range 3 {
		if percent, giveBack := look(1 << 20); percent != 100 || giveBack {
			t.Fatalf("idle: %d, %t", percent, giveBack)
		}
	}
	if percent, giveBack := look(headroomLoad); percent != 300 || giveBack {
		t.Errorf("under load: %d, %t", percent, giveBack)
	}
	for i := range headroomAfter {
		if percent, giveBack := look(0); percent != 300 || giveBack {
			t.Errorf("look %d after load: %d, %t", i, percent, giveBack)
		}
	}
	if percent, giveBack := look(0); percent != 100 || !giveBack {
		t.Errorf("load is over: %d, %t", percent, giveBack)
	}
	if percent, giveBack := look(0); percent != 100 || giveBack {
		t.Errorf("it was given back: %d, %t", percent, giveBack)
	}
}
