package object

import (
	"strings"
	"testing"
)

func TestTheCacheKeepsWhatPeopleEdit(t *testing.T) {
	o := Workflow()
	o.Object["status"] = map[string]any{"phase": "Running", "compressedNodes": strings.Repeat("x", 1000),
		"nodes": map[string]any{
			"a": map[string]any{"type": "Pod"}, "b": map[string]any{"type": "Suspend", "phase": "Succeeded"},
			"c": "no node"}}
	if _, err := Slim(o); err != nil {
		t.Fatal(err)
	}
	if got := string(JSON(o.Object["status"])); got != `{"compressedNodes":"left out","nodes":{"b":{"phase":"Succeeded","type":"Suspend"}},"phase":"Running"}` {
		t.Error(got)
	}
}
