package install

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestANewImageOfTheSameNameIsDeployed(t *testing.T) {
	i := &Installer{Archives: t.TempDir()}
	build := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(i.Archives, name+".tar"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stampedIn := func(namespace, kind, image string) string {
		t.Helper()
		o := &unstructured.Unstructured{
			Object: map[string]any{
				"kind":     kind,
				"metadata": map[string]any{"namespace": namespace},
				"spec": map[string]any{"template": map[string]any{
					"spec": map[string]any{"containers": []any{map[string]any{"image": image}}}}},
			},
		}
		if err := i.stamp(o); err != nil {
			t.Fatal(err)
		}
		mark, _, _ := unstructured.NestedString(
			o.Object, "spec", "template", "metadata", "annotations", annotationImages,
		)
		return mark
	}
	stamped := func(kind, image string) string { return stampedIn("argosy", kind, image) }
	build("sensor", "1")
	build("nats-server", "1")
	first := stamped("Deployment", "argosy/sensor:dev")
	if first == "" || first != stamped("Deployment", "argosy/sensor:dev") {
		t.Errorf("the same image has the marks %q and another", first)
	}
	build("sensor", "2")
	if second := stamped("Deployment", "argosy/sensor:dev"); second == first {
		t.Error("another image has the same mark")
	}
	for kind, image := range map[string]string{
		"Deployment": "argosy/nats-server:dev", "Rollout": "argosy/sensor:dev", "DaemonSet": "argosy/sensor:dev",
	} {
		if mark := stamped(kind, image); mark != "" {
			t.Errorf("%s of %s is marked %q", kind, image, mark)
		}
	}
	if mark := stampedIn("argosy-demo", "Deployment", "argosy/sensor:dev"); mark != "" {
		t.Errorf("what the demo keeps is marked %q", mark)
	}
	for _, image := range []string{"busybox", "argosy/absent:dev", "other/sensor:dev"} {
		if mark := stamped("Deployment", image); mark != "" {
			t.Errorf("%s is marked %q", image, mark)
		}
	}
}
