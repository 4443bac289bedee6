// Command crdgen writes the schemas into our CustomResourceDefinitions.
//
//	crdgen TO-DIR FILE.yaml...
//
// Each file keeps its names, scope and columns; its schema comes from the Go type of its kind.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/internal/crdgen"
	"k8s.io/apimachinery/pkg/runtime"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, out io.Writer) int {
	if len(args) < 2 {
		fmt.Fprintln(out, "usage: crdgen TO-DIR FILE.yaml...")
		return 2
	}
	if err := generate(args[0], args[1:]); err != nil {
		fmt.Fprintln(out, "crdgen:", err)
		return 1
	}
	return 0
}

func generate(to string, files []string) error {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	types := scheme.KnownTypes(v1alpha1.GroupVersion)
	for _, file := range files {
		if err := write(file, to, types); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func write(file, to string, types map[string]reflect.Type) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	kind, err := crdgen.Kind(text)
	if err != nil {
		return err
	}
	t, ok := types[kind]
	if !ok {
		return fmt.Errorf("there is no Go type of kind %s", kind)
	}
	if text, err = crdgen.Definition(text, t); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, filepath.Base(file)), text, 0o644)
}
