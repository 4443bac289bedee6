package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	sigsyaml "sigs.k8s.io/yaml"
)

var kustomize = kind{
	name:       "Kustomize",
	parameters: func(s v1alpha1.ApplicationSource) any { return given(s.Kustomize) },
	switchName: "kustomize",
	found: func(files map[string]bool) bool {
		return slices.ContainsFunc(kustomizationNames, func(n string) bool { return files[n] })
	},
	also: func(j *Job) any {
		if flags, err := parseBuild(j.Options.KustomizeBuild); err == nil && !flags.helm {
			return j.Options.KustomizeBuild
		}
		// Charts in kustomizations may ask what Helm's do.
		return []any{j.Options.KustomizeBuild, j.App.Name, j.Destination}
	},
	render: build,
}

// kustomizationNames are in the order in which Kustomize looks for them.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

func isKustomization(name string) bool { return slices.Contains(kustomizationNames, path.Base(name)) }

// buildFlags are what kustomize.buildOptions may say.
type buildFlags struct {
	helm  bool
	loose bool // files may be read from anywhere in the repository
	order krusty.ReorderOption
}

// parseBuild reads flags as `kustomize build` takes them. What would start a program is refused.
func parseBuild(text string) (buildFlags, error) {
	out := buildFlags{order: krusty.ReorderOptionUnspecified}
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		name, value, valued := strings.Cut(words[i], "=")
		take := func() string {
			if !valued && i+1 < len(words) {
				i++
				value = words[i]
			}
			return value
		}
		switch name {
		case "--enable-helm":
			out.helm = !valued || value == "true"
		case "--helm-debug":
		case "--helm-command":
			take() // charts are rendered in process
		case "--load-restrictor":
			switch take() {
			case "LoadRestrictionsNone":
				out.loose = true
			case "LoadRestrictionsRootOnly":
				out.loose = false
			default:
				return out, fmt.Errorf("kustomize.buildOptions: --load-restrictor %q is not known", value)
			}
		case "--reorder":
			out.order = krusty.ReorderOption(take())
		default:
			return out, fmt.Errorf("kustomize.buildOptions: %s is not supported; --enable-helm, --load-restrictor and "+
				"--reorder are, since nothing may start a program", name)
		}
	}
	if !slices.Contains(
		[]krusty.ReorderOption{krusty.ReorderOptionUnspecified, krusty.ReorderOptionLegacy, krusty.ReorderOptionNone},
		out.order,
	) {
		return out, fmt.Errorf("kustomize.buildOptions: --reorder %q is not known; legacy and none are", out.order)
	}
	return out, nil
}

// build runs Kustomize over files that are asked for as it reads them: there is no disk to escape to, and what is
// remote is fetched by those who started the render. Plugins and functions stay off.
func build(job *Job, f *files) ([]*unstructured.Unstructured, error) {
	flags, err := parseBuild(job.Options.KustomizeBuild)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	fs := newBuildFS(job, f, flags)
	if err := fs.edit(job.Source.Kustomize); err != nil {
		return nil, err
	}
	// What a kustomization says of the schema stays in the process: a later build would use it without having said so.
	openapi.ResetOpenAPI()
	options := krusty.MakeDefaultOptions()
	options.Reorder = flags.order
	options.PluginConfig = types.DisabledPluginConfig()
	if flags.loose {
		options.LoadRestrictions = types.LoadRestrictionsNone
	}
	result, err := krusty.MakeKustomizer(options).Run(fs, "/"+clean(job.Dir))
	if fs.problem != nil {
		return nil, fs.problem
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	var objects []*unstructured.Unstructured
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

// edit writes the options of the Application into its kustomization, as `kustomize edit` would.
func (b *buildFS) edit(o *v1alpha1.ApplicationSourceKustomize) error {
	if o == nil {
		return nil
	}
	dir := clean(b.job.Dir)
	for _, name := range kustomizationNames {
		text, ok, err := b.files.read("", path.Join(dir, name))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		var k types.Kustomization
		if err := k.Unmarshal(text); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSource, path.Join(dir, name), err)
		}
		if err := setOptions(&k, o); err != nil {
			return fmt.Errorf("%w: spec.source.kustomize: %w", ErrSource, err)
		}
		if err := b.components(&k, o); err != nil {
			return err
		}
		out, err := sigsyaml.Marshal(k)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSource, path.Join(dir, name), err)
		}
		b.written["/"+path.Join(dir, name)] = out
		return nil
	}
	return fmt.Errorf("%w: path %q: there is no kustomization.yaml", ErrSource, b.job.Dir)
}

