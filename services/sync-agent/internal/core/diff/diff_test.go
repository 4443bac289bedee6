package diff

import (
	"strings"
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
		"a time in a template": {
			"spec: {template: {metadata: {creationTimestamp: null, labels: {a: b}}}}",
			"spec: {template: {metadata: {labels: {a: b}}}}", "",
		},
		"no rules": {"rules: []", "rules: null", ""},
		"rules that others aggregate": {
			"aggregationRule: {x: y}", "aggregationRule: {x: y}\nrules: [{verbs: [get]}]", "",
		},
		"a default of a port": {
			"spec: {ports: [{port: 80}]}", "spec: {ports: [{port: 80, protocol: TCP, targetPort: 80}]}", "",
		},
		"two ports of one number": {
			"spec: {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}",
			"spec: {ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]}", "",
		},
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
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"
	for name, c := range map[string]struct{ want, got, differs string }{
		"plain is encoded":            {"stringData: {a: b}", "data: {a: Yg==}", ""},
		"plain wins over encoded":     {"stringData: {a: b}\ndata: {a: eA==, c: ''}", "data: {a: Yg==, c: ''}", ""},
		"nothing is empty":            {"data: {a: null}", "data: {a: ''}", ""},
		"another value":               {"stringData: {a: c}", "data: {a: Yg==}", "data.a"},
		"of another group it is text": {"stringData: {a: b}", "data: {a: Yg==}", "stringData"},
	} {
		text := secret
		if strings.HasPrefix(name, "of another group") {
			text = strings.Replace(secret, "v1", "example.org/v1", 1)
		}
		got := Compare(tracktest.Object(t, text+c.want), tracktest.Object(t, text+c.got))
		first := ""
		if len(got) > 0 {
			first = got[0].Path
		}
		if first != c.differs {
			t.Errorf("secret, %s: %+v", name, got)
		}
	}
}

// What the server counts and what a tool notes on an object is no part of what Git says.
func TestWhatIsNeverCompared(t *testing.T) {
	bare := tracktest.Object(t, "apiVersion: v1\nkind: X\nmetadata: {name: x, annotations: {a: b}}\nspec: {a: 1}\n")
	noted := tracktest.Object(t, `apiVersion: v1
kind: X
metadata:
  name: x
  annotations: {a: b, argosy.dev/correlationid: c}
  creationTimestamp: "2030-01-01T00:00:00Z"
  resourceVersion: "7"
  uid: u
  generation: 3
  selfLink: /x
  managedFields: [{manager: m}]
spec: {a: 1}
status: {a: 1}
`)
	if Fingerprint(bare) != Fingerprint(noted) {
		t.Error("another manifest")
	}
	if got := Compare(noted, bare); got != nil {
		t.Errorf("%+v", got)
	}
	bare.Object["spec"] = map[string]any{"a": int64(2)}
	if Fingerprint(bare) == Fingerprint(noted) {
		t.Error("the same manifest")
	}
}
