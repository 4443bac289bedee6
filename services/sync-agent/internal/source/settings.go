package source

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// settingsMap is the ConfigMap of what an installation sets for all sources.
const settingsMap = "argocd-cm"

// settingsValues are what it says of rendering.
type settingsValues struct {
	Options  render.Options
	Disabled []string
}

// settings reads them.
type settings struct {
	reader    client.Reader
	namespace string

	mu    sync.Mutex
	at    time.Time
	known settingsValues
}

func (s *settings) read(ctx context.Context) (settingsValues, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < secretMemory {
		return s.known, nil
	}
	var m corev1.ConfigMap
	err := s.reader.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: settingsMap}, &m)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return settingsValues{}, fmt.Errorf("read ConfigMap %s/%s: %w", s.namespace, settingsMap, err)
	}
	s.known, s.at = settingsOf(m.Data), time.Now()
	return s.known, nil
}

// settingsOf reads the keys that concern rendering.
func settingsOf(data map[string]string) settingsValues {
	out := settingsValues{Options: render.Options{KustomizeBuild: strings.TrimSpace(data["kustomize.buildOptions"])}}
	for scheme := range strings.SplitSeq(data["helm.valuesFileSchemes"], ",") {
		if scheme = strings.ToLower(strings.TrimSpace(scheme)); scheme != "" {
			out.Options.ValueFileSchemes = append(out.Options.ValueFileSchemes, scheme)
		}
	}
	for _, tool := range []string{"helm", "kustomize", "jsonnet"} {
		if data[tool+".enable"] == "false" {
			out.Disabled = append(out.Disabled, tool)
		}
	}
	return out
}
