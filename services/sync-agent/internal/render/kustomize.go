package render

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	sigsyaml "sigs.k8s.io/yaml"
)

var kustomize = kind{
	name:       "Kustomize",
	parameters: func(s v1alpha1.ApplicationSource) any { return given(s.Kustomize) },
	found:      func(files map[string][]byte) bool { return kustomization(files) != "" },
	reachesOut: func(files map[string][]byte, s v1alpha1.ApplicationSource) bool {
		return refersAbove(files, s.Kustomize)
	},
	render: func(
		files map[string][]byte, dir string, s v1alpha1.ApplicationSource,
	) ([]*unstructured.Unstructured, error) {
		return build(files, dir, s.Kustomize)
	},
}

var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

func kustomization(files map[string][]byte) string {
	i := slices.IndexFunc(kustomizationNames, func(n string) bool { return files[n] != nil })
	if i < 0 {
		return ""
	}
	return kustomizationNames[i]
}

// refersAbove reports whether some kustomization names something above its folder.
func refersAbove(files map[string][]byte, k *v1alpha1.ApplicationSourceKustomize) bool {
	for name, text := range files {
		if slices.Contains(kustomizationNames, path.Base(name)) && strings.Contains(string(text), "..") {
			return true
		}
	}
	return k != nil && slices.ContainsFunc(k.Components, func(c string) bool { return strings.Contains(c, "..") })
}

// build runs Kustomize over files that are only in memory: there is no disk to
// escape to, and remote bases are refused beforehand because they would start
// git. Plugins and functions stay off.
func build(
	files map[string][]byte, dir string, k *v1alpha1.ApplicationSourceKustomize,
) (objects []*unstructured.Unstructured, err error) {
	defer func() {
		// A manifest must not be able to end the process.
		if r := recover(); r != nil {
			objects, err = nil, fmt.Errorf("%w: kustomize gave up: %v", ErrSource, r)
		}
	}()
	fs := filesys.MakeFsInMemory()
	for name, text := range files {
		if isKustomization(name) {
			if text, err = local(name, text); err != nil {
				return nil, err
			}
		} else if bytes.Contains(text, []byte("apiVersion: builtin")) && bytes.Contains(text, []byte("://")) {
			return nil, fmt.Errorf("%w: %s: remote references are not allowed", ErrSource, name)
		}
		if err := fs.WriteFile("/"+name, text); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, name, err)
		}
	}
	if err := override(fs, files, dir, k); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsRootOnly
	options.PluginConfig = types.DisabledPluginConfig()
	result, err := krusty.MakeKustomizer(options).Run(fs, dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	for _, r := range result.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, r.CurId(), err)
		}
		found, err := objectsOf(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, r.CurId(), err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

func isKustomization(name string) bool {
	base := path.Base(name)
	return base == kustomizationNames[0] || base == kustomizationNames[1] || base == kustomizationNames[2]
}

// local refuses what would be fetched or executed.
func local(name string, text []byte) ([]byte, error) {
	var k map[string]any
	if err := sigsyaml.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSource, name, err)
	}
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator", "helmGlobals"} {
		if k[field] != nil {
			return nil, fmt.Errorf("%w: %s: %s is not supported", ErrSource, name, field)
		}
	}
	if found := reference(k, ""); found != "" {
		return nil, fmt.Errorf("%w: %s: remote %q is not allowed", ErrSource, name, found)
	}
	return text, nil
}

// loaded are the fields whose strings Kustomize loads from somewhere.
var loaded = map[string]bool{
	"resources":             true,
	"bases":                 true,
	"components":            true,
	"crds":                  true,
	"configurations":        true,
	"transformers":          true,
	"generators":            true,
	"validators":            true,
	"patchesStrategicMerge": true,
	"path":                  true,
	"paths":                 true,
	"files":                 true,
	"envs":                  true,
	"env":                   true,
}

// reference returns the first string of a loaded field that names another place.
func reference(node any, field string) string {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if found := reference(value, key); found != "" {
				return found
			}
		}
	case []any:
		for _, item := range node {
			if found := reference(item, field); found != "" {
				return found
			}
		}
	case string:
		if loaded[field] &&
			(remote(node) || strings.Contains(node, "\n") && strings.Contains(node, "://") &&
				field != "patchesStrategicMerge") {
			return node
		}
	}
	return ""
}

