// Package projects reads AppProjects, compiled once for each version of them.
package projects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Default is the project of Applications that name none.
const Default = "default"

// ErrUnknown is wrapped by the error about a project that does not exist.
var ErrUnknown = errors.New("the project does not exist")

// Projects are those of one installation. Safe for concurrent use.
type Projects struct {
	reader  client.Reader // cached
	control string        // the namespace of all projects
	// further are patterns of the other namespaces whose Applications are taken.
	further []string

	mu    sync.Mutex
	known map[string]compiled // by name
}

type compiled struct {
	version  string
	project  *project.Project
	problems []error
}

// New returns the projects of a namespace. further are patterns of the other namespaces whose Applications are taken.
func New(reader client.Reader, control string, further []string) *Projects {
	return &Projects{reader: reader, control: control, further: further, known: map[string]compiled{}}
}

// Serves reports whether Applications of a namespace are this installation's.
func (p *Projects) Serves(namespace string) bool {
	return namespace == p.control || project.InList(p.further, namespace)
}

// Repository says why Applications of a namespace may not use a repository under the name of a project, "" when they
// may.
func (p *Projects) Repository(ctx context.Context, namespace, name, repoURL string) (reason string, err error) {
	if !p.Serves(namespace) {
		return fmt.Sprintf("applications of namespace %s are not taken", namespace), nil
	}
	found, _, err := p.Get(ctx, name)
	if errors.Is(err, ErrUnknown) {
		return err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	return cmp.Or(found.Namespace(namespace, p.control), found.Source(repoURL)), nil
}

// Get returns a project, and what of it cannot be read. "" is the default project.
func (p *Projects) Get(ctx context.Context, name string) (*project.Project, []error, error) {
	if name == "" {
		name = Default
	}
	o := object.New("AppProject")
	err := p.reader.Get(ctx, client.ObjectKey{Namespace: p.control, Name: name}, o)
	if apierrors.IsNotFound(err) {
		p.forget(name)
		return nil, nil, fmt.Errorf("%w: %q in namespace %s", ErrUnknown, name, p.control)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read project %s: %w", name, err)
	}
	version := string(o.GetUID()) + "/" + o.GetResourceVersion()
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, is := p.known[name]; is && known.version == version {
		return known.project, known.problems, nil
	}
	decoded, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.AppProject](o.Object)
	if err != nil {
		return nil, nil, fmt.Errorf("project %s: %w", name, err)
	}
	made, problems := project.New(name, decoded.Spec)
	for _, w := range warnings {
		problems = append(problems, errors.New(w.String()))
	}
	p.known[name] = compiled{version: version, project: made, problems: problems}
	return made, problems, nil
}

func (p *Projects) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}

// open is what the project permits that an installation begins with: everything. Source: Argo CD's default project.
func open() v1alpha1.AppProjectSpec {
	return v1alpha1.AppProjectSpec{
		SourceRepos:              []string{"*"},
		Destinations:             []v1alpha1.ApplicationDestination{{Server: "*", Namespace: "*"}},
		ClusterResourceWhitelist: []v1alpha1.ClusterResourceRestriction{{Group: "*", Kind: "*"}},
	}
}

// EnsureDefault makes the default project where there is none; one that is there stays as it is.
func EnsureDefault(ctx context.Context, c client.Client, control string) error {
	o := object.Named("AppProject", control, Default)
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(new(open()))
	if err != nil {
		return fmt.Errorf("make the default project: %w", err)
	}
	o.Object["spec"] = spec
	if err := c.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the default project in namespace %s: %w", control, err)
	}
	return nil
}
