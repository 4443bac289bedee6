package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tables(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const typesTable = "type\tfield\tfield_type\trequired\n" +
	"Sensor\tspec\tSensorSpec\trequired\n" +
	"SensorSpec\tdependencies\t[]EventDependency\trequired\n" +
	"SensorSpec\treplicas\tinteger\t\n" +
	"EventDependency\tname\tstring\trequired\n" +
	"EventDependency\tfilters\tEventDependencyFilter\t\n" +
	"EventDependencyFilter\tdata\t[]DataFilter\t\n" +
	"DataFilter\tvalue\t[]string\trequired\n"

func verdicts(t *testing.T, report *Report, err error) map[string]string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range report.Results {
		out[r.Case] = r.Reason
	}
	return out
}

func TestFieldsThatWeHavePass(t *testing.T) {
	report, err := Schema(tables(t, map[string]string{"events.types.tsv": typesTable}), "events")
	got := verdicts(t, report, err)
	if len(got) != 7 || report.Failed() != 0 {
		t.Fatalf("%+v", report.Results)
	}
}

func TestFieldsThatWeLackOrReadOtherwiseFail(t *testing.T) {
	table := typesTable + "SensorSpec\tinvented\tstring\t\n" + "SensorSpec\teventBusName\tinteger\t\n" +
		"Unheard\tfield\tstring\t\n" +
		"SensorSpec\ttriggers\tmap:Trigger\t\n"
	report, err := Schema(tables(t, map[string]string{"events.types.tsv": table}), "")
	got := verdicts(t, report, err)
	for name, want := range map[string]string{
		"SensorSpec.invented": "no such field", "SensorSpec.eventBusName": "does not read", "Unheard": "no type",
		"SensorSpec.triggers": "does not read",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if report.Failed() != 4 {
		t.Errorf("%d failed: %+v", report.Failed(), report.Results)
	}
}

func TestADefinitionThatDisagreesWithTheTypeFails(t *testing.T) {
	n := node{"type": "object", "properties": map[string]any{"a": map[string]any{"type": "integer"}}}
	if _, err := n.property("b"); err == nil {
		t.Error("a property that is not there is found")
	}
	below, err := n.property("a")
	if err != nil || below.fits("string") == nil || below.fits("integer") != nil {
		t.Errorf("%v, %v", below, err)
	}
	if n := (node{"x-kubernetes-preserve-unknown-fields": true}); n.fits("string") != nil {
		t.Error("an open place takes everything")
	}
}

func TestPathsAreFollowedThroughListsAndMaps(t *testing.T) {
	table := "path\ttype\n.spec.triggers[].template.http.secureHeaders[].name\tstring\n.spec.loggingFields\tmap\n.spec.triggers\tstring\n.spec.nothing\tstring\n"
	report, err := Schema(
		tables(t, map[string]string{"Sensor.paths.tsv": table, "Unheard.paths.tsv": "path\ttype\n.a\tstring\n"}), "",
	)
	got := verdicts(t, report, err)
	if got["Sensor.spec.triggers[].template.http.secureHeaders[].name"] != "" ||
		got["Sensor.spec.loggingFields"] != "" {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"Sensor.spec.triggers", "Sensor.spec.nothing", "Unheard.a"} {
		if got[bad] == "" {
			t.Errorf("%s passes", bad)
		}
	}
}

func TestNothingToJudgeIsAnError(t *testing.T) {
	if _, err := Schema(t.TempDir(), ""); err == nil {
		t.Error("an empty folder is judged")
	}
	if _, err := Run(t.Context(), Config{Kind: "unheard", Dir: t.TempDir()}); err == nil {
		t.Error("an unknown kind is judged")
	}
	if _, err := Run(t.Context(), Config{Kind: "schema", Dir: "/nonexistent"}); err == nil {
		t.Error("a folder that is not there is judged")
	}
}

func TestAReportEndsWithItsTotal(t *testing.T) {
	r := &Report{}
	r.Pass("a")
	r.Failf("b", "is %s", "bad")
	var out bytes.Buffer
	if err := r.Write(&out); err != nil || out.String() != "FAIL b: is bad\n1 passed, 1 failed\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
