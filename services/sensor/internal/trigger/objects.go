package trigger

import (
	"fmt"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// Objects reaches objects of the cluster as a Sensor's service account.
type Objects struct {
	Accounts *actas.Accounts
	Mapper   meta.RESTMapper
}

// of returns where an object lives, for the account of a Sensor. The object gets the
// Sensor's namespace when it has none and needs one.
func (x *Objects) of(s *v1alpha1.Sensor, o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := x.Mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return nil, fault.Poisonf("source: the cluster knows no %s", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", kind, err)
	}
	who, err := x.Accounts.As(s.Namespace, Account(s))
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		o.SetNamespace("")
		return who.Objects.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(s.Namespace)
	}
	return who.Objects.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}
