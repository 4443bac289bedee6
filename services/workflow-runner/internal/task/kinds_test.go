package task

import (
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Each kind of template is done by pods, by the engine itself, or by a worker.
func TestEachKindOfTemplateIsDoneBySomebody(t *testing.T) {
	others := []string{"container", "containerSet", "script", "steps", "dag", "suspend"}
	served := workers(Tools{})
	for kind := range strings.SplitSeq(engine.KindNames(), ", ") {
		if slices.Contains(others, kind) == (served[kind] != nil) {
			t.Errorf("%s has a worker: %t", kind, served[kind] != nil)
		}
	}
}

func TestAKindWithoutAWorkerFailsByName(t *testing.T) {
	d := &Executor{workers: map[string]worker{}}
	end := d.workerOf(&v1alpha1.Template{HTTP: &v1alpha1.HTTPTemplate{}}).do(t.Context(), Job{})
	if want := failed("templates of kind %q are not served by this version", "http"); end.Phase != want.Phase ||
		end.Message != want.Message {
		t.Errorf("%+v", end)
	}
}
