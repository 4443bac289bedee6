package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Schema compares the tables of a directory with our Go types and definitions: <name>.types.tsv holds rows of type,
// field, field type, required; <Kind>.paths.tsv holds rows of path, type. With only, tables whose name begins otherwise
// are left out.
func Schema(dir, only string) (*Report, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tsv"))
	if err != nil {
		return nil, err
	}
	known, err := kinds()
	if err != nil {
		return nil, err
	}
	report := &Report{}
	for _, file := range files {
		name := filepath.Base(file)
		if !chosen(name, only) {
			continue
		}
		rows, err := table(file)
		if err != nil {
			return nil, err
		}
		if kind, ok := strings.CutSuffix(name, ".paths.tsv"); ok {
			comparePaths(report, known[kind], kind, rows)
			continue
		}
		compareTypes(report, known, rows)
	}
	if len(report.Results) == 0 {
		return nil, fmt.Errorf("no table in %s begins with %q", dir, only)
	}
	return report, nil
}

// kind is what we have of one kind of object.
type kind struct {
	goType reflect.Type
	schema node // of the definition; nil when there is none
}

func kinds() (map[string]kind, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	out := map[string]kind{}
	for name, t := range scheme.KnownTypes(v1alpha1.GroupVersion) {
		out[name] = kind{goType: t}
	}
	files, err := crds.FS.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := crds.FS.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		var d struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema node `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		k := out[d.Spec.Names.Kind]
		k.schema = d.Spec.Versions[0].Schema.OpenAPIV3Schema
		out[d.Spec.Names.Kind] = k
	}
	return out, nil
}

// table reads rows of tab-separated cells and drops the heading.
func table(file string) ([][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if cells := strings.Split(line, "\t"); i > 0 && len(cells) >= 2 {
			rows = append(rows, cells)
		}
	}
	return rows, nil
}

// comparison walks the types of one table from the kinds down, each type once.
type comparison struct {
	report *Report
	fields map[string]map[string]string // type -> field -> field type
	alias  map[string]string            // types without fields
	done   map[string]bool
}

func compareTypes(report *Report, known map[string]kind, rows [][]string) {
	c := &comparison{
		report: report, fields: map[string]map[string]string{}, alias: map[string]string{}, done: map[string]bool{},
	}
	for _, row := range rows {
		if row[1] == "" {
			c.alias[row[0]] = row[2]
			continue
		}
		if c.fields[row[0]] == nil {
			c.fields[row[0]] = map[string]string{}
		}
		c.fields[row[0]][row[1]] = row[2]
	}
	// Kinds first: they say where a type stands in a definition.
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		if k, ok := known[name]; ok && k.schema != nil {
			c.object(name, k.goType, k.schema)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		if t, ok := plain(known, name); ok {
			c.object(name, t, nil)
		}
	}
	for _, name := range append(slices.Sorted(maps.Keys(c.fields)), slices.Sorted(maps.Keys(c.alias))...) {
		if c.done[name] {
			continue
		}
		if t, ok := plain(known, name); ok {
			c.report.Judge(name, fits(c.resolve(name), t))
			continue
		}
		c.report.Failf(name, "no type of ours stands for it")
	}
}

// plain finds what is part of no kind: lists, and messages of the API.
func plain(known map[string]kind, name string) (reflect.Type, bool) {
	if k, ok := known[name]; ok {
		return k.goType, true
	}
	t, ok := messages()[name]
	return t, ok
}

func (c *comparison) object(name string, t reflect.Type, at node) {
	if c.done[name] {
		return
	}
	c.done[name] = true
	own := jsonFields(t)
	for _, field := range slices.Sorted(maps.Keys(c.fields[name])) {
		id, want := name+"."+field, c.fields[name][field]
		got, ok := own[field]
		if !ok {
			c.report.Failf(id, "%s has no such field", t)
			continue
		}
		below, err := at.property(field)
		if err == nil {
			err = c.compare(want, got, below)
		}
		c.report.Judge(id, err)
	}
}

// compare checks one field and goes on into its type.
func (c *comparison) compare(want string, got reflect.Type, at node) error {
	if err := fits(c.resolve(want), got); err != nil {
		return err
	}
	if err := at.fits(c.resolve(want)); err != nil {
		return err
	}
	for got.Kind() == reflect.Pointer {
		got = got.Elem()
	}
	switch {
	case strings.HasPrefix(want, "[]"):
		return c.compare(want[2:], elementOf(got), at.items())
	case strings.HasPrefix(want, "map:"):
		return c.compare(want[4:], elementOf(got), at.values())
	case c.fields[want] != nil:
		c.object(want, got, at)
	case c.alias[want] != "":
		c.done[want] = true
		if list := c.alias[want]; strings.HasPrefix(list, "[]") && got.Kind() == reflect.Struct && got.NumField() == 1 {
			return c.compare(list, got.Field(0).Type, nil)
		}
	}
	return nil
}

// resolve replaces the name of a type without fields by what it is.
func (c *comparison) resolve(want string) string {
	for _, prefix := range []string{"[]", "map:"} {
		if of, ok := strings.CutPrefix(want, prefix); ok {
			return prefix + c.resolve(of)
		}
	}
	if a, ok := c.alias[want]; ok {
		return a
	}
	if c.fields[want] != nil {
		return "object"
	}
	return want
}
