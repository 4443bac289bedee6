package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// commander carries out what commands ask for, with the rights of who asked.
type commander struct{ objects dynamic.Interface }

// commandAuthor is who a command is of: the account of a Sensor, or nobody, when a person published it.
type commandAuthor struct {
	verb, namespace string // what it asks for, and where
	sensor          string
	accountOf       string // the namespace of the account
	account         string
}

// commanderFor finds the rights for a command. What a command says must be what its subject says: whoever may publish
// to one namespace must not reach another.
func commanderFor(accounts *actas.Accounts, d bus.Delivery, r commandAuthor) (commander, error) {
	if want := events.CommandSubject(events.ServiceWorkflowRunner, r.verb, r.namespace); d.Subject != want {
		return commander{}, fault.Poisonf("it is of %s, and came by subject %s: namespace and operation must be those of the subject", want, d.Subject)
	}
	if r.account == "" && r.sensor == "" {
		own, err := accounts.Self()
		if err != nil {
			return commander{}, err
		}
		return commander{own.Objects}, nil
	}
	if r.accountOf == "" {
		r.accountOf = r.namespace // a command of a Sensor that did not say it yet
	}
	who, err := accounts.As(r.accountOf, r.account)
	if err != nil {
		return commander{}, err
	}
	return commander{who.Objects}, nil
}

// create makes an object whose annotation names the key of its command. One that is there already is done only when the
// same command made it.
func (c commander) create(ctx context.Context, o *unstructured.Unstructured) error {
	at := c.objects.Resource(v1alpha1.GroupVersion.WithResource("workflows")).Namespace(o.GetNamespace())
	_, err := at.Create(ctx, o, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	found, lookErr := at.Get(ctx, o.GetName(), metav1.GetOptions{})
	key := o.GetAnnotations()[lineage.KeyAnnotation]
	switch {
	case apierrors.IsForbidden(lookErr) && named(o.GetName(), key):
		return nil // an account that may only create: the name says whose it is
	case apierrors.IsNotFound(lookErr):
		return fmt.Errorf("%w, and is gone now", err)
	case lookErr != nil:
		return lookErr
	case found.GetAnnotations()[lineage.KeyAnnotation] == key:
		return nil
	}
	return fault.Poisonf("workflow %s/%s is there already, and this command did not make it: use generateName",
		o.GetNamespace(), o.GetName())
}

func (c commander) get(ctx context.Context, resource, namespace, name string) (*unstructured.Unstructured, error) {
	return c.objects.Resource(v1alpha1.GroupVersion.WithResource(resource)).Namespace(namespace).Get(ctx, name,
		metav1.GetOptions{})
}

func (c commander) patch(ctx context.Context, namespace, name string, change map[string]any) error {
	_, err := c.objects.Resource(v1alpha1.GroupVersion.WithResource("workflows")).Namespace(namespace).Patch(ctx, name,
		types.MergePatchType, object.JSON(change), metav1.PatchOptions{})
	return err
}

// keyInName is the part of a key that names end in.
func keyInName(key string) string { return key[:min(len(key), 10)] }

// named reports whether a name was made from a key.
func named(name, key string) bool { return key != "" && strings.HasSuffix(name, keyInName(key)) }

// refusedCommand classes what the API server says to a command. What the account may not do it may not do the next time
// either: the command is dead, and can be redriven when the rights are there.
func refusedCommand(err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) ||
		apierrors.IsForbidden(err) {
		return fault.AsPoison(err)
	}
	return err
}
