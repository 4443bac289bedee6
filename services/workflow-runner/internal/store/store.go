// Package store keeps artifacts: in the built-in store of the mesh, or in the stores that manifests name. Each kind of
// store is one file and one entry of a table.
package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/libs/gitrepo"
	"github.com/argosy-mesh/argosy/libs/httpx"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/google"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/driver"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrAbsent says that nothing is kept under a key.
var ErrAbsent = errors.New("there is no such artifact")

// ErrRelay says that no URL of an object can be signed: pods reach it through this service.
var ErrRelay = errors.New("no URL of the store can be signed")

// Store keeps artifacts under keys.
type Store interface {
	// Open streams what is kept under a key, or returns ErrAbsent.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	// Names lists the keys that begin with prefix, in order; more than limit of them are an error.
	Names(ctx context.Context, prefix string, limit int) ([]string, error)
	// Remove takes away what is kept under a key, and below it as a folder. What is not there is no error.
	Remove(ctx context.Context, key string) error
}

// Direct is a store that pods reach themselves.
type Direct interface {
	Store
	// Sign returns a URL that allows one method on one object for some time, and the headers to send with it; or
	// [ErrRelay], when it is a [Keeper].
	Sign(ctx context.Context, method, key string, lifetime time.Duration) (to string, headers map[string]string,
		err error)
	// Has reports whether something is kept under exactly this key.
	Has(ctx context.Context, key string) (bool, error)
	// Ready makes sure that objects can be put.
	Ready(ctx context.Context) error
	// Authority is the certificate authority of the store as PEM, "" where the usual ones vouch for it.
	Authority() string
}

// Keeper is a store that pods put artifacts into through this service.
type Keeper interface {
	Store
	// Put keeps what a body holds under a key, whole or not at all.
	Put(ctx context.Context, key string, body io.Reader) error
}

// Sized is a body whose size is known, or -1: some stores want to know it first.
type Sized struct {
	io.Reader

	Size int64
}

// Stores opens stores.
type Stores struct {
	Bus     *bus.Bus
	Secrets client.Reader // of any namespace: reads only what manifests of that namespace name
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	GCS     string           // where Google Cloud Storage is; "" is [GCS]
	Own     identity.Own     // the namespaces that may use the identity of this process
	Git     *gitrepo.Fetcher // nil: repositories are not fetched
	Drivers *driver.Pods     // nil: artifact drivers are not run

	IAM string // where Google signs as its service accounts; "" is [google.IAM]

	clients     clients
	delegations delegations
	googleMu    sync.Mutex
	google      *google.Account // the identity of this process, once it was found
	roots       *x509.CertPool  // who vouches for the clouds; nil for the usual ones
}

// dial connects as pods of a namespace do: endpoints may be names of its services.
func (s *Stores) dial(namespace string) httpx.Dial { return httpx.Within(namespace, s.Dial) }

// kinds are the stores by the field of a location that names them.
func (s *Stores) kinds() map[string]func(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store,
	error) {
	return map[string]func(context.Context, string, v1alpha1.ArtifactLocation) (Store, error){
		"mesh": func(_ context.Context, namespace string, _ v1alpha1.ArtifactLocation) (Store, error) {
			return mesh{objects: s.Bus.Objects(bus.ArtifactsBucket), namespace: namespace}, nil
		},
		"s3":          s.bucket,
		"gcs":         s.gcs,
		"azure":       s.azure,
		"oss":         s.oss,
		"hdfs":        s.hdfs,
		"artifactory": s.artifactory,
		"http":        s.web,
		"git":         s.git,
		"plugin":      s.driven,
	}
}

// kind is the name of the store of a location.
func kind(l v1alpha1.ArtifactLocation) string {
	of := location.Store(l)
	if of == "s3" && l.S3.Endpoint == "" {
		return "mesh"
	}
	return of
}

// Supplied reports whether a place says where an artifact is: by a key, or by the place alone.
func Supplied(l v1alpha1.ArtifactLocation) bool {
	return Key(l) != "" || l.HTTP != nil || l.Git != nil || l.Artifactory != nil
}

// External reports whether a place is not in the built-in store.
func External(l v1alpha1.ArtifactLocation) bool { return kind(l) != "mesh" && kind(l) != "" }

// Relayed reports whether pods reach a place through this service, although it is not in the built-in store.
func Relayed(l v1alpha1.ArtifactLocation) bool {
	return kind(l) == "git" || kind(l) == "hdfs" || kind(l) == "plugin"
}

// Key is the key of a place in its store.
func Key(l v1alpha1.ArtifactLocation) string { return location.Key(l) }

// Under is a place with another key in the same store.
func Under(l v1alpha1.ArtifactLocation, key string) v1alpha1.ArtifactLocation {
	out := *l.DeepCopy()
	if out.GCS != nil { // no other store relays what it would have others reach
		out.GCS.Key = key
	}
	return out
}

// At opens the store of a place that a manifest of a namespace names. A place that cannot be is an error of class
// poison.
func (s *Stores) At(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	open, ok := s.kinds()[kind(l)]
	if !ok {
		return nil, fault.Poisonf("the place of the artifact is of no kind that is known here; s3, gcs, azure, oss, hdfs, artifactory, http, git and plugin are")
	}
	return open(ctx, namespace, l)
}

// Open streams the artifact of a place.
func (s *Stores) Open(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (io.ReadCloser, error) {
	store, err := s.At(ctx, namespace, l)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, Key(l))
}

// Put keeps what a body holds as the artifact of a place.
func (s *Stores) Put(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation, body io.Reader) error {
	store, err := s.At(ctx, namespace, l)
	if err != nil {
		return err
	}
	keeper, ok := store.(Keeper)
	if !ok {
		return fault.Poisonf("%s: nothing is stored there through this service", kind(l))
	}
	return keeper.Put(ctx, Key(l), body)
}

// Names lists the keys of a place that begin with its key.
func (s *Stores) Names(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation, limit int) ([]string,
	error) {
	store, err := s.At(ctx, namespace, l)
	if err != nil {
		return nil, err
	}
	return store.Names(ctx, Key(l), limit)
}

// Remove takes the artifact of a place away.
func (s *Stores) Remove(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) error {
	store, err := s.At(ctx, namespace, l)
	if err != nil {
		return err
	}
	key := Key(l)
	if key == "" || key == "/" {
		return fault.Poisonf("remove an artifact: it has no key")
	}
	if err := store.Remove(ctx, key); err != nil {
		return fmt.Errorf("remove artifact %s: %w", key, err)
	}
	return nil
}
