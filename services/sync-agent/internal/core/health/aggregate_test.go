package health

import (
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
)

func TestWorst(t *testing.T) {
	good, late := &Health{Healthy, ""}, &Health{Progressing, "soon"}
	gone, bad := &Health{Missing, ""}, &Health{Degraded, ""}
	for name, c := range map[string]struct {
		parts []Part
		want  Health
	}{
		"nothing":            {nil, Health{Healthy, ""}},
		"no health counts":   {[]Part{{"a", nil, false}, {"b", good, false}}, Health{Healthy, ""}},
		"the worst":          {[]Part{{"a", late, false}, {"b", bad, false}, {"c", good, false}}, Health{Degraded, "b"}},
		"with its message":   {[]Part{{"a", good, false}, {"b", late, false}}, Health{Progressing, "b: soon"}},
		"some are missing":   {[]Part{{"a", good, false}, {"b", gone, false}}, Health{Healthy, ""}},
		"all are missing":    {[]Part{{"a", gone, false}, {"b", gone, false}}, Health{Missing, ""}},
		"all but a hook":     {[]Part{{"a", gone, false}, {"b", good, true}}, Health{Missing, ""}},
		"missing and health": {[]Part{{"a", gone, false}, {"b", nil, false}}, Health{Healthy, ""}},
		"ignored":            {[]Part{{"a", bad, true}}, Health{Healthy, ""}},
	} {
		if got := Worst(c.parts); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWhatDoesNotCount(t *testing.T) {
	for annotation, want := range map[string]bool{
		`argocd.argoproj.io/ignore-healthcheck: "true"`: true, `argocd.argoproj.io/ignore-healthcheck: "false"`: false,
		`argocd.argoproj.io/hook: PostSync`: true, `helm.sh/hook: pre-install`: true,
		`helm.sh/hook: crd-install`: false, `other: x`: false,
	} {
		o := tracktest.Object(t, "{apiVersion: v1, kind: Secret, metadata: {annotations: {"+annotation+"}}}")
		if got := PartOf("x", o, nil); got.Ignored != want {
			t.Errorf("%s: %v", annotation, got.Ignored)
		}
	}
}
