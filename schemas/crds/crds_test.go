package crds_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/crds"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

type definition struct {
	Metadata struct{ Name string }
	Spec     struct {
		Group string
		Names struct{ Kind, ListKind, Plural, Singular string }
		Scope string
	}
}

func TestEveryKindHasADefinition(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{}
	files, err := fs.Glob(crds.FS, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := crds.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d definition
		if err := yaml.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		n := d.Spec.Names
		if d.Metadata.Name != n.Plural+"."+v1alpha1.Group || file != n.Plural+".yaml" ||
			d.Spec.Group != v1alpha1.Group {
			t.Errorf("%s: names disagree: %+v", file, d)
		}
		if !scheme.Recognizes(v1alpha1.Kind(n.Kind)) || !scheme.Recognizes(v1alpha1.Kind(n.ListKind)) {
			t.Errorf("%s: kind %s is not in the scheme", file, n.Kind)
		}
		if cluster := strings.HasPrefix(n.Kind, "Cluster"); cluster != (d.Spec.Scope == "Cluster") {
			t.Errorf("%s: scope %s", file, d.Spec.Scope)
		}
		defined[n.Kind] = true
	}
	for kind, typ := range scheme.KnownTypes(v1alpha1.GroupVersion) {
		own := strings.HasSuffix(typ.PkgPath(), "schemas/argoproj/v1alpha1")
		if own && !strings.HasSuffix(kind, "List") && !defined[kind] {
			t.Errorf("kind %s has no definition", kind)
		}
	}
}
