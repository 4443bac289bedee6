package cli

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// simulated plays the events of the cases over a Sensor, and returns the report as it is printed.
func simulated(t *testing.T, sensor string) (r report) {
	t.Helper()
	out, errs, code := run(
		t, nil, "sensor", "simulate", "-f", sensor, "--events", "testdata/cases/events.jsonl", "-o", "yaml",
	)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if err := yaml.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return r
}

// created is the data of the ConfigMap that the first firing creates.
func created(t *testing.T, r report) map[string]string {
	t.Helper()
	var fires []reportFiring
	for _, s := range r.Steps {
		fires = append(fires, s.Fires...)
	}
	if len(fires) == 0 {
		t.Fatalf("nothing fired: %+v", r)
	}
	var o struct{ Data map[string]string }
	if err := json.Unmarshal(fires[0].Creates, &o); err != nil || fires[0].Error != "" {
		t.Fatalf("%v, %s in %s", err, fires[0].Error, fires[0].Creates)
	}
	return o.Data
}

func TestCase22QuotedTextIsText(t *testing.T) {
	if r := simulated(t, "testdata/cases/22-expr-date.yaml"); r.Matched != 1 || len(r.Problems) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestCases23And24NumbersAndNullsStay(t *testing.T) {
	r := simulated(t, "testdata/cases/23-24-numbers-nulls.yaml")
	if diff := cmp.Diff([]string{"lua", "jq"}, r.Steps[0].Matched); diff != "" || len(r.Steps[0].Rejected) != 1 ||
		r.Steps[0].Rejected[0].Dependency != "big" {
		t.Errorf("%s, rejected %+v", diff, r.Steps[0].Rejected)
	}
	text, err := os.ReadFile("testdata/cases/23-24-numbers-nulls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fires := file(
		t, "s.yaml", strings.Replace(string(text), "name: show", "name: show\n        conditions: lua && jq", 1),
	)
	data := created(t, simulated(t, fires))
	const want = `{"id":9007199254740993,"big":1234567890123456789,"price":1.50,"list":[1,null,3],"gone":null}`
	for _, name := range []string{"lua", "jq"} {
		if diff := cmp.Diff(exactly(t, want), exactly(t, data[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// exactly reads JSON with its numbers as they are written.
func exactly(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestCases25And26Parameters(t *testing.T) {
	data := created(t, simulated(t, "testdata/cases/25-26-parameters.yaml"))
	if data["number"] != "build-12345678" {
		t.Errorf("number is %s", data["number"])
	}
	whole := exactly(t, data["event"])
	body, err := base64.StdEncoding.DecodeString(whole["data"].(string))
	if err != nil || !strings.Contains(string(body), `"number":12345678`) ||
		whole["context"].(map[string]any)["id"] != "b-1" {
		t.Errorf("%s, %v", data["event"], err)
	}
}
