package lineage

import (
	"strings"
	"testing"
)

var full = Lineage{Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Correlation: "c1", Causation: "e7"}

func TestRoundTrips(t *testing.T) {
	if got := FromAnnotations(full.Annotate(nil)); got != full {
		t.Errorf("annotations: got %+v", got)
	}
	message := "bump the image\n\nbody: with a colon\n\n" + full.Trailers()
	if got := FromMessage(message); got != full {
		t.Errorf("trailers: got %+v", got)
	}
	oci := map[string]string{}
	for k, v := range full.Env() {
		oci["dev.argosy."+strings.ToLower(strings.TrimPrefix(k, "ARGOSY_"))] = v
	}
	if got := FromOCI(oci); got != full {
		t.Errorf("oci: got %+v", got)
	}
}

func TestUnknownPartsStayOut(t *testing.T) {
	if got := (Lineage{}).Trailers(); got != "" {
		t.Errorf("trailers of nothing: %q", got)
	}
	kept := Lineage{}.Annotate(map[string]string{"a": "b"})
	if len(kept) != 1 {
		t.Errorf("got %v", kept)
	}
	if got := FromMessage("Argosy-Correlation-Id: " + strings.Repeat("x", 300)); !got.Empty() {
		t.Errorf("an oversized trailer was believed: %+v", got)
	}
}
