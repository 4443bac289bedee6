package task

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Store reads the artifacts of a namespace.
type Store interface {
	// Open streams the artifact of a place.
	Open(ctx context.Context, namespace string, place v1alpha1.ArtifactLocation) (io.ReadCloser, error)
	// Names lists the keys that begin with that of a place, at most limit of them; more is an error.
	Names(ctx context.Context, namespace string, place v1alpha1.ArtifactLocation, limit int) ([]string, error)
}

// Tools are what jobs are done with.
type Tools struct {
	Accounts *Accounts
	Store    Store
	Local    bool // whether requests may go to loopback and link-local addresses
	Plugins  Plugins
}

// Plugins say how executor plugins are come by.
type Plugins struct {
	Namespace string // of those for all namespaces; "" for none
	// Announce marks a workflow before the first pod of a plugin is made for it: its end must remove that.
	Announce func(ctx context.Context, namespace, workflow, uid string) error
}

// workers are those that do each kind of work, by the field of the template.
func workers(t Tools) map[string]worker {
	return map[string]worker{
		"http": &httpRunner{accounts: t.Accounts, dial: Dialer(t.Local),
			slots: make(chan struct{}, requestsAtOnce)},
		"resource": &resourceRunner{accounts: t.Accounts, store: t.Store},
		"data":     &dataRunner{store: t.Store},
		"plugin": &pluginRunner{pods: &pluginPods{core: t.Accounts.clientset(), namespace: t.Plugins.Namespace,
			announce: t.Plugins.Announce}, dial: Dialer(t.Local)},
	}
}

// errDeadline is the cause of a context whose job ran out of time.
var errDeadline = errors.New("the job ran out of time")

func failed(format string, args ...any) flow.Task {
	return flow.Task{Phase: v1alpha1.NodeFailed, Message: fmt.Sprintf(format, args...)}
}

// broken is the end of work that could not even begin.
func broken(format string, args ...any) flow.Task {
	return flow.Task{Phase: v1alpha1.NodeError, Message: fmt.Sprintf(format, args...)}
}

func done(outputs *v1alpha1.Outputs) flow.Task {
	return flow.Task{Phase: v1alpha1.NodeSucceeded, Outputs: outputs}
}
