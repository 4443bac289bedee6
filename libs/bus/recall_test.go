package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
)

func TestRecallTellsWhatIsThereAndWhatComes(t *testing.T) {
	for _, before := range []int{0, 3} {
		b := bustest.Start(t).Connect("test")
		subject := "events.ns.es.e"
		put := func(i int) string {
			e, err := bus.NewEvent(fmt.Sprint(i), "es", "x", map[string]int{"i": i})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Publish(t.Context(), subject, e); err != nil {
				t.Fatal(err)
			}
			return bus.MessageID(subject, e)
		}
		var want []string
		for i := range before {
			want = append(want, put(i))
		}
		ids, ready, ended := make(chan string, 10), make(chan struct{}), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			ended <- b.Recall(ctx, bus.Events, time.Now().Add(-time.Hour), &bus.Known{}, func(id string, _ time.Time) { ids <- id }, func() { close(ready) })
		}()
		select {
		case <-ready:
		case <-time.After(time.Minute):
			t.Fatal("never ready")
		}
		if len(ids) != before {
			t.Errorf("ready after %d of %d", len(ids), before)
		}
		want = append(want, put(before))
		for _, id := range want {
			if got := <-ids; got != id {
				t.Errorf("got %s, want %s", got, id)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
