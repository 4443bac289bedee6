package source

import (
	"context"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// Input is what was read of one source of an application in Git: a change of anything else does not concern it.
type Input struct {
	Source   v1alpha1.ApplicationSource
	Revision string   // at which it was read, or at which it was last seen to be the same
	Paths    []string // files and folders; "" is the whole repository
}

// Inputs are what was read of the sources in Git; false when that is not known, since something was fetched from
// elsewhere.
func (r *Rendered) Inputs() ([]Input, bool) {
	if r.Manifests.Fetched() {
		return nil, false
	}
	var out []Input
	for _, s := range r.Sources {
		if !fromGit(s.Source) {
			continue
		}
		in := Input{Source: s.Source, Revision: s.Revision, Paths: pathsOf(s, r.Manifests)}
		if s.Through != "" {
			in.Revision = s.Through
		}
		out = append(out, in)
	}
	return out, true
}

// pathsOf are the folder of a source and what was read outside of it, in whichever repository.
func pathsOf(s RenderedSource, all render.Manifests) []string {
	var out []string
	if !valuesOnly(s.Source) {
		out = append(out, clean(s.Source.Path))
	}
	for _, r := range all.Reads {
		out = append(out, clean(r.Path))
	}
	return out
}

func clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// Touches reports whether one of the paths that changed is one that was read, lies below it, or has it below.
func (i Input) Touches(changed []string) bool {
	for _, read := range i.Paths {
		for _, c := range changed {
			if read == "" || c == read || strings.HasPrefix(c, read+"/") || strings.HasPrefix(read, c+"/") {
				return true
			}
		}
	}
	return false
}

// unchanged reports whether all that was read of a source is the same at another commit.
func unchanged(ctx context.Context, m *git.Mirror, s RenderedSource, all render.Manifests, at string) bool {
	from := s.Revision
	if s.Through != "" {
		from = s.Through
	}
	if from == at {
		return true
	}
	if all.Fetched() {
		return false
	}
	changed, ok, err := m.Changed(ctx, from, at)
	if err != nil || !ok {
		return false // what cannot be compared is read again, which says what is wrong
	}
	return !Input{Paths: pathsOf(s, all)}.Touches(changed)
}

// Concerned reports whether a commit of a branch changes what was read. The commit is fetched where it is not there.
func (s *Sources) Concerned(ctx context.Context, project string, in Input, commit string) (bool, error) {
	m, err := s.mirror(ctx, in.Source.RepoURL, project)
	if err != nil {
		return true, err
	}
	if _, err := m.Resolve(ctx, in.Source.TargetRevision, git.Want{SHA: commit}); err != nil {
		return true, err
	}
	changed, ok, err := m.Changed(ctx, in.Revision, commit)
	if err != nil || !ok {
		return true, err
	}
	return in.Touches(changed), nil
}
