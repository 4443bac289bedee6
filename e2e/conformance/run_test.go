package conformance

import "testing"

func TestChosen(t *testing.T) {
	for only, want := range map[string]bool{
		"": true, "App": true, "Application.paths.tsv": true, "Workflow": false, "Workflow,App": true,
		"Workflow, App": true, "Workflow,Sensor": false, "Workflow,": false,
	} {
		if chosen("Application.paths.tsv", only) != want {
			t.Errorf("%q: %v", only, !want)
		}
	}
}
