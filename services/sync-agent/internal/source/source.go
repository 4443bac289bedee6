// Package source resolves what an Application says of its sources to commits, charts and artifacts, and renders them,
// with the credentials of their repositories.
package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/helmrepo"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// chartBudget bounds the charts that are kept on disk, in bytes.
const chartBudget = 512 << 20

// Sources resolves and renders. Safe for concurrent use.
type Sources struct {
	mirrors      *git.Store
	charts       *helmrepo.Client
	renderer     *render.Renderer
	repositories *repositories
	settings     *settings
	tokens       *tokens
	verifier     *verifier
	parts        *lru.Cache[string, part] // of trees that several repositories make
	cluster      *Versions
	insecure     map[string]bool // registries that are reached by plain HTTP
}

// Config is what Sources are made of.
type Config struct {
	Mirrors   *git.Store
	Renderer  *render.Renderer
	Pool      *render.Pool
	Dir       string                       // where charts are kept; may be lost
	Reader    client.Reader                // of Secrets and ConfigMaps, not cached
	Namespace string                       // of them
	Insecure  string                       // registries that are reached by plain HTTP, comma separated
	Discovery discovery.DiscoveryInterface // of the agent's own cluster; nil takes that of the client library
}

// New returns sources whose repositories are described by Secrets of a namespace.
func New(c Config) (*Sources, error) {
	charts, err := helmrepo.New(filepath.Join(c.Dir, "charts"), chartBudget, c.Pool)
	if err != nil {
		return nil, err
	}
	parts, _ := lru.New[string, part](partsKnown) // fails for no size alone
	s := &Sources{
		parts:   parts,
		mirrors: c.Mirrors, charts: charts, renderer: c.Renderer,
		repositories: &repositories{reader: c.Reader, namespace: c.Namespace},
		settings:     &settings{reader: c.Reader, namespace: c.Namespace},
		verifier:     newVerifier(c.Reader, c.Namespace),
		tokens:       newTokens(), insecure: map[string]bool{}, cluster: NewVersions(c.Discovery),
	}
	for host := range strings.SplitSeq(c.Insecure, ",") {
		s.insecure[strings.TrimSpace(host)] = true
	}
	return s, nil
}

// Mirror returns the mirror of a repository, with the credentials that count for all projects.
func (s *Sources) Mirror(ctx context.Context, location string) (*git.Mirror, error) {
	return s.mirror(ctx, location, "")
}

// Writer returns the mirror of a repository that commits are pushed from, and the credentials for pushing: those of
// Secrets of the kinds for writing, else those for reading.
func (s *Sources) Writer(ctx context.Context, location, project string) (*git.Mirror, error) {
	r, err := s.repositories.findWriter(ctx, location, project)
	if err != nil {
		return nil, err
	}
	creds, err := r.git(ctx, s.tokens)
	if err != nil {
		return nil, err
	}
	return s.mirrors.Mirror(ctx, location, creds)
}

// Head is where a revision of a repository is now, with its commit.
func (s *Sources) Head(
	ctx context.Context, project string, source v1alpha1.ApplicationSource, want git.Want,
) (git.Commit, error) {
	sha, m, err := s.head(ctx, Request{App: render.App{Project: project}, Want: want}, source)
	if err != nil {
		return git.Commit{}, err
	}
	return m.Describe(ctx, sha, "")
}

// Token is what opens a repository over HTTP, for the API of its forge; "" when nothing does. project is whose
// credentials count beside those for all.
func (s *Sources) Token(ctx context.Context, location, project string) (string, error) {
	r, err := s.repositories.find(ctx, location, project)
	if err != nil {
		return "", err
	}
	creds, err := r.git(ctx, s.tokens)
	return cmp.Or(creds.BearerToken, creds.Password), err
}

func (s *Sources) mirror(ctx context.Context, location, project string) (*git.Mirror, error) {
	r, err := s.repositories.find(ctx, location, project)
	if err != nil {
		return nil, err
	}
	creds, err := r.git(ctx, s.tokens)
	if err != nil {
		return nil, err
	}
	return s.mirrors.Mirror(ctx, location, creds)
}