// remote reports whether Kustomize would take an entry for a URL or a repository.
func remote(entry string) bool {
	if strings.Contains(entry, "\n") {
		return false // an inline document
	}
	return strings.Contains(entry, "://") || strings.Contains(entry, "::") || strings.Contains(entry, "?ref=") ||
		strings.Contains(entry, "//") ||
		strings.HasPrefix(entry, "git@") || strings.HasPrefix(entry, "github.com") ||
		strings.Contains(entry, ".git/") ||
		strings.HasSuffix(entry, ".git")
}

// override writes the options of the Application into the kustomization, as
// `kustomize edit` would.
func override(
	fs filesys.FileSystem, files map[string][]byte, dir string, o *v1alpha1.ApplicationSourceKustomize,
) error {
	if o == nil {
		return nil
	}
	var file string
	var k map[string]any
	for _, name := range kustomizationNames {
		full := strings.TrimPrefix(path.Join(dir, name), "/")
		if files[full] == nil {
			continue
		}
		file = full
		if err := sigsyaml.Unmarshal(files[full], &k); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSource, full, err)
		}
		break
	}
	if file == "" {
		return fmt.Errorf("%w: there is no kustomization.yaml", ErrSource)
	}
	if k == nil {
		k = map[string]any{}
	}
	if err := options(k, o); err != nil {
		return fmt.Errorf("%w: kustomize options: %w", ErrSource, err)
	}
	text, err := sigsyaml.Marshal(k)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSource, file, err)
	}
	return fs.WriteFile("/"+file, text)
}

func options(k map[string]any, o *v1alpha1.ApplicationSourceKustomize) error {
	for field, value := range map[string]string{
		"namePrefix": o.NamePrefix, "nameSuffix": o.NameSuffix, "namespace": o.Namespace,
	} {
		if value != "" {
			k[field] = value
		}
	}
	for _, image := range o.Images {
		setImage(k, image)
	}
	for _, r := range o.Replicas {
		count := r.Count.IntValue()
		k["replicas"] = put(k["replicas"], r.Name, map[string]any{"name": r.Name, "count": count})
	}
	if err := merge(k, "commonAnnotations", o.CommonAnnotations, o.ForceCommonAnnotations); err != nil {
		return err
	}
	if err := labels(k, o); err != nil {
		return err
	}
	for _, p := range o.Patches {
		list, _ := k["patches"].([]any)
		k["patches"] = append(list, p)
	}
	for _, c := range o.Components {
		list, _ := k["components"].([]any)
		if remote(c) {
			return fmt.Errorf("remote component %q is not allowed", c)
		}
		k["components"] = append(list, c)
	}
	return nil
}

func labels(k map[string]any, o *v1alpha1.ApplicationSourceKustomize) error {
	if len(o.CommonLabels) == 0 {
		return nil
	}
	if !o.LabelWithoutSelector {
		return merge(k, "commonLabels", o.CommonLabels, o.ForceCommonLabels)
	}
	list, _ := k["labels"].([]any)
	k["labels"] = append(
		list,
		map[string]any{"pairs": o.CommonLabels, "includeSelectors": false, "includeTemplates": o.LabelIncludeTemplates},
	)
	return nil
}

func merge(k map[string]any, field string, values map[string]string, force bool) error {
	if len(values) == 0 {
		return nil
	}
	all, _ := k[field].(map[string]any)
	if all == nil {
		all = map[string]any{}
	}
	for name, value := range values {
		if _, taken := all[name]; taken && !force {
			return fmt.Errorf("%s %s already set", field, name)
		}
		all[name] = value
	}
	k[field] = all
	return nil
}

// setImage takes name=newName:tag, name:tag, name@digest and their mixtures.
func setImage(k map[string]any, override string) {
	name, to, renamed := strings.Cut(override, "=")
	if !renamed {
		to = name
	}
	base, tag, digest := split(to)
	if !renamed {
		name = base
	}
	entry := map[string]any{"name": name}
	if base != name {
		entry["newName"] = base
	}
	if digest != "" {
		entry["digest"] = digest
	} else if tag != "" {
		entry["newTag"] = tag
	}
	k["images"] = put(k["images"], name, entry)
}

// split takes an image reference apart.
func split(ref string) (base, tag, digest string) {
	base, digest, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(base, ":"); i > strings.LastIndex(base, "/") {
		base, tag = base[:i], base[i+1:]
	}
	return base, tag, digest
}

// put replaces the entry of that name or appends one.
func put(list any, name string, entry map[string]any) []any {
	all, _ := list.([]any)
	for i, e := range all {
		if m, ok := e.(map[string]any); ok && m["name"] == name {
			all[i] = entry
			return all
		}
	}
	return append(all, entry)
}
