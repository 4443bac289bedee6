package appset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Application is one that is wanted.
type Application struct {
	Object *track.Object
	// Problem says why it is not applied; what exists of its name stays.
	Problem error
}

// resourcesFinalizer has the objects of an Application go with it.
const resourcesFinalizer = "resources-finalizer.argocd.argoproj.io"

// applications fills the sets of all generators into their templates.
func applications(set map[string]any, found []generated, e *engine) ([]Application, error) {
	spec, _ := set["spec"].(map[string]any)
	base, _ := spec["template"].(map[string]any)
	patch, _ := spec["templatePatch"].(string)
	policy, _ := spec["syncPolicy"].(map[string]any)
	preserve, _ := policy["preserveResourcesOnDeletion"].(bool)
	metadata, _ := set["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	var out []Application
	names := map[string]bool{}
	for _, f := range found {
		template := base
		if len(f.template) > 0 {
			template = overlay(base, f.template)
		}
		for _, p := range f.sets {
			o, err := e.application(template, patch, p)
			if err != nil {
				return nil, err
			}
			o.SetNamespace(namespace)
			if !preserve && len(o.GetFinalizers()) == 0 {
				o.SetFinalizers([]string{resourcesFinalizer})
			}
			a := Application{Object: o, Problem: valid(o)}
			if a.Problem == nil && names[o.GetName()] {
				a.Problem = fmt.Errorf("there is more than one application with the name %q: have its name differ by a parameter",
					o.GetName())
			}
			names[o.GetName()] = true
			out = append(out, a)
		}
	}
	return out, nil
}

// application fills one set of parameters into a template.
func (e *engine) application(template map[string]any, patch string, p Params) (*track.Object, error) {
	tree := any(plainTree(template))
	if len(p) > 0 {
		var err error
		if tree, err = e.fillTree(tree, p, "spec.template"); err != nil {
			return nil, err
		}
	}
	filled, _ := tree.(map[string]any)
	body := map[string]any{
		"apiVersion": v1alpha1.Kind("Application").GroupVersion().String(), "kind": "Application",
		"metadata": metadataOf(filled["metadata"]), "spec": filled["spec"],
	}
	if body["spec"] == nil {
		body["spec"] = map[string]any{}
	}
	if patch == "" {
		return &track.Object{Object: body}, nil
	}
	text, err := e.fill(patch, p)
	if err != nil {
		return nil, fmt.Errorf("spec.templatePatch: %w", err)
	}
	patched, err := applyPatch(body, text)
	if err != nil {
		return nil, fmt.Errorf("spec.templatePatch: %w", err)
	}
	patched["apiVersion"], patched["kind"] = body["apiVersion"], body["kind"]
	patched["metadata"] = metadataOf(patched["metadata"])
	delete(patched, "status")
	delete(patched, "operation")
	keepProject(body, patched)
	return &track.Object{Object: patched}, nil
}

// metadataOf is what of its metadata an Application takes from a template.
func metadataOf(tree any) map[string]any {
	out := map[string]any{}
	m, _ := tree.(map[string]any)
	for _, k := range []string{"name", "labels", "annotations", "finalizers"} {
		if v, there := m[k]; there && !empty(v) {
			out[k] = v
		}
	}
	return out
}

// keepProject leaves the project as the template says: a patch is made of parameters, which a project is to bound.
// Source: Argo CD does not support spec.project in templatePatch.
func keepProject(from, to map[string]any) {
	before, _ := from["spec"].(map[string]any)
	after, ok := to["spec"].(map[string]any)
	if !ok {
		after = map[string]any{}
		to["spec"] = after
	}
	if p, there := before["project"]; there {
		after["project"] = p
	} else {
		delete(after, "project")
	}
}

// valid says what of an Application cannot be.
func valid(o *track.Object) error {
	if o.GetName() == "" {
		return errors.New("spec.template.metadata.name gives an empty name")
	}
	if wrong := validation.IsDNS1123Subdomain(o.GetName()); len(wrong) > 0 {
		return fmt.Errorf("the name %q: %s", o.GetName(), strings.Join(wrong, "; "))
	}
	app, _, err := v1alpha1.DecodeTolerant[v1alpha1.Application](o.Object)
	if err != nil {
		return fmt.Errorf("application %s: %w", o.GetName(), err)
	}
	for k, v := range o.GetLabels() {
		wrong := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...)
		if len(wrong) > 0 {
			return fmt.Errorf("application %s: label %s=%q: %s", o.GetName(), k, v, strings.Join(wrong, "; "))
		}
	}
	d := app.Spec.Destination
	switch {
	case d.Server != "" && d.Name != "":
		return fmt.Errorf("application %s: spec.destination: server and name exclude each other", o.GetName())
	case d.Server == "" && d.Name == "":
		return fmt.Errorf("application %s: spec.destination: server or name is missing", o.GetName())
	}
	return nil
}
