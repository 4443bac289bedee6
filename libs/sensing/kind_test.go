package sensing

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Each field of a trigger's template that names a kind has exactly one, and a row in the docs.
func TestEachKindOfTriggerIsKnown(t *testing.T) {
	docs, err := os.ReadFile("../../docs/sensor.md")
	if err != nil {
		t.Fatal(err)
	}
	shape := reflect.TypeFor[v1alpha1.TriggerTemplate]()
	seen := 0
	for i := range shape.NumField() {
		f := shape.Field(i)
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		var one v1alpha1.TriggerTemplate
		reflect.ValueOf(&one).Elem().Field(i).Set(reflect.New(f.Type.Elem()))
		if kind, err := KindOf(&one); err != nil || kind != name {
			t.Errorf("field %s: %q, %v", name, kind, err)
		}
		row := slices.ContainsFunc(strings.Split(string(docs), "\n"), func(line string) bool {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
			return strings.HasPrefix(line, "|") && strings.Contains(first, "`"+name+"`")
		})
		if !row {
			t.Errorf("docs/sensor.md has no row for %s", name)
		}
		seen++
	}
	if seen != len(Kinds()) {
		t.Errorf("%d fields, %d kinds", seen, len(Kinds()))
	}
}
