package location

import (
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Names of where artifact repositories are kept. Source: Argo Workflows.
const (
	// ConfigMap is the ConfigMap whose entries are repositories.
	ConfigMap = "artifact-repositories"
	// DefaultAnnotation is the annotation of that ConfigMap with the key of the repository of those who name none.
	DefaultAnnotation = "workflows.argoproj.io/default-artifact-repository"
)

// Pick reads the repository that a workflow refers to, or that is the default, from the ConfigMap where it
// stands. It returns its key, and nothing when nobody names one.
func Pick(ref *v1alpha1.ArtifactRepositoryRef, config corev1.ConfigMap) (key string, r *v1alpha1.ArtifactRepository,
	err error) {
	key = config.Annotations[DefaultAnnotation]
	if ref != nil && ref.Key != "" {
		key = ref.Key
	}
	if key == "" && ref == nil {
		return "", nil, nil
	}
	text, ok := config.Data[key]
	if !ok {
		return key, nil, fmt.Errorf("ConfigMap %s/%s has no artifact repository %q", config.Namespace, config.Name, key)
	}
	r = &v1alpha1.ArtifactRepository{}
	if err := yaml.Unmarshal([]byte(text), r); err != nil {
		return key, nil, fmt.Errorf("ConfigMap %s/%s: artifact repository %q: %w", config.Namespace, config.Name, key,
			err)
	}
	return key, r, nil
}
