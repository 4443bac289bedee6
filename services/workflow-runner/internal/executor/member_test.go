package executor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// set is a set of containers that share a folder.
type set struct {
	t       *testing.T
	staging string
	running sync.WaitGroup
}

// box is one container of a set at work.
type box struct {
	code int
	out  bytes.Buffer
	last protocol.Termination
}

// start runs a container beside the others, as its process would.
func (s *set) start(name, script string, after ...string) *box {
	b := &box{}
	args := []string{"run", "--name", name}
	for _, a := range after {
		args = append(args, "--after", a)
	}
	args = append(args, "--", "sh", "-c", script)
	file := filepath.Join(s.t.TempDir(), "termination")
	s.running.Go(func() {
		b.code = Main(s.t.Context(), args, func(string) string { return "{}" }, Streams{Out: &b.out, Err: &b.out},
			Places{Termination: file, Staging: s.staging})
		if raw, err := os.ReadFile(file); err == nil {
			_ = json.Unmarshal(raw, &b.last)
		}
	})
	return b
}

// endless runs until it is told to stop, and says so.
const endless = `trap 'echo told; exit 7' TERM; touch $BEGAN; while :; do sleep 0.02; done`

func TestTheOthersAreStoppedWhenOneEndsBadly(t *testing.T) {
	s := &set{t: t, staging: t.TempDir()}
	t.Setenv("BEGAN", filepath.Join(s.staging, "began"))
	a := s.start("a", endless)
	c := s.start("c", "echo never", "a")
	b := s.start("b", "until test -e $BEGAN; do sleep 0.02; done; exit 5")
	s.running.Wait()
	if b.code != 5 || b.last.Stopped != "" {
		t.Errorf("b: %d %+v", b.code, b.last)
	}
	// When a ends, c may see its end before that of b.
	if a.code != 7 || a.last.Stopped != "b" || a.out.String() != "told\n" {
		t.Errorf("a: %d %+v %q", a.code, a.last, a.out.String())
	}
	if c.code == 0 || c.last.Stopped == "" || strings.Contains(c.out.String(), "never") {
		t.Errorf("c: %d %+v %q", c.code, c.last, c.out.String())
	}
}

func TestAMemberThatWasKilledWithItsExecutorIsNoticed(t *testing.T) {
	s := &set{t: t, staging: t.TempDir()}
	// What a member leaves that the kernel killed: its file, and no lock.
	victim := member{name: "victim", dir: filepath.Join(s.staging, "ended")}
	alive, err := victim.join()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BEGAN", filepath.Join(s.staging, "began"))
	a, b := s.start("a", endless), s.start("b", "echo never", "victim")
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
	s.running.Wait()
	if a.code == 0 || a.last.Stopped == "" {
		t.Errorf("a: %d %+v", a.code, a.last)
	}
	if b.code != exitKilled || b.last.Stopped != "victim" || strings.Contains(b.out.String(), "never") {
		t.Errorf("b: %d %+v %q", b.code, b.last, b.out.String())
	}
}

func TestASetThatEndsWellStopsNobody(t *testing.T) {
	s := &set{t: t, staging: t.TempDir()}
	a, b, c := s.start("a", "echo a"), s.start("b", "sleep 0.1; echo b", "a"), s.start("c", "sleep 0.2; echo c")
	s.running.Wait()
	for name, one := range map[string]*box{"a": a, "b": b, "c": c} {
		if one.code != 0 || one.last.Stopped != "" || one.out.String() != name+"\n" {
			t.Errorf("%s: %d %+v %q", name, one.code, one.last, one.out.String())
		}
	}
}
