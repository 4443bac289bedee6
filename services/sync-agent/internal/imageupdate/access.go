package imageupdate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// access is what opens the registry of an image: a Secret, or of a cloud's registry the identity of this process. An
// Application may name Secrets of its own namespace: whoever may write it could otherwise have the agent send any
// Secret to a registry of theirs.
func (h *Updater) access(
	ctx context.Context, namespace string, pull image.PullSecret, pushed events.ImagePushed,
) (registry.Access, error) {
	if pull == (image.PullSecret{}) {
		return h.Clouds.Access(ctx, namespace, pushed.Registry)
	}
	if pull.Namespace != namespace {
		return registry.Access{}, fault.Poisonf(
			"pull-secret %s/%s is in another namespace than the application: copy it to %s", pull.Namespace, pull.Name,
			namespace,
		)
	}
	var s corev1.Secret
	err := h.Secrets.Get(ctx, client.ObjectKey{Namespace: pull.Namespace, Name: pull.Name}, &s)
	if apierrors.IsNotFound(err) {
		return registry.Access{}, fault.Poisonf("pull-secret %s/%s does not exist", pull.Namespace, pull.Name)
	}
	if err != nil {
		return registry.Access{}, fmt.Errorf("read pull-secret %s/%s: %w", pull.Namespace, pull.Name, err)
	}
	a, err := opening(s, pull.Field, pushed)
	if err != nil {
		return registry.Access{}, fault.AsPoison(fmt.Errorf("pull-secret %s/%s: %w", pull.Namespace, pull.Name, err))
	}
	return a, nil
}

func opening(s corev1.Secret, field string, pushed events.ImagePushed) (registry.Access, error) {
	if field != "" {
		user, password, ok := strings.Cut(strings.TrimSpace(string(s.Data[field])), ":")
		if !ok {
			return registry.Access{}, fmt.Errorf("field %s is not user:password", field)
		}
		return registry.Access{Username: user, Password: password}, nil
	}
	for _, key := range []string{corev1.DockerConfigJsonKey, corev1.DockerConfigKey} {
		if text := s.Data[key]; len(text) > 0 {
			return registry.DockerConfig(text, pushed.Registry, pushed.Repository)
		}
	}
	return registry.Access{}, errors.New("it is no pull Secret: it has neither .dockerconfigjson nor .dockercfg")
}
