package sensing

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// kinds are those of triggers, by the name that manifests give them: the index of their field in the template. A field
// that is a pointer is a kind, so that a new one needs no entry here.
var kinds = func() map[string]int {
	out := map[string]int{}
	shape := reflect.TypeFor[v1alpha1.TriggerTemplate]()
	for i := range shape.NumField() {
		if f := shape.Field(i); f.Type.Kind() == reflect.Pointer {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			out[name] = i
		}
	}
	return out
}()

// names of the kinds, in order.
var names = slices.Sorted(maps.Keys(kinds))

// Kinds lists the names of all kinds of triggers.
func Kinds() []string { return slices.Clone(names) }

// KindOf names the kind of a template; exactly one must be given.
func KindOf(t *v1alpha1.TriggerTemplate) (string, error) {
	v, found, kind := reflect.ValueOf(t).Elem(), 0, ""
	for _, name := range names {
		if !v.Field(kinds[name]).IsNil() {
			found, kind = found+1, name
		}
	}
	if found != 1 {
		return "", fmt.Errorf("exactly one of %v is needed, %d are given", names, found)
	}
	return kind, nil
}

// IsDuration reports whether a text is a duration of a manifest: as Go writes it, or a number of nanoseconds.
func IsDuration(text string) bool {
	if _, err := time.ParseDuration(text); err == nil {
		return true
	}
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}
