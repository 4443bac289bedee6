package track

import (
	"testing"
)

func TestTracking(t *testing.T) {
	o := &Object{
		Object: map[string]any{
			"apiVersion": "apps/v1",
			"kind":       "Deployment",
			"metadata":   map[string]any{"name": "d", "namespace": "ns"},
		},
	}
	o.SetAnnotations(map[string]string{TrackingAnnotation: TrackingID("app", KeyOf(o), "elsewhere")})
	if got := o.GetAnnotations()[TrackingAnnotation]; got != "app:apps/Deployment:ns/d" || TrackedBy(o) != "app" {
		t.Errorf("%s, %s", got, TrackedBy(o))
	}
	o.SetName("copy")
	if TrackedBy(o) != "" {
		t.Error("a copied annotation counted")
	}
	for _, c := range [][2]string{{"argocd", "a"}, {"team", "a"}} {
		if ns, name := InstanceName(Instance(c[0], c[1], "argocd"), "argocd"); ns != c[0] || name != c[1] {
			t.Errorf("%v: %s/%s", c, ns, name)
		}
	}
}
