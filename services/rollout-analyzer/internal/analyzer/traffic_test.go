package analyzer

import (
	"fmt"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// Counts of a version are summed once each, whatever else is on the subject and however often one is sent.
func TestCountsOfTrafficAreSummed(t *testing.T) {
	server := bustest.Start(t)
	b := server.Connect("test")
	if err := b.Declare(t.Context(), bus.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	say := func(id, hash, kind string, body any) {
		t.Helper()
		e, err := bus.NewEvent(id, "proxy", kind, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Publish(t.Context(), events.TrafficSubject("shop", hash), e); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now().Add(-time.Minute)
	for i := range 3 {
		id := fmt.Sprint("a", i)
		for range 2 { // the second time is a repetition
			c := events.TrafficCounted{Hash: "new", Requests: 10, Errors: int64(i)}
			say(id, "new", events.TypeTrafficCounted, c)
		}
	}
	say("b", "old", events.TypeTrafficCounted, events.TrafficCounted{Hash: "old", Requests: 500, Errors: 1})
	say("c", "new", events.TypeTrafficCounted, "text")
	say("d", "new", events.TypeTrafficCounted, events.TrafficCounted{Requests: -5})
	say("e", "new", events.TypeImagePushed, events.TrafficCounted{Requests: 7})
	for hash, want := range map[string][2]float64{"new": {30, 3}, "old": {500, 1}, "none": {0, 0}} {
		requests, failed, err := traffic{b}.Counted(t.Context(), "shop", hash, began, time.Now().Add(time.Minute))
		if err != nil || requests != want[0] || failed != want[1] {
			t.Errorf("%s: %v of %v, %v", hash, failed, requests, err)
		}
	}
	requests, _, err := traffic{b}.Counted(t.Context(), "shop", "new", began.Add(-time.Hour), began)
	if err != nil || requests != 0 {
		t.Errorf("before: %v, %v", requests, err)
	}
}
