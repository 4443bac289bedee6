package workflow

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// slowServer takes changes of objects when it is told to.
type slowServer struct {
	client.Client

	begun  []string // the phases that came, in order
	answer chan error
}

func (s *slowServer) Patch(_ context.Context, o client.Object, p client.Patch, _ ...client.PatchOption) error {
	body, err := p.Data(o)
	if err != nil {
		return err
	}
	_, phase, _ := strings.Cut(string(body), `"phase":"`)
	phase, _, _ = strings.Cut(phase, `"`)
	s.begun = append(s.begun, phase)
	return <-s.answer
}

type showing struct {
	t      *testing.T
	server *slowServer
	runner *Reconciler
	known  *run
	nudges atomic.Int32
}

func newShowing(t *testing.T) *showing {
	s := &showing{t: t, server: &slowServer{answer: make(chan error)},
		known: &run{behind: true, Run: &journal.Run{State: flow.Run{Phase: v1alpha1.WorkflowRunning}}}}
	s.runner = New(Config{Client: s.server, Nudge: func(context.Context, string, string) { s.nudges.Add(1) }})
	return s
}

func (s *showing) show() (time.Time, error) {
	wf := object.Workflow()
	wf.SetUID("u")
	return s.runner.show(s.t.Context(), wf, s.known, nil, time.Time{})
}

func (s *showing) want(phases ...string) {
	s.t.Helper()
	synctest.Wait()
	if got := strings.Join(s.server.begun, " "); got != strings.Join(phases, " ") {
		s.t.Errorf("statuses begun: %q, want %q", got, phases)
	}
}

func TestARunDoesNotWaitForItsStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShowing(t)
		if _, err := s.show(); err != nil {
			t.Fatal(err)
		}
		s.want("Running")
		time.Sleep(2 * showEvery)
		s.known.behind = true
		wake, err := s.show()
		if err != nil || !wake.After(time.Now()) {
			t.Errorf("while a status is under way: %v, %v, want another look", wake, err)
		}
		s.want("Running")
		s.server.answer <- nil
		time.Sleep(time.Until(wake))
		if _, err := s.show(); err != nil || s.known.behind {
			t.Errorf("%v, still behind: %v", err, s.known.behind)
		}
		s.want("Running", "Running")
		s.server.answer <- nil
		synctest.Wait()
		if s.nudges.Load() != 0 || len(s.runner.shows.under) != 0 {
			t.Errorf("%d nudges, %d under way", s.nudges.Load(), len(s.runner.shows.under))
		}
	})
}

func TestTheEndIsShownAfterWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShowing(t)
		if _, err := s.show(); err != nil {
			t.Fatal(err)
		}
		s.known.behind, s.known.State.Phase = true, v1alpha1.WorkflowSucceeded
		ended := make(chan error, 1)
		go func() {
			_, err := s.show()
			ended <- err
		}()
		s.want("Running")
		s.server.answer <- nil
		s.want("Running", "Succeeded")
		if len(ended) > 0 {
			t.Error("it is over before its end is shown")
		}
		s.server.answer <- nil
		if err := <-ended; err != nil || s.known.behind {
			t.Errorf("%v, still behind: %v", err, s.known.behind)
		}
	})
}

func TestAStatusThatWasNotTakenIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShowing(t)
		broken := errors.New("broken")
		if _, err := s.show(); err != nil {
			t.Fatal(err)
		}
		s.server.answer <- broken
		synctest.Wait()
		if s.nudges.Load() != 1 {
			t.Errorf("%d nudges, want 1", s.nudges.Load())
		}
		// What is known of a run may be forgotten meanwhile.
		s.known = &run{behind: true, Run: s.known.Run}
		if _, err := s.show(); !errors.Is(err, broken) || !s.known.behind {
			t.Errorf("%v, behind: %v; want what went wrong", err, s.known.behind)
		}
		if _, err := s.show(); err != nil {
			t.Fatal(err)
		}
		s.want("Running", "Running")
		s.server.answer <- nil
	})
}
