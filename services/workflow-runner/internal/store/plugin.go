package store

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/driver"
)

// driven is a store that an artifact driver keeps. Its files must be where the driver sees them: pods go through this
// service, and it through the bridge beside the driver.
type driven struct {
	reach func(context.Context) (driver.At, error)
	place v1alpha1.PluginArtifact
}

func (s *Stores) driven(_ context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	switch {
	case l.Plugin.Name == "":
		return nil, fault.Poisonf("plugin: name is missing, and the run's artifact repository is no plugin")
	case s.Drivers == nil:
		return nil, fault.Poisonf("plugin: artifact drivers are not run here")
	}
	return driven{place: *l.Plugin, reach: func(ctx context.Context) (driver.At, error) {
		return s.Drivers.Reach(ctx, namespace, l.Plugin.Name)
	}}, nil
}

// ask has the driver do something with an artifact. A good answer is for the caller to close.
func (d driven) ask(ctx context.Context, method, path, key string, body io.Reader) (*http.Response, error) {
	at, err := d.reach(ctx)
	if err != nil {
		return nil, err
	}
	about, err := at.Name(protocol.Driven{Name: d.place.Name, Key: key, Configuration: d.place.Configuration,
		Patience: d.place.ConnectionTimeoutSeconds})
	if err != nil {
		return nil, fault.Poisonf("plugin %s: %w", d.place.Name, err)
	}
	res, err := at.Do(ctx, method, path, about, body)
	if err != nil {
		return nil, fmt.Errorf("artifact driver %s: %w", d.place.Name, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	text := strings.TrimSpace(string(raw))
	switch {
	case res.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("artifact driver %s: %s: %w", d.place.Name, text, ErrAbsent)
	case res.StatusCode < 500:
		return nil, fault.Poisonf("artifact driver %s: %s", d.place.Name, text)
	}
	return nil, fmt.Errorf("artifact driver %s: %s", d.place.Name, text)
}

// Open streams what the driver loads; a folder comes packed and marked as one.
func (d driven) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	res, err := d.ask(ctx, http.MethodGet, protocol.BridgeObject, key, nil)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Put has the driver save a body. The driver sees it only when it is whole.
func (d driven) Put(ctx context.Context, key string, body io.Reader) error {
	res, err := d.ask(ctx, http.MethodPut, protocol.BridgeObject, key, body)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Remove has the driver delete what it keeps under a key.
func (d driven) Remove(ctx context.Context, key string) error {
	res, err := d.ask(ctx, http.MethodDelete, protocol.BridgeObject, key, nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// namesBytes bounds a list of keys.
const namesBytes = 32 << 20

// Names are the keys that the driver lists.
func (d driven) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	res, err := d.ask(ctx, http.MethodGet, protocol.BridgeNames, prefix, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var names []string
	if err := json.NewDecoder(io.LimitReader(res.Body, namesBytes)).Decode(&names); err != nil {
		return nil, fmt.Errorf("artifact driver %s: the list of keys: %w", d.place.Name, err)
	}
	if len(names) > limit {
		return nil, fault.Poisonf("artifact driver %s has more than %d keys below %q", d.place.Name, limit, prefix)
	}
	return names, nil
}
