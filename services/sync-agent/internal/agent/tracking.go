package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// trackingPatience bounds the question for the settings that hold as long as the process.
const trackingPatience = 30 * time.Second

// tracking reads how objects are marked from argocd-cm. It is read once: caches keep what it tells them to.
func tracking(ctx context.Context, cfg Config, log *slog.Logger) (track.Method, error) {
	config, err := kube.Config(cfg.Kubeconfig)
	if err != nil {
		return track.Method{}, err
	}
	reader, err := client.New(config, client.Options{})
	if err != nil {
		return track.Method{}, fmt.Errorf("connect to the cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, trackingPatience)
	defer cancel()
	var m corev1.ConfigMap
	err = reader.Get(ctx, client.ObjectKey{Namespace: cfg.Control, Name: "argocd-cm"}, &m)
	if client.IgnoreNotFound(err) != nil && !apierrors.IsForbidden(err) {
		return track.Method{}, fmt.Errorf("read ConfigMap %s/argocd-cm: %w", cfg.Control, err)
	}
	method, err := track.NewMethod(
		m.Data["application.resourceTrackingMethod"], m.Data["application.instanceLabelKey"], m.Data["installationID"],
	)
	if err != nil {
		log.WarnContext(ctx, "argocd-cm: objects are tracked by annotation", "error", err)
	}
	return method, nil
}
