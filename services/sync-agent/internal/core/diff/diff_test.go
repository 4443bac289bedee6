package diff

import (
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
)

func TestCompare(t *testing.T) {
	const base = "apiVersion: v1\nkind: X\nmetadata: {name: x}\n"
	for name, c := range map[string]struct{ want, got, differs string }{
		"defaults":          {"spec: {a: 1}", "spec: {a: 1, b: 2}", ""},
		"value":             {"spec: {a: 1}", "spec: {a: 2}", "spec.a"},
		"missing":           {"spec: {a: x}", "spec: {}", "spec.a"},
		"empty is missing":  {"spec: {a: '', b: {}, c: [], d: null, e: false}", "spec: {}", ""},
		"float":             {"spec: {a: 1}", "spec: {a: 1.0}", ""},
		"quantity":          {"spec: {limits: {cpu: 1000m}}", "spec: {limits: {cpu: '1'}}", "spec.limits.cpu"},
		"no quantity":       {"spec: {version: '1.10'}", "spec: {version: '1.1'}", "spec.version"},
		"text is no number": {"data: {a: '1000m'}", "data: {a: '1'}", "data.a"},
		"duration":          {"spec: {a: 60s}", "spec: {a: 1m0s}", "spec.a"},
		"named, injected": {
			"spec: {c: [{name: a, image: x}]}", "spec: {c: [{name: side}, {name: a, image: x}]}",
			"spec.c.name=side (not in the manifest)",
		},
		"named, differs": {
			"spec: {c: [{name: a, image: x}]}", "spec: {c: [{name: a, image: y}]}", "spec.c.name=a.image",
		},
		"plain list":        {"spec: {c: [a, b]}", "spec: {c: [b, a]}", "spec.c.0"},
		"list length":       {"spec: {c: [a]}", "spec: {c: [a, b]}", "spec.c"},
		"status is ignored": {"status: {a: 1}", "spec: {}", ""},
	} {
		got := Compare(tracktest.Object(t, base+c.want), tracktest.Object(t, base+c.got))
		first := ""
		if len(got) > 0 {
			first = got[0].Path
		}
		if first != c.differs {
			t.Errorf("%s: %+v", name, got)
		}
	}
	secret := tracktest.Object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: b}\n")
	if got := Compare(
		secret, tracktest.Object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {a: Yg==}\n"),
	); got != nil {
		t.Errorf("secret: %+v", got)
	}
}
