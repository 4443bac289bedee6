package render

import (
	"os"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// environment is what `$NAME` and `${NAME}` stand for in a source.
type environment map[string]string

// environmentOf are the variables of a build. Source: the build environment of Argo CD's user guide.
func environmentOf(app App, s v1alpha1.ApplicationSource) environment {
	short := func(n int) string { return app.Revision[:min(n, len(app.Revision))] }
	return environment{
		"ARGOCD_APP_NAME":                   app.Name,
		"ARGOCD_APP_NAMESPACE":              app.Namespace,
		"ARGOCD_APP_PROJECT_NAME":           app.Project,
		"ARGOCD_APP_REVISION":               app.Revision,
		"ARGOCD_APP_REVISION_SHORT":         short(7),
		"ARGOCD_APP_REVISION_SHORT_8":       short(8),
		"ARGOCD_APP_SOURCE_PATH":            s.Path,
		"ARGOCD_APP_SOURCE_REPO_URL":        s.RepoURL,
		"ARGOCD_APP_SOURCE_TARGET_REVISION": s.TargetRevision,
	}
}

// substitute replaces variables; unknown ones are empty, and $$ is a dollar sign.
func (e environment) substitute(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		return e[name]
	})
}

// substituteFile replaces variables in the path of a file, but not in the name of another source before it.
func (e environment) substituteFile(name string, refs []string) string {
	if ref, rest := refOf(name, refs); ref != "" {
		return ref + "/" + e.substitute(rest)
	}
	return e.substitute(name)
}

// source replaces the variables of a source where upstream does.
func (e environment) source(s v1alpha1.ApplicationSource, refs []string) v1alpha1.ApplicationSource {
	if s.Helm != nil {
		h := *s.Helm
		h.ValueFiles = each(h.ValueFiles, func(name string) string { return e.substituteFile(name, refs) })
		h.Parameters = each(h.Parameters, func(p v1alpha1.HelmParameter) v1alpha1.HelmParameter {
			p.Value = v1alpha1.AnyString(e.substitute(string(p.Value)))
			return p
		})
		h.FileParameters = each(h.FileParameters, func(p v1alpha1.HelmFileParameter) v1alpha1.HelmFileParameter {
			p.Path = e.substituteFile(p.Path, refs)
			return p
		})
		s.Helm = &h
	}
	if s.Kustomize != nil {
		k := *s.Kustomize
		k.Images = each(k.Images, e.substitute)
		k.CommonLabels = e.values(k.CommonLabels)
		if k.CommonAnnotationsEnvsubst {
			k.CommonAnnotations = e.values(k.CommonAnnotations)
		}
		s.Kustomize = &k
	}
	if s.Directory != nil && s.Directory.Jsonnet != nil {
		d, j := *s.Directory, *s.Directory.Jsonnet
		variable := func(v v1alpha1.JsonnetVar) v1alpha1.JsonnetVar {
			v.Value = e.substitute(v.Value)
			return v
		}
		j.ExtVars, j.Tlas = each(j.ExtVars, variable), each(j.Tlas, variable)
		d.Jsonnet = &j
		s.Directory = &d
	}
	return s
}

func (e environment) values(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = e.substitute(v)
	}
	return out
}

// each maps a list into a new one.
func each[T any](list []T, f func(T) T) []T {
	out := slices.Clone(list)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}
