package metric

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// What a metric names is served by exactly one kind.
func TestEachProviderOfAMetricHasItsKind(t *testing.T) {
	served := 0
	for field := range reflect.TypeFor[v1alpha1.MetricProvider]().Fields() {
		p := v1alpha1.MetricProvider{}
		v := reflect.ValueOf(&p).Elem().FieldByIndex(field.Index)
		if field.Type.Kind() == reflect.Map {
			v.Set(reflect.ValueOf(map[string]json.RawMessage{"acme/x": nil}))
		} else {
			v.Set(reflect.New(field.Type.Elem()))
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		var found []string
		for _, k := range kinds {
			if k.is(p) {
				found = append(found, k.name)
			}
		}
		if len(found) != 1 || found[0] != name || Type(p) != name {
			t.Errorf("%s: %v", name, found)
		}
		served++
	}
	if served != len(kinds) {
		t.Errorf("%d fields, %d kinds", served, len(kinds))
	}
}

func TestWhatIsNotServedIsNamed(t *testing.T) {
	_, err := ask(t, Options{}, `{}`)
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("no provider: %v", err)
	}
	_, err = ask(t, Options{}, `plugin: {acme/x: {}}`)
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), `"acme/x"`) {
		t.Errorf("an unknown plugin: %v", err)
	}
	_, err = ask(t, Options{}, `plugin: {acme/x: {}, acme/y: {}}`)
	wantError(t, "two plugins", err, "exactly one plugin")
}
