package application

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// When a newer commit has to wait for the operation at work.
func TestPinned(t *testing.T) {
	at := metav1.Now()
	state := func(change ...func(*v1alpha1.OperationState)) *v1alpha1.OperationState {
		s := &v1alpha1.OperationState{
			Phase: v1alpha1.OperationRunning, SyncResult: &v1alpha1.SyncOperationResult{Revision: "r1"},
			Operation: v1alpha1.Operation{InitiatedBy: v1alpha1.OperationInitiator{Automated: true}},
		}
		for _, c := range change {
			c(s)
		}
		return s
	}
	byHand := func(s *v1alpha1.OperationState) { s.Operation.InitiatedBy.Automated = false }
	failed := func(s *v1alpha1.OperationState) { s.FinishedAt = &at }
	refresh := func(s *v1alpha1.OperationState) { s.Operation.Retry.Refresh = true }
	hook := func(phase string) func(*v1alpha1.OperationState) {
		return func(s *v1alpha1.OperationState) {
			s.SyncResult.Resources = []v1alpha1.ResourceResult{{Name: "pre", HookType: "PreSync", HookPhase: phase}}
		}
	}
	for name, c := range map[string]struct {
		state       *v1alpha1.OperationState
		annotations map[string]string
		want        bool
	}{
		"none":      {nil, nil, false},
		"automated": {state(), nil, false},
		"by hand":   {state(byHand), nil, true},
		"by hand, and over": {
			state(byHand, func(s *v1alpha1.OperationState) { s.Phase = "Succeeded" }), nil, false,
		},
		"by hand, being ended": {
			state(byHand, func(s *v1alpha1.OperationState) { s.Phase = "Terminating" }), nil, true,
		},
		"by hand, to be tried again":  {state(byHand, failed), nil, true},
		"again, with what is new":     {state(byHand, failed, refresh), nil, false},
		"with what is new, at work":   {state(byHand, refresh), nil, true},
		"a hook runs":                 {state(hook("Running")), nil, true},
		"a hook ran":                  {state(hook("Succeeded")), nil, false},
		"the Application wants it so": {state(), map[string]string{supersede: "false"}, true},
	} {
		p := &pass{app: &v1alpha1.Application{
			ObjectMeta: metav1.ObjectMeta{Annotations: c.annotations}, Status: v1alpha1.ApplicationStatus{
				OperationState: c.state,
			},
		}}
		if got := p.pinned(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What is remembered of deployments: as many as are to be, and only whole ones that succeeded.
func TestHistory(t *testing.T) {
	ten := make([]v1alpha1.RevisionHistory, 10)
	for i := range ten {
		ten[i].ID = int64(i + 3)
	}
	for name, c := range map[string]struct {
		sync    v1alpha1.SyncOperation
		phase   v1alpha1.OperationPhase
		history []v1alpha1.RevisionHistory
		limit   *int64
		ids     []int64 // the first and the last
		n       int
	}{
		"the first":             {phase: "Succeeded", ids: []int64{0, 0}, n: 1},
		"ten are kept":          {phase: "Succeeded", history: ten, ids: []int64{4, 13}, n: 10},
		"as many as are wanted": {phase: "Succeeded", history: ten, limit: new(int64(2)), ids: []int64{12, 13}, n: 2},
		"none are":              {phase: "Succeeded", history: ten, limit: new(int64(0)), n: 0},
		"one that failed":       {phase: "Failed", history: ten, ids: []int64{3, 12}, n: 10},
		"a dry run":             {sync: v1alpha1.SyncOperation{DryRun: true}, phase: "Succeeded"},
		"a part": {
			sync:  v1alpha1.SyncOperation{Resources: []v1alpha1.SyncOperationResource{{Name: "a"}}},
			phase: "Succeeded",
		},
	} {
		app := &v1alpha1.Application{
			Spec:   v1alpha1.ApplicationSpec{RevisionHistoryLimit: c.limit},
			Status: v1alpha1.ApplicationStatus{History: c.history},
		}
		r := newReport(app)
		began := metav1.NewTime(time.Unix(1000, 0))
		o := v1alpha1.Operation{Sync: &c.sync}
		r.end(
			&operation.World{
				Target: operation.Target{Revision: "r"}, Now: time.Unix(2000, 0),
				State: &v1alpha1.OperationState{Operation: o, StartedAt: &began, Phase: v1alpha1.OperationRunning},
			},
			operation.Plan{Phase: c.phase, Operation: &o},
		)
		got := r.status.History
		if len(got) != c.n || (c.n > 0 && (got[0].ID != c.ids[0] || got[c.n-1].ID != c.ids[1])) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A step is performed kind by kind: what follows a kind of which something failed is not begun.
func TestAStepGoesByKinds(t *testing.T) {
	var tasks []operation.Task
	for _, name := range []string{"Secret/a", "Secret/b", "ConfigMap/c", "Service/d", "Service/e"} {
		kind, name, _ := strings.Cut(name, "/")
		tasks = append(tasks, operation.Task{Item: operation.Item{Key: track.Key{Kind: kind, Name: name}}})
	}
	var got []string
	for _, chunk := range chunks(tasks) {
		line := chunk[0].Key.Kind
		for _, task := range chunk {
			line += " " + task.Key.Name
		}
		got = append(got, line)
	}
	if want := "Secret a b; ConfigMap c; Service d e"; strings.Join(got, "; ") != want {
		t.Errorf("%v", got)
	}
	if order := each([]int{3, 1, 2}, func(n int) int { return n * n }); !slices.Equal(order, []int{9, 1, 4}) {
		t.Errorf("%v", order)
	}
}
