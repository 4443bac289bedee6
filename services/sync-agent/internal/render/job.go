package render

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Job is what a render is told. All else it asks for.
type Job struct {
	Kind        string                     `json:"kind"`
	Source      v1alpha1.ApplicationSource `json:"source"` // merged and substituted
	Dir         string                     `json:"dir"`    // of the source in its repository
	App         App                        `json:"app"`
	Destination Destination                `json:"destination"`
	Options     Options                    `json:"options"`
	Refs        []string                   `json:"refs"` // names of sources that files may be taken from

	inProcess bool // it needs no worker
}

// App is the Application that is rendered for.
type App struct {
	Name      string `json:"name"`      // as its objects are marked with
	Namespace string `json:"namespace"` // of its destination
	Project   string `json:"project"`
	Revision  string `json:"revision"` // of the source
}

// release is the name alone: objects of Applications outside of the control plane are marked NAMESPACE_NAME.
func (a App) release() string {
	if _, name, ok := strings.Cut(a.Name, "_"); ok {
		return name
	}
	return a.Name
}

// Destination is the cluster that is rendered for.
type Destination struct {
	Namespace   string   `json:"namespace"`
	KubeVersion string   `json:"kubeVersion"` // "" is that of the client library
	APIVersions []string `json:"apiVersions"` // group/version and group/version/Kind
}

// Options are what an installation sets for all sources.
type Options struct {
	// KustomizeBuild are flags as of kustomize build, see docs/sources.md.
	KustomizeBuild string `json:"kustomizeBuild"`
	// ValueFileSchemes are those that valueFiles may be fetched by; none means http and https.
	ValueFileSchemes []string `json:"valueFileSchemes"`
}

// Asker answers what a render asks while it runs.
type Asker interface {
	// Look tells what is at a path.
	Look(ctx context.Context, l Look) (Looked, error)
	// Fetch brings something from outside.
	Fetch(ctx context.Context, f Fetch) (Fetched, error)
}

// Fetch asks for something outside of all sources, or of somebody else. One of its fields is set.
type Fetch struct {
	Chart      *ChartRef
	Document   string      // URL
	Repository *Repository // becomes a tree
	Plugin     *PluginCall
}

// ChartRef names a chart of a Helm repository.
type ChartRef struct {
	Repo    string // http(s):// or oci://
	Name    string
	Version string // exact or a constraint
	// PassCredentials sends credentials to other hosts that the repository names, too.
	PassCredentials bool
}

// Repository names a commit of a Git repository.
type Repository struct {
	URL      string
	Revision string
}

// Fetched is what was brought.
type Fetched struct {
	Data    []byte // of a document, of a chart's archive, or manifests of a plugin
	Version string // of a chart
	Tree    string // by which files of a repository are asked for
}

// files is what a render sees of the trees: it asks for what it does not know yet and notes what it looked at.
type files struct {
	ctx   context.Context //nolint:containedctx // the file systems of the libraries take none
	job   *Job
	asker Asker
	known map[treePath]Looked
	reads map[Read]bool
	// transient is the first error that says nothing about the source.
	transient error
}

type treePath struct{ tree, path string }

func newFiles(ctx context.Context, job *Job, asker Asker) *files {
	return &files{ctx: ctx, job: job, asker: asker, known: map[treePath]Looked{}, reads: map[Read]bool{}}
}

// errOutside is wrapped by errors about paths above the root of a repository.
var errOutside = errors.New("is outside of the repository")

// note remembers what was looked at. What is in the folder of the source is its tree's.
func (f *files) note(tree, name string, how How) {
	if _, in := below(name, clean(f.job.Dir)); tree == "" && (in || name == clean(f.job.Dir)) {
		return
	}
	f.reads[Read{Tree: tree, Path: name, How: how}] = true
}

func (f *files) ask(l Look) (Looked, error) {
	key := treePath{tree: l.Tree, path: l.Path}
	if known, ok := f.known[key]; ok && !l.Deep {
		return known, nil
	}
	found, err := f.asker.Look(f.ctx, l)
	if err != nil {
		f.fail(err)
		return Looked{}, err
	}
	if !l.Deep {
		f.known[key] = found
		for name, data := range found.Files {
			f.known[treePath{tree: l.Tree, path: path.Join(l.Path, name)}] = Looked{Kind: File, Data: data}
		}
	}
	return found, nil
}

