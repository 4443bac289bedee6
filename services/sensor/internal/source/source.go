// Package source fetches the manifests that triggers create: from a ConfigMap, a
// URL, a file, Git or S3. Each place is one entry of a registry, in its own file.
//
// What is fetched is untrusted: bounded in size and time, and never interpreted here.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Limits of what is fetched.
const (
	maxManifest = 8 << 20
	patience    = 60 * time.Second
)

// Fetcher fetches manifests. Safe for concurrent use.
type Fetcher struct {
	values       *secret.Reader
	repositories *gitrepo.Fetcher
	files        string // folder below which the kind "file" may read; empty means nowhere
	plain        *http.Client
	loose        *http.Client // does not verify certificates; url.verifyCert false asks for it
	github       string       // a test's, in place of GitHub's API
}

// GitAtOnce bounds the repositories that are read at once, of all namespaces.
const GitAtOnce = 16

// GitLimits bound a repository that holds manifests.
func GitLimits() gitrepo.Limits {
	return gitrepo.Limits{Bytes: 256 << 20, Files: 10_000, Time: patience}
}

// NewFetcher reads secrets through values, Git through repositories, and files below the folder files.
func NewFetcher(values *secret.Reader, repositories *gitrepo.Fetcher, files string) *Fetcher {
	return &Fetcher{values: values, repositories: repositories, files: files, plain: client(false), loose: client(true)}
}

// place is one entry of the registry.
type place struct {
	given func(l *v1alpha1.EventArtifactLocation) bool
	fetch func(f *Fetcher, ctx context.Context, namespace string, l *v1alpha1.EventArtifactLocation) ([]byte, error)
}

// places holds all places by the name that manifests give them.
var places = map[string]place{
	"configmap": {func(l *v1alpha1.EventArtifactLocation) bool { return l.Configmap != nil }, (*Fetcher).configMap},
	"file":      {func(l *v1alpha1.EventArtifactLocation) bool { return l.File != nil }, (*Fetcher).file},
	"git":       {func(l *v1alpha1.EventArtifactLocation) bool { return l.Git != nil }, (*Fetcher).git},
	"s3":        {func(l *v1alpha1.EventArtifactLocation) bool { return l.S3 != nil }, (*Fetcher).s3},
	"url":       {func(l *v1alpha1.EventArtifactLocation) bool { return l.URL != nil }, (*Fetcher).url},
}

// Manifest returns the manifest of a source as JSON.
func (f *Fetcher) Manifest(ctx context.Context, namespace string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	if manifest, ok, err := param.Inline(l); ok {
		return manifest, fault.AsPoison(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not fetched within %s", patience))
	defer cancel()
	for name, p := range places {
		if !p.given(l) {
			continue
		}
		text, err := p.fetch(f, ctx, namespace, l)
		if err != nil {
			return nil, fmt.Errorf("source.%s: %w", name, err)
		}
		manifest, err := param.Parse(text)
		return manifest, fault.AsPoison(err)
	}
	return nil, fault.Poisonf("source: none of resource, inline, configmap, file, git, s3, url is given")
}

func (f *Fetcher) configMap(ctx context.Context, namespace string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	text, err := f.values.ConfigMap(ctx, namespace, l.Configmap)
	return []byte(text), err
}

// file reads below one folder of this process, which an administrator mounts; links
// do not lead out of it.
func (f *Fetcher) file(_ context.Context, _ string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	if f.files == "" {
		return nil, fault.AsPoison(errors.New("the sensor serves no files: give it a folder with --files"))
	}
	root, err := os.OpenRoot(f.files)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := l.File.Path
	if rel, err := filepath.Rel(f.files, name); err == nil && filepath.IsAbs(name) {
		name = rel
	}
	r, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return read(r)
}

// read takes what fits.
func read(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, fault.Poisonf("more than %d bytes", maxManifest)
	}
	return text, nil
}
