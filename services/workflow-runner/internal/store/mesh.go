package store

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
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
	return OpenObject(ctx, m.objects, ObjectName(m.namespace, key))
}

// OpenObject streams an artifact of the built-in store by the name of its object: what is kept under it, or what is
// kept below it as a folder.
func OpenObject(ctx context.Context, objects bus.Objects, name string) (io.ReadCloser, error) {
	r, err := objects.Open(ctx, name)
	if !errors.Is(err, bus.ErrNotFound) {
		return r, err
	}
	below, lost := namesBelow(ctx, objects, name)
	if lost != nil {
		return nil, lost
	}
	if len(below) == 0 {
		return nil, errors.Join(ErrAbsent, err)
	}
	return meshFolder{objects: objects, name: folderOf(name)}.open(ctx, below), nil
}

// folderOf begins the names of what is kept below a name.
func folderOf(name string) string { return strings.TrimRight(name, "/") + "/" }

func namesBelow(ctx context.Context, objects bus.Objects, name string) ([]string, error) {
	return objects.Names(ctx, folderOf(name), protocol.FolderLimit)
}

// Names lists keys.
func (m mesh) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	names, err := m.objects.Names(ctx, ObjectName(m.namespace, prefix), limit)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], ObjectName(m.namespace, ""))
	}
	return names, err
}

// Remove takes an artifact away; a folder is one object here, unless several artifacts make it up.
func (m mesh) Remove(ctx context.Context, key string) error {
	name := ObjectName(m.namespace, key)
	if _, err := m.objects.Size(ctx, name); !errors.Is(err, bus.ErrNotFound) {
		return errors.Join(err, m.objects.Delete(ctx, name))
	}
	below, err := namesBelow(ctx, m.objects, name)
	errs := []error{err}
	for _, one := range below {
		errs = append(errs, m.objects.Delete(ctx, one))
	}
	return errors.Join(errs...)
}
