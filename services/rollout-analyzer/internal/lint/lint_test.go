package lint

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: main, image: shop}]}
  strategy:
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting: {nginx: {stableIngress: web}}
      analysis: {templates: [{templateName: rate}]}
      steps: [{setWeight: 20}, {pause: {}}]
`

const services = `---
apiVersion: v1
kind: Service
metadata: {name: canary}
spec: {selector: {app: shop}}
---
apiVersion: v1
kind: Service
metadata: {name: stable}
spec: {selector: {app: shop}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: stable, port: {number: 80}}}}]}}]
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: rate}
spec:
  metrics: [{name: rate, interval: 10s, successCondition: "result[0] > 0", provider: {prometheus: {query: up}}}]
`

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(good+services, from, to, 1) }
	for want, text := range map[string]string{
		"":                                    good + services,
		" ":                                   good,
		"spec.strategy.canari: unknown field": change("canary:\n      canaryService", "canari:\n      canaryService"),
		"steps[0].setWeight: must be between": change("setWeight: 20", "setWeight: 200"),
		"canaryService: service \"canary\" selects": change(
			"name: canary}\nspec: {selector: {app: shop}}", "name: canary}\nspec: {selector: {app: web}}",
		),
		"no rule with the stable service stable": change("service: {name: stable", "service: {name: other"),
		"spec.strategy.canary.analysis: ":        change("interval: 10s", "interval: soon"),
		"spec.selector: must not be empty":       "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {strategy: {canary: {}}}",
		"document 0: is no YAML":                 "a: [",
		"document 1: is no object":               good + "---\n- 1\n",
		"workloadRef.kind: \"Job\" is none of": "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n" +
			"spec: {workloadRef: {kind: Job}, strategy: {canary: {}}}",
	} {
		var said []string
		for _, f := range Check("a.yaml", []byte(text)) {
			said = append(said, f.Field+": "+f.Reason)
		}
		all := strings.Join(said, "\n")
		if strings.TrimSpace(want) == "" && all != "" || !strings.Contains(all, strings.TrimSpace(want)) {
			t.Errorf("%q, want %q", all, want)
		}
	}
}

func TestTheCommand(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	for file, text := range map[string]string{
		"good.yaml": good, "bad.yaml": strings.Replace(good, "20", "200", 1), "not.txt": "a: [",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(in string, args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := Run(args, Streams{In: strings.NewReader(in), Out: &out, Err: &errs})
		return code, out.String(), errs.String()
	}
	if code, out, _ := run(
		"",
		dir,
	); code != 1 ||
		!strings.HasPrefix(out, bad+": Rollout shop: spec.strategy.canary.steps[0].setWeight: ") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := run(good, "-"); code != 0 || out != "" {
		t.Errorf("%d %s", code, out)
	}
	code, out, _ := run("", "-o", "json", bad)
	var found []Finding
	if err := json.Unmarshal(
		[]byte(out),
		&found,
	); err != nil || code != 1 || len(found) != 1 ||
		found[0].Name != "shop" {
		t.Errorf("%d %s %v", code, out, err)
	}
	for want, args := range map[string][]string{
		"no FILE is given":        nil,
		"neither text nor json":   {"-o", "xml", bad},
		"no such file":            {filepath.Join(dir, "gone.yaml")},
		"flag provided but not":   {"--nothing"},
		"rollout-analyzer lint [": {"--help"},
	} {
		code, _, errs := run("", args...)
		if !strings.Contains(errs, want) || (code != 2) != (want[0] == 'r') {
			t.Errorf("%v: %d %s, want %q", args, code, errs, want)
		}
	}
}

// FuzzCheck: whatever a file holds, lint says something or nothing.
func FuzzCheck(f *testing.F) {
	f.Add(good + services)
	f.Add("a: [")
	f.Add("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {strategy: {canary: {steps: [{}]}}}")
	f.Fuzz(func(_ *testing.T, text string) { Check("a", []byte(text)) })
}