// Request says what is to be rendered.
type Request struct {
	App         render.App                   // its revision is filled in
	Sources     []v1alpha1.ApplicationSource // all of the Application, in their order
	Revisions   []string                     // by source, instead of what it targets; "" is that
	Want        git.Want
	Destination render.Destination // without a version it is the agent's own cluster
	// Permitted says why a repository may not be read from, nil when it may. It is asked of what sources name and of
	// what is fetched for them. Nil permits all.
	Permitted func(repository string) error
	// Permits stands for what Permitted permits: other words may permit something else.
	Permits string
	// Verifications are what must hold of the commits of a repository in Git; nil asks nothing.
	Verifications func(repository string) []project.Verification
	// Sealed leaves what SOPS encrypted as it is, for manifests that others will read.
	Sealed bool
	// Fresh has everything read and rendered anew.
	Fresh bool
}

// Rendered is what the sources of an application are at one time.
type Rendered struct {
	Revision  string           // of the first source that renders
	Revisions []string         // of all, in their order
	Lineage   lineage.Lineage  // of the message of the first source's commit
	Manifests render.Manifests // of all sources, in their order
	Sources   []RenderedSource
}

// RenderedSource is one source of an application.
type RenderedSource struct {
	Source    v1alpha1.ApplicationSource
	Revision  string           // commit, version of a chart, or digest
	Version   string           // tag or version that was found for a constraint; "" when it is the revision
	Through   string           // a later commit at which all that was read is the same; "" when none was looked at
	Tree      string           // id of the folder that was rendered, by content
	Manifests render.Manifests // whose Reads tell what else was read
}

// Types are how status.sourceTypes calls the sources; one that only others refer to is none.
func (r *Rendered) Types() []string {
	var out []string
	for _, s := range r.Sources {
		if s.Manifests.Type != "" {
			out = append(out, s.Manifests.Type)
		}
	}
	return out
}

// At renders one source as it is now. known is the last answer; when the commit and the source are the same, it still
// holds.
func (s *Sources) At(
	ctx context.Context, source v1alpha1.ApplicationSource, want git.Want, known *Memory,
) (*Rendered, error) {
	return s.Render(ctx, Request{Sources: []v1alpha1.ApplicationSource{source}, Want: want}, known)
}

// Render renders all sources of an application. known is the last answer; when nothing of it has changed, it still
// holds.
func (s *Sources) Render(ctx context.Context, q Request, known *Memory) (*Rendered, error) {
	settings, err := s.settings.read(ctx)
	if err != nil {
		return nil, err
	}
	if q.Destination.KubeVersion == "" {
		if q.Destination.KubeVersion, q.Destination.APIVersions, err = s.cluster.Get(); err != nil {
			return nil, err
		}
	}
	var keys render.Keys
	if !q.Sealed {
		if keys, err = s.repositories.keysOf(ctx, q.App.Project); err != nil {
			return nil, err
		}
	}
	trust, err := s.trust(ctx, q)
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(
		[]any{q.App, q.Sources, q.Revisions, q.Destination, settings, keys.ID(), trust, q.Permits},
	)
	if err != nil {
		return nil, fmt.Errorf("encode sources: %w", err)
	}
	q.Want.Since = known.notBefore(q.Want.Since, string(spec))
	if known.source == string(spec) && !q.Fresh {
		if holds, err := s.holds(ctx, q, known); holds || err != nil {
			return known.rendered, err
		}
	}
	began := time.Now()
	all, err := s.resolve(ctx, q)
	if err != nil {
		return nil, err
	}
	out, err := s.render(ctx, q, settings, keys, all)
	if err != nil {
		return nil, err
	}
	known.rendered, known.source, known.asked = out, string(spec), began
	return out, nil
}

// holds reports whether the last answer is that of now. It is asked at each look at an application, so it asks no more
// than where branches are, which mirrors remember.
func (s *Sources) holds(ctx context.Context, q Request, known *Memory) (bool, error) {
	if known.rendered == nil || (known.rendered.Manifests.Fetched() && time.Since(known.asked) > render.FetchedMemory) {
		return false, nil
	}
	for i, one := range known.rendered.Sources {
		source := q.at(i)
		if !fromGit(source) {
			if known.asked.Before(q.Want.Since) {
				return false, nil
			}
			continue
		}
		if q.forbids(source.RepoURL) {
			return false, nil // what is asked next says so
		}
		sha, m, err := s.head(ctx, q, source)
		if err != nil {
			return false, named(i, len(q.Sources), err)
		}
		if !unchanged(ctx, m, one, known.rendered.Manifests, sha) {
			return false, nil
		}
		known.rendered.Sources[i].Through = sha
	}
	return true, nil
}

