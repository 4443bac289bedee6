package render

import (
	"reflect"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Each block of a source that is for one kind alone belongs to exactly one, and so to the key of its results.
func TestEachBlockOfASourceHasItsKind(t *testing.T) {
	blocks := 0
	for field := range reflect.TypeFor[v1alpha1.ApplicationSource]().Fields() {
		if field.Type.Kind() != reflect.Pointer || field.Type.Elem().Kind() != reflect.Struct {
			continue
		}
		blocks++
		s := v1alpha1.ApplicationSource{}
		reflect.ValueOf(&s).Elem().FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
		var named []string
		for _, k := range kinds {
			if k.parameters(s) != nil {
				named = append(named, k.name)
			}
		}
		if len(named) != 1 || named[0] != field.Name {
			t.Errorf("%s is of %v", field.Name, named)
		}
	}
	if blocks < 4 {
		t.Errorf("%d blocks", blocks)
	}
}

func TestKindsAreWhole(t *testing.T) {
	for _, k := range kinds {
		if k.render == nil || k.switchName == "" {
			t.Errorf("%s does not render", k.name)
		}
		if k.found == nil || k.parameters == nil {
			t.Errorf("%s is not whole", k.name)
		}
	}
	if last := kinds[len(kinds)-1]; !last.found(nil) {
		t.Errorf("%s leaves folders without a kind", last.name)
	}
}
