package image

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
)

// SourceAnnotation says which of several sources images are written to: by its name, its ref, or its place from 0.
// Ours.
const SourceAnnotation = "argosy.dev/image-source"

// candidate is a source with what renders it, "" when that is not known or it is there for others alone.
type candidate struct {
	v1alpha1.ApplicationSource
	by Renderer
}

// SourceOf is the source of an application that new images are written to, and what makes manifests of it: the one that
// an annotation or the target names, else the one of the repository that is named, else the first that has images as
// the target wants them. Charts and artifacts have no files to write to.
func (u Updater) SourceOf(app *v1alpha1.Application) (v1alpha1.ApplicationSource, Renderer, error) {
	all := candidates(app)
	if len(all) == 0 {
		return v1alpha1.ApplicationSource{}, "", fmt.Errorf("spec.source.repoURL is missing")
	}
	if len(all) == 1 && u.Source == "" && u.Target.Ref == "" {
		return all[0].found()
	}
	if name := u.Source; name != "" {
		i := slices.IndexFunc(all, func(c candidate) bool { return c.Name == name || c.Ref == name })
		if at, err := strconv.Atoi(name); i < 0 && err == nil && at >= 0 && at < len(all) {
			i = at
		}
		if i < 0 {
			return v1alpha1.ApplicationSource{}, "", fmt.Errorf(
				"%s %q is neither the name nor the ref nor the place of one of %d sources", SourceAnnotation, name,
				len(all),
			)
		}
		return all[i].found()
	}
	if ref := u.Target.Ref; ref != "" {
		i := slices.IndexFunc(all, func(c candidate) bool { return c.Ref == ref })
		if i < 0 {
			return v1alpha1.ApplicationSource{}, "", fmt.Errorf(
				"write-back-target names $%s, which is the ref of no source", ref,
			)
		}
		return all[i].found()
	}
	for _, fits := range u.preferences() {
		for _, c := range all {
			if c.writable() && fits(c) {
				return c.found()
			}
		}
	}
	return v1alpha1.ApplicationSource{}, "", fmt.Errorf(
		"none of %d sources has files for images to be written to; name one by %s", len(all), SourceAnnotation,
	)
}

// preferences are the rules by which one of several sources is found, the first that one fits.
func (u Updater) preferences() []func(candidate) bool {
	same := func(c candidate) bool {
		return u.RepoURL == "" || push.NormalURL(c.RepoURL) == push.NormalURL(u.RepoURL)
	}
	renders := func(by ...Renderer) func(candidate) bool {
		return func(c candidate) bool { return slices.Contains(by, c.by) }
	}
	both := func(a, b func(candidate) bool) func(candidate) bool {
		return func(c candidate) bool { return a(c) && b(c) }
	}
	values := func(c candidate) bool { return c.Ref != "" }
	whichever := func(candidate) bool { return true }
	wanted := []func(candidate) bool{renders(ByHelm, ByKustomize)}
	switch u.Target.Form {
	case Kustomization:
		wanted = []func(candidate) bool{renders(ByKustomize)}
	case HelmValues:
		wanted = []func(candidate) bool{renders(ByHelm), values}
	case Setters:
		wanted = nil
	}
	wanted = append(wanted, whichever)
	var out []func(candidate) bool
	for _, w := range wanted {
		out = append(out, both(same, w))
	}
	return append(out, wanted...)
}

func (c candidate) writable() bool { return c.Chart == "" && !strings.HasPrefix(c.RepoURL, "oci://") }

func (c candidate) found() (v1alpha1.ApplicationSource, Renderer, error) {
	if !c.writable() {
		return c.ApplicationSource, c.by, fmt.Errorf(
			"source %s is a chart or an artifact: there are no files to write to", c.RepoURL,
		)
	}
	return c.ApplicationSource, c.by, nil
}

// candidates are the sources of an application, that which is hydrated instead of what comes of it.
func candidates(app *v1alpha1.Application) []candidate {
	spec, status := app.Spec, app.Status
	switch {
	case len(spec.Sources) > 0:
		types := status.SourceTypes
		var out []candidate
		for _, s := range spec.Sources {
			c := candidate{ApplicationSource: s}
			if s.Ref == "" || s.Path != "" || s.Chart != "" {
				seen := ""
				if len(types) > 0 { // those that only others refer to have none
					seen, types = types[0], types[1:]
				}
				c.by = rendererOf(s, seen)
			}
			out = append(out, c)
		}
		return out
	case spec.SourceHydrator != nil:
		s := hydration.DrySource(*spec.SourceHydrator)
		return []candidate{{s, rendererOf(s, "")}}
	case spec.Source != nil && spec.Source.RepoURL != "":
		return []candidate{{*spec.Source, rendererOf(*spec.Source, status.SourceType)}}
	}
	return nil
}

// rendererOf is what makes manifests of a source: what was seen, or else what the source says.
func rendererOf(s v1alpha1.ApplicationSource, seen string) Renderer {
	switch {
	case seen != "":
		return Renderer(seen)
	case s.Helm != nil || s.Chart != "":
		return ByHelm
	}
	return ByKustomize
}
