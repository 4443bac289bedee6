package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strconv"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"sigs.k8s.io/kustomize/api/types"
)

// inflate renders the charts of a kustomization in dir and makes what comes out resources of it.
func (b *buildFS) inflate(dir string, k map[string]any) error {
	text, err := json.Marshal(map[string]any{"helmCharts": k["helmCharts"], "helmGlobals": k["helmGlobals"]})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	var charts struct {
		HelmCharts  []types.HelmChart  `json:"helmCharts"`
		HelmGlobals *types.HelmGlobals `json:"helmGlobals"`
	}
	if err := json.Unmarshal(text, &charts); err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	home := types.HelmDefaultHome
	if charts.HelmGlobals != nil {
		home = first(charts.HelmGlobals.ChartHome, home)
	}
	resources, _ := k["resources"].([]any)
	for i, h := range charts.HelmCharts {
		out, err := b.inflateOne(dir, home, h)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		name := ".argosy-chart-" + strconv.Itoa(i) + ".yaml"
		b.written[path.Join(dir, name)] = out
		resources = append(resources, name)
	}
	k["resources"] = resources
	delete(k, "helmCharts")
	delete(k, "helmGlobals")
	return nil
}

func (b *buildFS) inflateOne(dir, home string, h types.HelmChart) ([]byte, error) {
	c, err := b.chart(dir, home, h)
	if err != nil {
		return nil, err
	}
	values, err := b.chartValues(dir, h)
	if err != nil {
		return nil, err
	}
	job := &Job{App: b.job.App, Destination: b.job.Destination}
	job.Destination.Namespace = first(h.Namespace, "default")
	o := &v1alpha1.ApplicationSourceHelm{
		ReleaseName: first(
			h.ReleaseName,
			h.NameTemplate,
			"release-name",
		), SkipCrds: !h.IncludeCRDs, SkipTests: h.SkipTests,
		KubeVersion: h.KubeVersion, ApiVersions: h.ApiVersions,
	}
	if k := b.job.Source.Kustomize; k != nil {
		o.KubeVersion = first(o.KubeVersion, k.KubeVersion)
		if len(o.ApiVersions) == 0 {
			o.ApiVersions = k.ApiVersions
		}
	}
	texts, hooks, err := rendered(c, values, job, o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	if h.SkipHooks {
		hooks = nil
	}
	return printed(texts, hooks), nil
}

// chart is in the home of charts, else fetched.
func (b *buildFS) chart(dir, home string, h types.HelmChart) (*chart.Chart, error) {
	for _, folder := range []string{path.Join(home, h.Name+"-"+h.Version, h.Name), path.Join(home, h.Name)} {
		tree, in := b.at(path.Join(dir, folder))
		found, ok, err := b.files.below(tree, in)
		if err != nil {
			return nil, err
		}
		if !ok || found["Chart.yaml"] == nil {
			continue
		}
		c, err := chartOf(found)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, in, err)
		}
		return c, nil
	}
	if h.Repo == "" {
		return nil, fmt.Errorf("%w: it is not in %s, and repo is missing", ErrSource, home)
	}
	found, err := b.files.fetch(Fetch{Chart: &ChartRef{Repo: h.Repo, Name: h.Name, Version: h.Version}})
	if err != nil {
		return nil, err
	}
	unpacked, err := Unpack(found.Data, true)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	c, err := chartOf(unpacked)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	return c, nil
}

// chartValues are those of valuesFile, valuesInline merged with it, and additionalValuesFiles over them.
func (b *buildFS) chartValues(dir string, h types.HelmChart) (map[string]any, error) {
	values := map[string]any{}
	read := func(name string) (map[string]any, error) {
		text, err := b.ReadFile(path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSource, err)
		}
		found, err := loader.LoadValues(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, name, err)
		}
		return found, nil
	}
	if h.ValuesFile != "" {
		found, err := read(h.ValuesFile)
		if err != nil {
			return nil, err
		}
		values = found
	}
	switch h.ValuesMerge {
	case "", "override":
		values = loader.MergeMaps(values, h.ValuesInline)
	case "merge":
		values = loader.MergeMaps(h.ValuesInline, values)
	case "replace":
		if len(h.ValuesInline) > 0 {
			values = h.ValuesInline
		}
	default:
		return nil, fmt.Errorf(
			"%w: valuesMerge %q is not known; merge, override and replace are",
			ErrSource,
			h.ValuesMerge,
		)
	}
	for _, name := range h.AdditionalValuesFiles {
		found, err := read(name)
		if err != nil {
			return nil, err
		}
		values = loader.MergeMaps(values, found)
	}
	return values, nil
}
