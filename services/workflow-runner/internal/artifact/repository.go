package artifact

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// repositoryAge is how long a ConfigMap of artifact repositories is not read again: runs that start together need not
// all ask for it.
const repositoryAge = 5 * time.Second

// Repositories finds the artifact repositories of runs.
type Repositories struct {
	Reader    client.Reader
	Namespace string // where those are looked for that a run's own namespace does not have
	Now       func() time.Time

	mu    sync.Mutex
	known map[types.NamespacedName]readConfig
}

// readConfig is a ConfigMap as it was read; nil when there is none.
type readConfig struct {
	config *corev1.ConfigMap
	at     time.Time
}

// Find resolves a reference once for a run; what becomes of the ConfigMap later changes nothing for it. Source: Argo
// Workflows, its order: the run's namespace, then the installation's; without a reference, the default of the run's
// namespace, then the built-in store.
func (r *Repositories) Find(ctx context.Context, namespace string,
	ref *v1alpha1.ArtifactRepositoryRef) (*v1alpha1.ArtifactRepositoryRefStatus, error) {
	name, namespaces := location.ConfigMap, []string{namespace}
	if ref != nil {
		namespaces = append(namespaces, r.Namespace)
		if ref.ConfigMap != "" {
			name = ref.ConfigMap
		}
	}
	for _, at := range namespaces {
		config, err := r.read(ctx, types.NamespacedName{Namespace: at, Name: name})
		if err != nil {
			return nil, err
		}
		if config == nil {
			continue
		}
		key, repository, err := location.Pick(ref, *config)
		if err != nil {
			return nil, fault.Poisonf("spec.artifactRepositoryRef: %w", err)
		}
		if repository != nil {
			return &v1alpha1.ArtifactRepositoryRefStatus{ConfigMap: name, Key: key, Namespace: at,
				ArtifactRepository: repository}, nil
		}
	}
	if ref != nil {
		return nil, fault.Poisonf("spec.artifactRepositoryRef: there is no ConfigMap %q in %v", name, namespaces)
	}
	return &v1alpha1.ArtifactRepositoryRefStatus{Default: true}, nil
}

func (r *Repositories) read(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error) {
	r.mu.Lock()
	known, ok := r.known[name]
	r.mu.Unlock()
	if ok && r.Now().Sub(known.at) < repositoryAge {
		return known.config, nil
	}
	config := &corev1.ConfigMap{}
	err := r.Reader.Get(ctx, name, config)
	if apierrors.IsNotFound(err) {
		config, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) > 1000 {
		r.known = map[types.NamespacedName]readConfig{}
	}
	r.known[name] = readConfig{config, r.Now()}
	return config, nil
}
