package healthcmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const objects = `
apiVersion: example.com/v1
kind: Thing
metadata: {name: a, namespace: ns}
status: {phase: Failed}
---
# nothing
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: s}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: d, deletionTimestamp: "2030-01-01T00:00:00Z"}, spec: {paused: true}}
`

func call(t *testing.T, in string, args ...string) (code int, out, problems string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(args, Streams{In: strings.NewReader(in), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

func TestTellsEachObject(t *testing.T) {
	code, out, problems := call(t, objects, "-")
	want := `Degraded     example.com/Thing  ns/a  Failed
-            Secret             s     
Progressing  apps/Deployment    d     Pending deletion
`
	if code != 0 || out != want || problems != "" {
		t.Errorf("%d, %q\n%s\n%s", code, problems, out, want)
	}
	code, out, _ = call(t, objects, "--rule", "-o", "json", "-")
	var got []verdict
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || len(got) != 3 {
		t.Fatalf("%d, %v, %s", code, err, out)
	}
	if got[2].Status != "Suspended" || got[1].Status != "" || got[0].Namespace != "ns" || got[0].File != "-" {
		t.Errorf("%+v", got)
	}
}

func TestTriesCustomizations(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	thing := file("thing.yaml", objects)
	for name, text := range map[string]string{
		"configmap.yaml": "kind: ConfigMap\ndata:\n  resource.customizations.health.example.com_Thing: |\n    return {status = \"Suspended\", message = os.date(\"!%Y\") > \"2000\" and \"lua\" or \"\"}\n",
		"data.yaml":      "resource.customizations.health.example.com_Thing: 'return {status = \"Suspended\", message = \"lua\"}'\n",
	} {
		code, out, problems := call(t, "", "--config", file(name, text), thing)
		if code != 0 || !strings.HasPrefix(out, "Suspended") || !strings.Contains(out, "lua") || problems != "" {
			t.Errorf("%s: %d, %s, %s", name, code, out, problems)
		}
		_, out, _ = call(t, "", "--general", "--config", file(name, text), thing)
		if !strings.HasPrefix(out, "Degraded") {
			t.Errorf("%s, by general rules: %s", name, out)
		}
	}
	bad := file("bad.yaml", "resource.customizations.health.example.com_Thing: 'return {'\n")
	code, out, problems := call(t, "", "--config", bad, thing)
	if code != 0 || !strings.HasPrefix(out, "Unknown") || !strings.Contains(problems, "example.com_Thing") {
		t.Errorf("%d, %s, %s", code, out, problems)
	}
}

func TestRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"no file": {}, "gone": {"/no/such/file"}, "output": {"-o", "xml", "-"}, "flag": {"--nothing"},
		"config": {"--config", "/no/such/file", "-"},
	} {
		if code, _, problems := call(t, "", args...); code != 2 || problems == "" {
			t.Errorf("%s: %d, %q", name, code, problems)
		}
	}
	for name, text := range map[string]string{"no YAML": "a: [", "no object": "a: 1", "a list": "- 1"} {
		if code, _, problems := call(t, text, "-"); code != 2 || !strings.Contains(problems, "document 1") {
			t.Errorf("%s: %d, %q", name, code, problems)
		}
	}
	if code, _, problems := call(t, "", "-h"); code != 0 || !strings.Contains(problems, "FILE") {
		t.Errorf("help: %d, %q", code, problems)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(objects))
	f.Add([]byte(`{"apiVersion":"v1","kind":"List","items":[{}]}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		found, err := decode(text)
		if err == nil {
			for _, o := range found {
				_ = o.GetName()
			}
		}
	})
}
