package image

import (
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// OverrideName is the file that lies over the source of one application.
func OverrideName(application string) string { return ".argocd-source-" + application + ".yaml" }

// overrideFile is what of such a file is read and written; other fields stay.
type overrideFile map[string]any

const (
	kustomizeBlock, helmBlock = "kustomize", "helm"
	imagesField, paramsField  = "images", "parameters"
)

// Renderer says which block of a source holds images.
type Renderer string

// The renderers that take images from a source.
const (
	ByKustomize Renderer = "Kustomize"
	ByHelm      Renderer = "Helm"
)

// ReadOverride returns what the file, or else the source itself, says about an image.
func ReadOverride(text []byte, by Renderer, s v1alpha1.ApplicationSource, r Rule) (Value, error) {
	o, err := readOverride(text)
	if err != nil {
		return Value{}, err
	}
	if by == ByHelm {
		params := o.parameters(s)
		at := func(key string) string {
			for _, p := range params {
				if p["name"] == key {
					value, _ := p["value"].(string)
					return value
				}
			}
			return ""
		}
		keys := r.Keys.WithDefaults()
		if keys.Spec != "" {
			return valueOf(r.Entry, at(keys.Spec)), nil
		}
		v := valueOf(r.Entry, "x:"+at(keys.Tag))
		v.NewName = at(keys.Name)
		return v, nil
	}
	for _, image := range o.images(s) {
		if name, reference := cutOverride(image); name == r.Entry {
			return valueOf(r.Entry, reference), nil
		}
	}
	return Value{Entry: r.Entry}, nil
}

// cutOverride cuts an image of a source: name=newname:tag, or name:tag.
func cutOverride(image string) (name, reference string) {
	if alias, reference := cutAliasOf(image); alias != "" {
		return alias, reference
	}
	name, _, _ = cutReference(image)
	return name, image
}

// cutAliasOf cuts at the first equals sign: here the name before it may have slashes.
func cutAliasOf(image string) (name, reference string) {
	for i, c := range image {
		if c == '=' {
			return image[:i], image[i+1:]
		}
	}
	return "", image
}

// SetOverride writes an image into the file. Lists replace those of the source, so what the source has is taken along.
func SetOverride(text []byte, by Renderer, s v1alpha1.ApplicationSource, r Rule, v Value) ([]byte, error) {
	if old, err := ReadOverride(text, by, s, r); err != nil || old == v && len(text) > 0 {
		return text, err
	}
	o, err := readOverride(text)
	if err != nil {
		return nil, err
	}
	switch by {
	case ByHelm:
		params := o.parameters(s)
		for _, part := range r.Keys.parts(v) {
			params = slices.DeleteFunc(params, func(p map[string]any) bool { return p["name"] == part[0] })
			params = append(params, map[string]any{"name": part[0], "value": part[1], "forceString": true})
		}
		err = o.set(helmBlock, paramsField, params)
	case ByKustomize:
		images := slices.DeleteFunc(o.images(s), func(image string) bool {
			name, _ := cutOverride(image)
			return name == r.Entry
		})
		entry := v.reference()
		if r.Entry != v.NewName {
			entry = r.Entry + "=" + entry
		}
		err = o.set(kustomizeBlock, imagesField, append(images, entry))
	default:
		err = fmt.Errorf("a source of type %q takes no images; name another write-back-target", by)
	}
	if err != nil {
		return nil, fmt.Errorf("write overrides: %w", err)
	}
	out, err := yaml.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write overrides: %w", err)
	}
	return out, nil
}

func readOverride(text []byte) (overrideFile, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("read overrides: they have more than %d bytes", maxFile)
	}
	o := overrideFile{}
	if err := yaml.UnmarshalStrict(text, &o); err != nil {
		return nil, fmt.Errorf("read overrides: %w", err)
	}
	if o == nil {
		o = overrideFile{}
	}
	return o, nil
}

func (o overrideFile) list(block, field string) ([]any, bool) {
	b, _ := o[block].(map[string]any)
	list, is := b[field].([]any)
	return list, is
}

func (o overrideFile) set(block, field string, list any) error {
	b, is := o[block].(map[string]any)
	if !is {
		if o[block] != nil {
			return errors.New(block + " is not an object")
		}
		b = map[string]any{}
	}
	b[field] = list
	o[block] = b
	return nil
}

func (o overrideFile) images(s v1alpha1.ApplicationSource) []string {
	list, is := o.list(kustomizeBlock, imagesField)
	if !is && s.Kustomize != nil {
		return slices.Clone(s.Kustomize.Images)
	}
	var out []string
	for _, one := range list {
		if text, is := one.(string); is {
			out = append(out, text)
		}
	}
	return out
}

func (o overrideFile) parameters(s v1alpha1.ApplicationSource) []map[string]any {
	var out []map[string]any
	list, is := o.list(helmBlock, paramsField)
	if !is && s.Helm != nil {
		for _, p := range s.Helm.Parameters {
			one := map[string]any{"name": p.Name, "value": p.Value}
			if p.ForceString {
				one["forceString"] = true
			}
			out = append(out, one)
		}
	}
	for _, one := range list {
		if p, is := one.(map[string]any); is {
			out = append(out, p)
		}
	}
	return out
}
