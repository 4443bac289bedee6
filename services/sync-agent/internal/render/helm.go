package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kubeVersion is that of the client library, which `helm template` takes for that of the cluster. It is written here
// because Helm reads it from the program and takes another one in tests.
const kubeVersion = "v1.36.0"

var helm = kind{
	name: "Helm",
	parameters: func(s v1alpha1.ApplicationSource) any {
		if s.Helm == nil && s.Chart == "" {
			return nil
		}
		return []any{s.Chart, s.Helm}
	},
	switchName: "helm",
	found:      func(files map[string]bool) bool { return files["Chart.yaml"] },
	also:       func(j *Job) any { return []any{j.App.Name, j.Destination} },
	render:     template,
}

// template renders a chart as `helm template` does: no cluster is asked, notes are left out, hooks stay with their
// annotations.
func template(job *Job, f *files) ([]*unstructured.Unstructured, error) {
	o := job.Source.Helm
	if o == nil {
		o = &v1alpha1.ApplicationSourceHelm{}
	}
	own, err := f.own()
	if err != nil {
		return nil, err
	}
	c, err := chartOf(own)
	if err != nil {
		return nil, fmt.Errorf("%w: chart %q: %w", ErrSource, job.Dir, err)
	}
	if err := complete(c, f, o.PassCredentials); err != nil {
		return nil, err
	}
	values, err := valuesOf(job, f, o)
	if err != nil {
		return nil, err
	}
	texts, hooks, err := rendered(c, values, job, o)
	if err != nil {
		return nil, fmt.Errorf("%w: chart %q: %w", ErrSource, c.Name(), err)
	}
	out, err := decode(printed(texts, hooks))
	if err != nil {
		return nil, fmt.Errorf("%w: chart %q: %w", ErrSource, c.Name(), err)
	}
	return out, nil
}

// printed is the text that `helm template` prints, which upstream reads its objects from. What it adds and trims shows
// in texts that keep their last lines.
func printed(texts, hooks []manifest) []byte {
	var out bytes.Buffer
	add := func(m manifest) { fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", m.from, m.text) }
	for _, m := range texts {
		add(m)
	}
	trimmed := bytes.TrimSpace(out.Bytes())
	out = *bytes.NewBuffer(append(trimmed, '\n'))
	for _, m := range hooks {
		add(m)
	}
	return out.Bytes()
}

// manifest is a text of objects and the file that it is of.
type manifest struct{ from, text string }

// rendered runs the templates. The order is that of `helm template`: definitions, objects by kind, hooks.
func rendered(
	c *chart.Chart, values map[string]any, job *Job, o *v1alpha1.ApplicationSourceHelm,
) (texts, hooks []manifest, err error) {
	if c.Metadata.Type != "" && c.Metadata.Type != "application" {
		return nil, nil, fmt.Errorf("charts of type %s cannot be installed", c.Metadata.Type)
	}
	name := first(o.ReleaseName, job.App.release())
	if err := chartutil.ValidateReleaseName(name); err != nil {
		return nil, nil, fmt.Errorf("release name %q: %w; set spec.source.helm.releaseName", name, err)
	}
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		return nil, nil, fmt.Errorf("dependencies: %w", err)
	}
	caps, err := capabilities(job.Destination, o)
	if err != nil {
		return nil, nil, err
	}
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return nil, nil, fmt.Errorf("it requires Kubernetes %s, the cluster has %s", want, caps.KubeVersion.Version)
	}
	if !o.SkipSchemaValidation {
		if err := closedSchemas(c); err != nil {
			return nil, nil, err
		}
	}
	all, err := util.ToRenderValuesWithSchemaValidation(c, values, common.ReleaseOptions{
		Name: name, Namespace: first(o.Namespace, job.Destination.Namespace), Revision: 1, IsInstall: true,
	}, caps, o.SkipSchemaValidation)
	if err != nil {
		return nil, nil, err
	}
	var e engine.Engine // it knows no cluster: lookup finds nothing
	files, err := e.Render(c, all)
	if err != nil {
		return nil, nil, err
	}
	for file := range files {
		if strings.HasSuffix(file, "NOTES.txt") {
			delete(files, file)
		}
	}
	hooked, objects, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, nil, err
	}
	if !o.SkipCrds {
		for _, crd := range c.CRDObjects() {
			texts = append(texts, manifest{from: crd.Filename, text: string(crd.File.Data)})
		}
	}
	for _, m := range objects {
		texts = append(texts, manifest{from: m.Name, text: m.Content})
	}
	for _, h := range hooked {
		if !o.SkipTests || !slices.Contains(h.Events, release.HookTest) {
			hooks = append(hooks, manifest{from: h.Path, text: h.Manifest})
		}
	}
	return texts, hooks, nil
}

// capabilities are what templates may ask of the cluster.
func capabilities(d Destination, o *v1alpha1.ApplicationSourceHelm) (*common.Capabilities, error) {
	caps := common.DefaultCapabilities.Copy()
	text := first(o.KubeVersion, d.KubeVersion, kubeVersion)
	version, err := common.ParseKubeVersion(text)
	if err != nil {
		return nil, fmt.Errorf("kubeVersion %q: %w; it is of the form 1.36.0", text, err)
	}
	caps.KubeVersion = *version
	more := o.ApiVersions
	if len(more) == 0 {
		more = d.APIVersions
	}
	caps.APIVersions = slices.Concat(caps.APIVersions, more)
	return caps, nil
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// errOpenSchema says why a schema is refused.
var errOpenSchema = errors.New("it refers to a document outside of the chart; copy what it refers to into it, or set " +
	"spec.source.helm.skipSchemaValidation")

// closedSchemas refuses schemas for which files of this process, or the network, would be read.
func closedSchemas(c *chart.Chart) error {
	if len(c.Schema) > 0 {
		var doc any
		if err := json.Unmarshal(bytes.TrimPrefix(c.Schema, []byte("\xef\xbb\xbf")), &doc); err == nil {
			if ref := openRef(doc, ids(doc, map[string]bool{})); ref != "" {
				return fmt.Errorf(
					"%s: $ref %q: %w",
					path.Join(c.ChartFullPath(), "values.schema.json"),
					ref,
					errOpenSchema,
				)
			}
		}
	}
	for _, d := range c.Dependencies() {
		if err := closedSchemas(d); err != nil {
			return err
		}
	}
	return nil
}

// ids are the names that parts of a schema give themselves.
func ids(node any, out map[string]bool) map[string]bool {
	switch node := node.(type) {
	case map[string]any:
		for _, key := range []string{"$id", "id"} {
			if id, ok := node[key].(string); ok {
				out[strings.TrimSuffix(id, "#")] = true
			}
		}
		for _, v := range node {
			ids(v, out)
		}
	case []any:
		for _, v := range node {
			ids(v, out)
		}
	}
	return out
}

// openRef is the first reference that leaves a schema.
func openRef(node any, known map[string]bool) string {
	switch node := node.(type) {
	case map[string]any:
		for key, v := range node {
			if ref, ok := v.(string); ok && (key == "$ref" || key == "$dynamicRef" || key == "$schema") {
				base, _, _ := strings.Cut(ref, "#")
				standard := strings.HasPrefix(base, "http://json-schema.org/") ||
					strings.HasPrefix(base, "https://json-schema.org/")
				if base != "" && !standard && !known[base] {
					return ref
				}
			}
			if ref := openRef(v, known); ref != "" {
				return ref
			}
		}
	case []any:
		for _, v := range node {
			if ref := openRef(v, known); ref != "" {
				return ref
			}
		}
	}
	return ""
}