func (f *files) fail(err error) {
	if f.transient == nil && !errors.Is(err, ErrSource) {
		f.transient = err
	}
}

// read returns the content of a file; false when there is none.
func (f *files) read(tree, name string) ([]byte, bool, error) {
	name = clean(name)
	found, err := f.ask(Look{Tree: tree, Path: name})
	if err != nil {
		return nil, false, err
	}
	f.note(tree, name, OfContent)
	return found.Data, found.Kind == File, nil
}

// kind tells what is at a path.
func (f *files) kind(tree, name string) (EntryKind, error) {
	name = clean(name)
	found, err := f.ask(Look{Tree: tree, Path: name})
	if err != nil {
		return Absent, err
	}
	f.note(tree, name, OfKind)
	return found.Kind, nil
}

// names are the entries of a folder; those of folders end in a slash.
func (f *files) names(tree, name string) ([]string, bool, error) {
	name = clean(name)
	found, err := f.ask(Look{Tree: tree, Path: name})
	if err != nil {
		return nil, false, err
	}
	f.note(tree, name, OfContent)
	return found.Names, found.Kind == Folder, nil
}

// below are the files of a folder and of those in it, by their paths in it; false when there is no folder.
func (f *files) below(tree, name string) (map[string][]byte, bool, error) {
	name = clean(name)
	found, err := f.ask(Look{Tree: tree, Path: name, Deep: true})
	if err != nil {
		return nil, false, err
	}
	f.note(tree, name, OfContent)
	return found.Files, found.Kind == Folder, nil
}

// own are the files of the source's folder.
func (f *files) own() (map[string][]byte, error) {
	found, ok, err := f.below("", f.job.Dir)
	if err == nil && !ok {
		err = fmt.Errorf("%w: path %q: there is no such directory", ErrSource, f.job.Dir)
	}
	return found, err
}

func (f *files) fetch(what Fetch) (Fetched, error) {
	found, err := f.asker.Fetch(f.ctx, what)
	if err != nil {
		f.fail(err)
	}
	return found, err
}

// locate turns a path that a field names into one of a tree: "$name/..." is of another source, an absolute one of the
// root, others of the folder of the source. what names the field in errors.
func (f *files) locate(what, name string) (tree, at string, err error) {
	if ref, rest := refOf(name, f.job.Refs); ref != "" {
		return ref, clean(rest), nil
	}
	if strings.HasPrefix(name, "/") {
		return "", clean(name), nil
	}
	if leaves(clean(f.job.Dir), name) {
		return "", "", fmt.Errorf(
			"%w: %s: %q %w; name a file in it, or a source with `ref`",
			ErrSource,
			what,
			name,
			errOutside,
		)
	}
	return "", path.Join(clean(f.job.Dir), name), nil
}

// refOf splits a path that begins with the name of another source.
func refOf(name string, refs []string) (ref, rest string) {
	first, rest, _ := strings.Cut(name, "/")
	for _, r := range refs {
		if first == r {
			return r, rest
		}
	}
	return "", ""
}

// run renders.
func run(ctx context.Context, job *Job, asker Asker) (objects []*unstructured.Unstructured, reads []Read, err error) {
	f := newFiles(ctx, job, asker)
	defer func() {
		// A manifest must not be able to end the process.
		if r := recover(); r != nil {
			objects, err = nil, fmt.Errorf("%w: %s gave up: %v", ErrSource, strings.ToLower(job.Kind), r)
		}
		if err != nil && f.transient != nil {
			err = f.transient
		}
		for r := range f.reads {
			reads = append(reads, r)
		}
	}()
	for _, k := range kinds {
		if k.name == job.Kind {
			objects, err = k.render(job, f)
			return objects, reads, err
		}
	}
	return nil, nil, fmt.Errorf("%w: there is no renderer %q", ErrSource, job.Kind)
}
