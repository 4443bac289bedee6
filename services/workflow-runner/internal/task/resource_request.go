package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

const namespaceScope = meta.RESTScopeNameNamespace

// errOrder marks an order that cannot be carried out whatever the cluster says.
var errOrder = errors.New("not possible")

// resourceRequest is what a resource template asks of the API server.
type resourceRequest struct {
	action    string
	key       string                     // of the effect
	object    *unstructured.Unstructured // of the manifest; for a patch only what names the object
	resource  string                     // as flags name it, such as pod or deployments.apps; "" when the manifest does
	namespace string
	patch     []byte // of action patch: the manifest as JSON
	patchType types.PatchType
	success   labels.Requirements
	failure   labels.Requirements
	texts     [2]string // of the conditions, as written
	outputs   Job
}

// readOrder reads a template and its manifest.
func readOrder(j Job, manifest string) (*resourceRequest, error) {
	t := j.Template.Resource
	o := &resourceRequest{action: t.Action, key: j.key(), object: &unstructured.Unstructured{Object: map[string]any{}},
		texts: [2]string{t.SuccessCondition, t.FailureCondition}, outputs: j}
	if err := o.readFlags(t.Flags); err != nil {
		return nil, err
	}
	if err := o.readManifest(manifest, t.MergeStrategy); err != nil {
		return nil, err
	}
	if o.object.GetKind() == "" && o.resource == "" {
		return nil, fmt.Errorf("neither the manifest nor flags name a kind: %w", errOrder)
	}
	if o.namespace == "" {
		o.namespace = o.object.GetNamespace()
	}
	if o.action == "create" || o.action == "apply" {
		o.mark(j, t.SetOwnerReference)
	}
	return o, nil
}

// mark puts the causes on what is made, and its owner if the template asks for it.
func (o *resourceRequest) mark(j Job, owned bool) {
	annotations := o.object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, j.Marks)
	annotations[lineage.KeyAnnotation] = o.key
	o.object.SetAnnotations(annotations)
	if owned {
		o.object.SetOwnerReferences(append(o.object.GetOwnerReferences(), j.Owner))
	}
	if o.action == "create" && o.object.GetName() == "" && o.object.GetGenerateName() != "" {
		// A name that follows from the key: whoever repeats this finds what was made.
		o.object.SetName(o.object.GetGenerateName() + shortKey(o.key))
		o.object.SetGenerateName("")
	}
}

func (o *resourceRequest) title() string {
	kind := o.object.GetKind()
	if kind == "" {
		kind = o.resource
	}
	return kind + " " + o.object.GetName()
}

// mergeStrategies are the forms of a patch. Source: Argo Workflows, strategic is the default.
func mergeStrategies() map[string]types.PatchType {
	return map[string]types.PatchType{"": types.StrategicMergePatchType, "strategic": types.StrategicMergePatchType,
		"merge": types.MergePatchType, "json": types.JSONPatchType}
}

func (o *resourceRequest) readManifest(text, strategy string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if documents(text) > 1 {
		return fmt.Errorf("the manifest has several documents; one is expected: %w", errOrder)
	}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if o.action == "patch" {
		patchType, known := mergeStrategies()[strategy]
		if o.patchType = patchType; !known {
			return fmt.Errorf("mergeStrategy %q is none of strategic, merge, json", strategy)
		}
		o.patch = raw
		if o.patchType == types.JSONPatchType {
			return nil
		}
	}
	named := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &named.Object); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if o.resource == "" || named.GetKind() != "" {
		name := o.object.GetName()
		o.object, o.resource = named, ""
		if o.object.GetName() == "" && name != "" {
			o.object.SetName(name)
		}
	}
	return nil
}

// documents counts the documents of a YAML text that hold something.
func documents(text string) int {
	n := 0
	for part := range strings.SplitSeq("\n"+text, "\n---") {
		if strings.TrimSpace(part) != "" {
			n++
		}
	}
	return n
}

// readFlags takes what templates pass to kubectl: what names the object. Others would change what is done without our
// knowing, so that they are refused.
func (o *resourceRequest) readFlags(flags []string) error {
	var words []string
	for _, f := range flags {
		words = append(words, strings.Fields(f)...)
	}
	var names []string
	for i := 0; i < len(words); i++ {
		name, value, inline := strings.Cut(words[i], "=")
		switch {
		case !strings.HasPrefix(name, "-"):
			names = append(names, words[i])
		case name == "-n" || name == "--namespace":
			if !inline {
				if i++; i == len(words) {
					return fmt.Errorf("flags: %s has no value", name)
				}
				value = words[i]
			}
			o.namespace = value
		case name == "--validate", name == "--ignore-not-found", name == "--force-conflicts", name == "--server-side",
			name == "--wait":
			// What is done is this already.
		default:
			return fmt.Errorf("flags: %q is not taken; -n, the kind and the name of an object are", words[i])
		}
	}
	return o.readNames(names)
}

func (o *resourceRequest) readNames(names []string) error {
	if len(names) == 1 && strings.Contains(names[0], "/") {
		kind, name, _ := strings.Cut(names[0], "/")
		names = []string{kind, name}
	}
	switch len(names) {
	case 0:
		return nil
	case 2:
		o.resource = names[0]
		o.object.SetName(names[1])
		return nil
	}
	return fmt.Errorf("flags: %q name no object; its kind and its name do", strings.Join(names, " "))
}

// mapping finds the resource of the object.
func (o *resourceRequest) mapping(mapper meta.RESTMapper) (*meta.RESTMapping, error) {
	if o.resource == "" {
		kind := o.object.GroupVersionKind()
		return mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	full, short := schema.ParseResourceArg(strings.ToLower(o.resource))
	asked := short.WithVersion("")
	if full != nil {
		asked = *full
	}
	kind, err := mapper.KindFor(asked)
	if err != nil {
		return nil, err
	}
	o.object.SetGroupVersionKind(kind)
	return mapper.RESTMapping(kind.GroupKind(), kind.Version)
}

// manager is the field manager of what jobs write.
const manager = "argosy-workflow"

func createOptions() metav1.CreateOptions { return metav1.CreateOptions{FieldManager: manager} }
