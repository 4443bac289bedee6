package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// plugin is a config management plugin in a sidecar. It reads the whole repository, so its results are of one commit.
var plugin = kind{
	name:       "Plugin",
	parameters: func(s v1alpha1.ApplicationSource) any { return given(s.Plugin) },
	switchName: "plugin",
	found:      func(map[string]bool) bool { return false },
	also:       func(j *Job) any { return []any{j.App, j.Destination, j.Source.RepoURL, j.Source.TargetRevision} },
	render:     generate,
}

// PluginCall asks a plugin for the manifests of the source.
type PluginCall struct {
	Name string // "" is the first one that says that it knows the source
	Env  []v1alpha1.EnvEntry
}

func generate(job *Job, f *files) ([]*unstructured.Unstructured, error) {
	call := &PluginCall{Env: pluginEnvironment(job)}
	if p := job.Source.Plugin; p != nil {
		call.Name = p.Name
	}
	found, err := f.fetch(Fetch{Plugin: call})
	if err != nil {
		return nil, err
	}
	f.reads[Read{How: OfContent}] = true
	objects, err := decode(found.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: plugin %q: %w; its output must be manifests alone", ErrSource, call.Name, err)
	}
	return objects, nil
}

// pluginEnvironment is what a plugin is told: the variables of the build, those of the source with a prefix, and its
// parameters. Source: Argo CD's user guide of config management plugins.
func pluginEnvironment(job *Job) []v1alpha1.EnvEntry {
	build := environmentOf(job.App, job.Source)
	build["KUBE_VERSION"] = strings.TrimPrefix(first(job.Destination.KubeVersion, kubeVersion), "v")
	build["KUBE_API_VERSIONS"] = strings.Join(job.Destination.APIVersions, ",")
	var out []v1alpha1.EnvEntry
	add := func(name, value string) { out = append(out, v1alpha1.EnvEntry{Name: name, Value: value}) }
	for _, name := range sortedKeys(build) {
		add(name, build[name])
	}
	p := job.Source.Plugin
	if p == nil {
		return out
	}
	for _, e := range p.Env {
		add("ARGOCD_ENV_"+e.Name, build.substitute(e.Value))
	}
	if len(p.Parameters) == 0 {
		return out
	}
	text, _ := json.Marshal(p.Parameters) // of our own type
	add("ARGOCD_APP_PARAMETERS", string(text))
	for _, q := range p.Parameters {
		name := "PARAM_" + variable(q.Name)
		if q.String != nil {
			add(name, *q.String)
		}
		for i, value := range q.Array {
			add(name+"_"+strconv.Itoa(i), value)
		}
		for _, key := range sortedKeys(q.Map) {
			add(name+"_"+variable(key), q.Map[key])
		}
	}
	return out
}

// variable makes a name one of the environment.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		if (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || r == '_' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// explicit reports whether a source names its tool.
func explicit(s v1alpha1.ApplicationSource) bool {
	return slices.ContainsFunc(kinds, func(k kind) bool { return k.parameters(s) != nil })
}