// components adds components, unless they are missing and may be.
func (b *buildFS) components(k *types.Kustomization, o *v1alpha1.ApplicationSourceKustomize) error {
	for _, c := range o.Components {
		if o.IgnoreMissingComponents && !isRemote(c) {
			tree, at, err := b.files.locate("spec.source.kustomize.components", c)
			if err != nil {
				return err
			}
			there, err := b.files.kind(tree, at)
			if err != nil {
				return err
			}
			if there == Absent {
				continue
			}
		}
		if !slices.Contains(k.Components, c) {
			k.Components = append(k.Components, c)
		}
	}
	return nil
}

var errTaken = errors.New("it is already in the kustomization")

// setOptions is what `kustomize edit` does, in upstream's order.
func setOptions(k *types.Kustomization, o *v1alpha1.ApplicationSourceKustomize) error {
	if o.NamePrefix != "" {
		k.NamePrefix = o.NamePrefix
	}
	if o.NameSuffix != "" {
		k.NameSuffix = o.NameSuffix
	}
	if err := setImages(k, o.Images); err != nil {
		return fmt.Errorf("images: %w", err)
	}
	for _, r := range o.Replicas {
		count := r.Count.IntValue()
		if count < 0 || (count == 0 && r.Count.String() != "0") {
			return fmt.Errorf("replicas: %s: %q is no count", r.Name, r.Count.String())
		}
		k.Replicas = slices.DeleteFunc(k.Replicas, func(have types.Replica) bool { return have.Name == r.Name })
		k.Replicas = append(k.Replicas, types.Replica{Name: r.Name, Count: int64(count)})
	}
	if err := setLabels(k, o); err != nil {
		return fmt.Errorf("commonLabels: %w", err)
	}
	if k.CommonAnnotations == nil && len(o.CommonAnnotations) > 0 {
		k.CommonAnnotations = map[string]string{}
	}
	if err := put(k.CommonAnnotations, o.CommonAnnotations, o.ForceCommonAnnotations); err != nil {
		return fmt.Errorf("commonAnnotations: %w, set forceCommonAnnotations to replace it", err)
	}
	if o.Namespace != "" {
		k.Namespace = o.Namespace
	}
	for _, p := range o.Patches {
		var added types.Patch
		text, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(text, &added)
		}
		if err != nil {
			return fmt.Errorf("patches: %w", err)
		}
		k.Patches = append(k.Patches, added)
	}
	return nil
}

func setLabels(k *types.Kustomization, o *v1alpha1.ApplicationSourceKustomize) error {
	const remedy = "%w, set forceCommonLabels to replace it"
	switch {
	case len(o.CommonLabels) == 0:
		return nil
	case o.LabelIncludeTemplates && !o.LabelWithoutSelector:
		return errors.New("labelIncludeTemplates needs labelWithoutSelector")
	case !o.LabelWithoutSelector:
		// What edit writes, deprecated or not: it is merged with what the file says there.
		if k.CommonLabels == nil { //nolint:staticcheck // as above
			k.CommonLabels = map[string]string{} //nolint:staticcheck // as above
		}
		if err := put(k.CommonLabels, o.CommonLabels, o.ForceCommonLabels); err != nil { //nolint:staticcheck // as above
			return fmt.Errorf(remedy, err)
		}
		return nil
	}
	for i, have := range k.Labels {
		if !have.IncludeSelectors && have.IncludeTemplates == o.LabelIncludeTemplates && len(have.FieldSpecs) == 0 {
			if err := put(k.Labels[i].Pairs, o.CommonLabels, o.ForceCommonLabels); err != nil {
				return fmt.Errorf(remedy, err)
			}
			return nil
		}
	}
	k.Labels = append(k.Labels, types.Label{Pairs: o.CommonLabels, IncludeTemplates: o.LabelIncludeTemplates})
	return nil
}

// put adds values; one that is there is replaced by force alone.
func put(all, values map[string]string, force bool) error {
	for name, value := range values {
		if _, taken := all[name]; taken && !force {
			return fmt.Errorf("%s: %w", name, errTaken)
		}
		all[name] = value
	}
	return nil
}
