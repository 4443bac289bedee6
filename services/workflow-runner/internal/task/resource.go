package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/retry"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// manifestLimit bounds a manifest that comes from an artifact.
const manifestLimit = 1 << 20

// resourceRunner does resource templates.
type resourceRunner struct {
	accounts *Accounts
	store    Store
}

func (c *resourceRunner) do(ctx context.Context, j Job) flow.Task {
	o, err := c.order(ctx, j)
	if err != nil {
		return readFailure(err)
	}
	if err := o.conditions(); err != nil {
		return failed("resource: %v", err)
	}
	where, err := c.place(ctx, j, o)
	if err != nil {
		return refusal(o, err)
	}
	act, known := actions()[o.action]
	if !known {
		return failed("resource: action %q is none of get, create, apply, patch, replace, delete", o.action)
	}
	var object *unstructured.Unstructured
	err = persist(ctx, func() error {
		object, err = act(ctx, where, o)
		return err
	})
	if err != nil {
		return refusal(o, err)
	}
	if object == nil {
		return done(nil)
	}
	return c.await(ctx, where, o, object)
}

// refusal fails a node whose object could not be dealt with. An account that there is not is an Error. Source: Argo
// Workflows, whose pod of kubectl fails, and which can make no pod for such an account.
func refusal(o *resourceRequest, err error) flow.Task {
	if _, is := errors.AsType[*actas.UnknownAccountError](err); is {
		return broken("%s %s: %v", o.action, o.title(), err)
	}
	return failed("%s %s: %v", o.action, o.title(), err)
}

// loadError says that the manifest of a template did not come in.
type loadError struct{ cause error }

func (e *loadError) Error() string { return "manifestFrom: " + e.cause.Error() }
func (e *loadError) Unwrap() error { return e.cause }

// readFailure fails a node whose manifest is wrong. One that did not come in is an Error. Source: Argo Workflows, as of
// all input artifacts.
func readFailure(err error) flow.Task {
	if _, is := errors.AsType[*loadError](err); is {
		return broken("resource: %v", err)
	}
	return failed("resource: %v", err)
}

// order reads what a template asks for.
func (c *resourceRunner) order(ctx context.Context, j Job) (*resourceRequest, error) {
	t := j.Template.Resource
	text := t.Manifest
	if t.ManifestFrom != nil {
		var err error
		if text, err = c.manifest(ctx, j.Namespace, t.ManifestFrom.Artifact); err != nil {
			return nil, &loadError{err}
		}
	}
	return readOrder(j, text)
}

// manifest loads a manifest from the artifact store, packed or plain.
func (c *resourceRunner) manifest(ctx context.Context, namespace string, a v1alpha1.Artifact) (string, error) {
	if a.Raw != nil {
		return a.Raw.Data, nil
	}
	body, err := c.store.Open(ctx, namespace, a.ArtifactLocation)
	if err != nil {
		return "", fmt.Errorf("artifact %q: %w", a.Name, err)
	}
	defer body.Close()
	text, err := firstFile(io.LimitReader(body, manifestLimit+1))
	if err != nil {
		return "", fmt.Errorf("artifact %q: %w", a.Name, err)
	}
	if len(text) > manifestLimit {
		return "", fmt.Errorf("artifact %q: a manifest may have %d bytes", a.Name, manifestLimit)
	}
	return string(text), nil
}

// place finds where the object of an order lives, for the account of the job.
func (c *resourceRunner) place(ctx context.Context, j Job, o *resourceRequest) (dynamic.ResourceInterface, error) {
	mapping, err := o.mapping(c.accounts.mapper)
	if err != nil {
		return nil, err
	}
	var who *actas.Client
	err = persist(ctx, func() error {
		who, err = c.accounts.as(ctx, j.Namespace, j.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != namespaceScope {
		o.namespace = ""
		o.object.SetNamespace("")
		return who.Objects.Resource(mapping.Resource), nil
	}
	if o.namespace == "" {
		o.namespace = j.Namespace
	}
	o.object.SetNamespace(o.namespace)
	return who.Objects.Resource(mapping.Resource).Namespace(o.namespace), nil
}

// transient reports whether the same request may succeed later.
func transient(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		var account *actas.UnknownAccountError
		return !errors.As(err, &account) && !errors.Is(err, context.Canceled) && !errors.Is(err, errOrder)
	}
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsUnauthorized(err) || apierrors.IsConflict(err)
}

// Attempts at the API server before a job is given up as broken.
const (
	attempts  = 8
	firstWait = 100 * time.Millisecond
)

// persist repeats what fails for reasons that pass, with growing pauses of 13 seconds in all.
func persist(ctx context.Context, try func() error) error {
	policy := retry.Policy{First: firstWait, Factor: 2, Steps: attempts}
	err := policy.While(ctx, transient, func(context.Context) error { return try() })
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
