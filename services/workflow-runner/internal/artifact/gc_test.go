package artifact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
)

func TestAStoreThatIsAwayHoldsNoOther(t *testing.T) {
	var dials atomic.Int32
	insecure := true
	at := func(host, key string) v1alpha1.ArtifactLocation {
		return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Endpoint: host, Bucket: "bucket", Key: key,
			Region:   "r",
			Insecure: &insecure}}
	}
	j := NewGC(GCConfig{Log: slog.New(slog.DiscardHandler),
		Stores: &store.Stores{Dial: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("away")
		}}})
	var waste []location.Waste
	for i := range 50 {
		waste = append(waste, location.Waste{Name: fmt.Sprint(i), Location: at("127.0.0.1:1", fmt.Sprint("k", i))})
	}
	if err := j.remove(t.Context(), gcRecord{Namespace: "ns", Name: "wf"}, waste); err == nil {
		t.Error("all is removed from a store that is away")
	}
	once := dials.Load()
	if err := j.remove(t.Context(), gcRecord{Namespace: "ns", Name: "other"}, waste); err == nil ||
		dials.Load() != once {
		t.Errorf("it was tried %d times more: %v", dials.Load()-once, err)
	}
	if err := j.remove(t.Context(), gcRecord{Namespace: "ns2", Name: "wf"}, waste[:1]); err == nil ||
		dials.Load() == once {
		t.Errorf("another namespace is held: %v", err)
	}
	if err := j.remove(t.Context(), gcRecord{Namespace: "ns", Name: "wf"},
		[]location.Waste{{Name: "x", Location: at("127.0.0.1:2", "k")}}); err == nil || dials.Load() < 2*once {
		t.Errorf("another store is held: %v", err)
	}
	if a := (&awayStores{}); a.has("x", time.Now()) {
		t.Error("a store is away that nobody asked")
	} else if a.add("x", time.Unix(100, 0)); !a.has("x", time.Unix(99, 0)) || a.has("x", time.Unix(100, 0)) {
		t.Error("it does not come back")
	}
}
