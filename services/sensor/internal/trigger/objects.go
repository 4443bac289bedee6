package trigger

import (
	"fmt"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Objects reaches objects of the cluster in the name of a Sensor's service account.
type Objects struct {
	rest   *rest.Config
	mapper meta.RESTMapper

	mu      sync.Mutex
	clients map[string]dynamic.Interface // by the account they act for
}

// NewObjects acts through cfg, whose user must be allowed to impersonate.
func NewObjects(cfg *rest.Config, mapper meta.RESTMapper) *Objects {
	return &Objects{rest: cfg, mapper: mapper, clients: map[string]dynamic.Interface{}}
}

// of returns where an object lives, for the account of a Sensor. The object gets the
// Sensor's namespace when it has none and needs one.
func (x *Objects) of(s *v1alpha1.Sensor, o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := x.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return nil, fault.Poisonf("source: the cluster knows no %s", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", kind, err)
	}
	client, err := x.as(s)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		o.SetNamespace("")
		return client.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(s.Namespace)
	}
	return client.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}

// as returns a client that acts for the Sensor's service account.
func (x *Objects) as(s *v1alpha1.Sensor) (dynamic.Interface, error) {
	user := strings.Join([]string{"system:serviceaccount", s.Namespace, Account(s)}, ":")
	x.mu.Lock()
	defer x.mu.Unlock()
	if c, ok := x.clients[user]; ok {
		return c, nil
	}
	cfg := rest.CopyConfig(x.rest)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + s.Namespace, "system:authenticated"}}
	c, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("act for %s: %w", user, err)
	}
	x.clients[user] = c
	return c, nil
}