// render renders what was resolved.
func (s *Sources) render(
	ctx context.Context, q Request, o settingsValues, keys render.Keys, all []*resolved,
) (*Rendered, error) {
	refs := map[string]render.Ref{}
	for _, a := range all {
		if a.source.Ref == "" {
			continue
		}
		name := "$" + a.source.Ref
		if _, twice := refs[name]; twice {
			return nil, fmt.Errorf("%w: spec.sources: ref %q is that of two sources; give one another name",
				render.ErrSource, a.source.Ref)
		}
		refs[name] = render.Ref{Tree: a.tree, Root: a.root}
	}
	out := &Rendered{}
	for i, a := range all {
		one := RenderedSource{Source: a.source, Revision: a.revision, Version: a.version, Tree: a.dir}
		if !valuesOnly(a.source) {
			app := q.App
			app.Revision = a.revision
			m, err := s.renderer.Render(ctx, render.Input{
				App: app, Source: a.source, Tree: a.tree, Dir: a.dir, Root: a.root, Refs: refs,
				Destination: q.Destination,
				Options:     o.Options, Disabled: o.Disabled, Fresh: q.Fresh, Remote: s.remote(q), Keys: keys,
			})
			if err != nil {
				return nil, named(i, len(all), err)
			}
			one.Manifests = m
			out.Manifests.Objects = append(out.Manifests.Objects, m.Objects...)
			out.Manifests.Reads = append(out.Manifests.Reads, m.Reads...)
			if out.Manifests.Type == "" {
				out.Manifests.Type, out.Revision, out.Lineage = m.Type, a.revision, lineage.FromMessage(a.message)
			}
		}
		out.Revisions = append(out.Revisions, a.revision)
		out.Sources = append(out.Sources, one)
	}
	if out.Revision == "" && len(all) > 0 {
		out.Revision = all[0].revision
	}
	return out, nil
}

// valuesOnly reports whether a source is there for others to refer to alone.
func valuesOnly(s v1alpha1.ApplicationSource) bool {
	return s.Ref != "" && s.Path == "" && s.Chart == ""
}

// named says which of several sources an error is of.
func named(i, n int, err error) error {
	if err == nil || n < 2 {
		return err
	}
	return fmt.Errorf("spec.sources[%d]: %w", i, err)
}

// Memory is the last answer about one application.
type Memory struct {
	since    time.Time // when this process met the application
	asked    time.Time // when it was found out what rendered is of
	rendered *Rendered
	source   string // that rendered is of
}

// NewMemory returns the memory of an application that is met now.
func NewMemory(now time.Time) Memory { return Memory{since: now} }

// Forget drops the last answer: the next one is made anew.
func (k *Memory) Forget() { k.rendered = nil }

// notBefore is how old an answer of Git may be: pushes that nobody followed yet told
// nobody, so an answer from before a source was followed is none.
func (k *Memory) notBefore(limit time.Time, source string) time.Time {
	since := k.since
	if k.rendered != nil && k.source != source {
		since = time.Now()
	}
	if since.After(limit) {
		return since
	}
	return limit
}

// All returns the sources of an application that are applied, in their order. `sources` come before `sourceHydrator`,
// that before `source`.
func All(spec v1alpha1.ApplicationSpec) ([]v1alpha1.ApplicationSource, error) {
	all := spec.Sources
	switch {
	case len(all) == 0 && spec.SourceHydrator != nil:
		if err := hydration.Check(*spec.SourceHydrator); err != nil {
			return nil, err
		}
		return []v1alpha1.ApplicationSource{hydration.SyncSource(*spec.SourceHydrator)}, nil
	case len(all) == 0 && spec.Source == nil:
		return nil, errors.New("spec.source.repoURL is missing")
	case len(all) == 0:
		all = []v1alpha1.ApplicationSource{*spec.Source}
	}
	for i, s := range all {
		field := "spec.source"
		if len(spec.Sources) > 0 {
			field = fmt.Sprintf("spec.sources[%d]", i)
		}
		if s.RepoURL == "" {
			return nil, fmt.Errorf("%s.repoURL is missing", field)
		}
		if s.Ref != "" && s.Chart != "" {
			return nil, fmt.Errorf("%s: ref and chart exclude each other: a chart has no files to refer to", field)
		}
	}
	return all, nil
}
