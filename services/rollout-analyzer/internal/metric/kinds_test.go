package metric

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// What a metric names is served by exactly one kind, or refused.
func TestEachProviderOfAMetricHasItsKindOrIsRefused(t *testing.T) {
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
		_, err := New("").Measure(t.Context(), v1alpha1.Metric{Name: "m", Provider: p})
		switch {
		case len(found) == 1 && found[0] == name && !errors.Is(err, ErrUnknown):
			served++
		case len(found) != 0 || !errors.Is(err, ErrUnknown):
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if served != len(kinds) {
		t.Errorf("%d of %d kinds", served, len(kinds))
	}
}
