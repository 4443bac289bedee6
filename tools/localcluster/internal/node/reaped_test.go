package node

import (
	"os/exec"
	"testing"
	"time"
)

func TestADeadProcessIsListedUntilItsEndIsAskedFor(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for Reaped([]int{cmd.Process.Pid}) == nil { // until it is dead
		select {
		case <-deadline:
			t.Fatal("its death was not seen")
		case <-time.After(time.Millisecond):
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := Reaped([]int{cmd.Process.Pid}); err != nil {
		t.Error(err)
	}
}
