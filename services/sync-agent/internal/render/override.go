package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	sigsyaml "sigs.k8s.io/yaml"
)

// overrideSize bounds a file of overrides, in bytes.
const overrideSize = 1 << 20

// overrideNames are the files of a folder that change its source, in their order.
func overrideNames(app string) []string {
	names := []string{".argocd-source.yaml"}
	if app != "" && !strings.ContainsAny(app, "/") {
		names = append(names, ".argocd-source-"+app+".yaml")
	}
	return names
}

// override merges a file over a source, as a JSON merge patch. Where the source comes from stays.
func override(s v1alpha1.ApplicationSource, name string, text []byte) (v1alpha1.ApplicationSource, error) {
	fail := func(err error) (v1alpha1.ApplicationSource, error) {
		return s, fmt.Errorf(
			"%w: %s: %w; it holds fields of spec.source, such as helm or kustomize",
			ErrSource,
			name,
			err,
		)
	}
	if len(text) > overrideSize {
		return fail(fmt.Errorf("over %d bytes", overrideSize))
	}
	patch, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return fail(err)
	}
	if string(patch) == "null" {
		return s, nil
	}
	before, err := json.Marshal(s)
	if err != nil {
		return fail(err)
	}
	merged, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return fail(err)
	}
	var out v1alpha1.ApplicationSource
	if err := json.Unmarshal(merged, &out); err != nil {
		return fail(err)
	}
	out.RepoURL, out.Path, out.TargetRevision, out.Chart = s.RepoURL, s.Path, s.TargetRevision, s.Chart
	out.Ref, out.Name, out.TagPrefix = s.Ref, s.Name, s.TagPrefix
	return out, nil
}
