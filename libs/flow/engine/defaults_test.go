package engine

import (
	"reflect"
	"slices"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/work"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// A template does not do what templateDefaults do beside it.
func TestDefaultsAddNoKindOfWork(t *testing.T) {
	tried := 0
	for i := range reflect.TypeFor[v1alpha1.Template]().NumField() {
		var under v1alpha1.Template
		f := reflect.ValueOf(&under).Elem().Field(i)
		switch f.Kind() {
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		default:
			continue
		}
		kinds := KindsOf(&under)
		if len(kinds) != 1 {
			continue // no kind of work
		}
		tried++
		own := v1alpha1.Template{Name: "own", Container: &corev1.Container{Image: "x"}}
		if kinds[0] == "container" {
			own = v1alpha1.Template{Name: "own", Suspend: &v1alpha1.SuspendTemplate{}}
		}
		got := library.WithDefaults(own, &under)
		if want := KindsOf(&own); !slices.Equal(KindsOf(&got), want) {
			t.Errorf("defaults of %s: the template does %v instead of %v", kinds[0], KindsOf(&got), want)
		}
	}
	if tried != len(work.Kinds()) {
		t.Errorf("%d of %d kinds", tried, len(work.Kinds()))
	}
}
