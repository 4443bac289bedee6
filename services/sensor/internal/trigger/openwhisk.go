package trigger

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// actions is the openWhisk trigger.
type actions struct {
	world  World
	client *http.Client
}

func newOpenWhisk(w World) Adapter { return &actions{world: w, client: newClient(nil)} }

// Close closes the connections.
func (x *actions) Close() error {
	x.client.CloseIdleConnections()
	return nil
}

// Fire invokes the action and waits for its result. Source: OpenWhisk REST API,
// "Using REST APIs with OpenWhisk".
func (x *actions) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.OpenWhisk, c.Template.OpenWhisk.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("openWhisk.%w", err)
	}
	body, err := c.Fill.Payload(t.Payload)
	if err != nil {
		return Result{}, fault.Poisonf("openWhisk.%w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, actionURL(t), bytes.NewReader(body))
	if err != nil {
		return Result{}, fault.AsPoison(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(idHeader, c.Key)
	token, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.AuthToken)
	if err != nil {
		return Result{}, err
	}
	if user, password, ok := strings.Cut(token, ":"); ok {
		r.SetBasicAuth(user, password)
	} else if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return exchange(x.client, r, c.Policy)
}

func actionURL(t *v1alpha1.OpenWhiskTrigger) string {
	host := strings.TrimSuffix(t.Host, "/")
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	namespace, version := t.Namespace, t.Version
	if namespace == "" {
		namespace = "_"
	}
	if version == "" {
		version = "v1"
	}
	return host + "/api/" + url.PathEscape(version) + "/namespaces/" + url.PathEscape(
		namespace,
	) + "/actions/" + url.PathEscape(t.ActionName) + "?blocking=true"
}
