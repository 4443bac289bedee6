package analysis

import (
	"reflect"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Providers are the names of the fields of a provider that are set, as manifests write them; valid is one.
func Providers(p v1alpha1.MetricProvider) []string {
	var out []string
	v := reflect.ValueOf(p)
	for field := range v.Type().Fields() {
		if f := v.FieldByIndex(field.Index); !f.IsNil() && (f.Kind() != reflect.Map || f.Len() > 0) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			out = append(out, name)
		}
	}
	return out
}
