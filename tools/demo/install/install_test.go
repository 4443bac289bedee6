package install

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestOwnImagesMoveToTheirRegistry(t *testing.T) {
	o := map[string]any{"spec": map[string]any{"containers": []any{
		map[string]any{
			"image": "argosy/sensor:dev",
			"env":   []any{map[string]any{"name": "X", "value": "argosy/executor:dev"}},
		},
		map[string]any{"image": "busybox", "args": []any{"not argosy/sensor:dev"}, "ports": int64(1)},
	}}}
	relocate(o, "reg:5000/a")
	containers, _, err := unstructured.NestedSlice(o, "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	first, second := containers[0].(map[string]any), containers[1].(map[string]any)
	if first["image"] != "reg:5000/a/sensor:dev" ||
		first["env"].([]any)[0].(map[string]any)["value"] != "reg:5000/a/executor:dev" {
		t.Errorf("first %v", first)
	}
	if second["image"] != "busybox" || second["args"].([]any)[0] != "not argosy/sensor:dev" {
		t.Errorf("second %v", second)
	}
}

func TestDefinitionsComeFirst(t *testing.T) {
	kind := func(k string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"kind": k}}
	}
	if rank(kind("Namespace")) >= rank(kind("Secret")) || rank(kind("Secret")) >= rank(kind("Deployment")) {
		t.Error("a Deployment could come before what it needs")
	}
}
