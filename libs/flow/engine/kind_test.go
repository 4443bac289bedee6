package engine

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/work"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// aside are the fields of a template that say how its work is done, not which.
var aside = []string{
	"name", "activeDeadlineSeconds", "affinity", "annotations", "archiveLocation", "automountServiceAccountToken",
	"daemon", "executor", "failFast", "hostAliases",
	"initContainers", "inputs", "memoize", "metadata", "metrics", "nodeSelector", "outputs", "parallelism",
	"podResources",
	"podSpecPatch", "pendingTimeout", "priority", "priorityClassName",
	"resourceClaims", "retryStrategy", "schedulerName", "securityContext", "serviceAccountName", "sidecars",
	"synchronization", "timeout", "tolerations", "volumes",
}

// nodeTypes are those of nodes that do work.
var nodeTypes = []v1alpha1.NodeType{v1alpha1.NodeTypePod, v1alpha1.NodeTypeSteps, v1alpha1.NodeTypeDAG,
	v1alpha1.NodeTypeSuspend, v1alpha1.NodeTypeHTTP, v1alpha1.NodeTypePlugin}

// Each field of a template that names work has exactly one kind, and each kind its field.
func TestEachKindOfWorkIsKnown(t *testing.T) {
	shape := reflect.TypeFor[v1alpha1.Template]()
	seen := 0
	for i := range shape.NumField() {
		f := shape.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if slices.Contains(aside, name) {
			continue
		}
		var one v1alpha1.Template
		field := reflect.ValueOf(&one).Elem().Field(i)
		switch field.Kind() {
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		default:
			t.Fatalf("field %s is a %s", name, field.Kind())
		}
		if got := KindsOf(&one); len(got) != 1 || got[0] != name {
			t.Errorf("field %s has the kinds %v", name, got)
		}
		if k, ok := kindOf(&one); !ok || k.Name != name || !slices.Contains(nodeTypes, k.Node) {
			t.Errorf("field %s: %+v; is its tag node the type of a node?", name, k)
		}
		seen++
	}
	if seen != len(work.Kinds()) {
		t.Errorf("%d fields, %d kinds", seen, len(work.Kinds()))
	}
	if _, ok := kindOf(&v1alpha1.Template{}); ok {
		t.Error("a template without work has a kind")
	}
}
