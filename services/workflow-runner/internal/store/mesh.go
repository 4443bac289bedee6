package store

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
)

// mesh is the built-in store. Pods reach it through this service.
type mesh struct {
	objects   bus.Objects
	namespace string
}

// ObjectName is the name of an artifact in the built-in store, which keeps namespaces apart.
func ObjectName(namespace, key string) string {
	return "artifact/" + namespace + "/" + strings.TrimPrefix(key, "/")
}

// Open streams an artifact.
func (m mesh) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := m.objects.Open(ctx, ObjectName(m.namespace, key))
	if errors.Is(err, bus.ErrNotFound) {
		return nil, errors.Join(ErrAbsent, err)
	}
	return r, err
}

// Names lists keys.
func (m mesh) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	names, err := m.objects.Names(ctx, ObjectName(m.namespace, prefix), limit)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], ObjectName(m.namespace, ""))
	}
	return names, err
}

// Remove takes an artifact away; a folder is one object here.
func (m mesh) Remove(ctx context.Context, key string) error {
	return m.objects.Delete(ctx, ObjectName(m.namespace, key))
}
