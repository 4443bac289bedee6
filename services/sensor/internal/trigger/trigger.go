// Package trigger brings effects about: one adapter per kind of trigger, each in a
// file of its own, all in one registry by name.
//
// An adapter is given a firing with its key, and does the thing once as far as the
// target knows keys: an object's name ends in it, a request carries it as
// Idempotency-Key, a message as its id. It returns when the target has confirmed.
// Errors are classed: what can never work is poison, the rest is tried again.
package trigger

import (
	"context"
	"log/slog"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sensor/internal/source"
)

// Call is one firing, ready to be performed.
type Call struct {
	Sensor   *v1alpha1.Sensor
	Template *v1alpha1.TriggerTemplate // with trigger.parameters applied
	Policy   *v1alpha1.TriggerPolicy   // may be nil
	Firing   sensing.Firing
	Fill     param.Filler
	Key      string          // identity of the effect
	Lineage  lineage.Lineage // what the effect is caused by
}

// Result is what an effect came to.
type Result struct {
	// Commands are published before the firing counts as done.
	Commands []bus.Outgoing
	// Summary is what the target answered, in short, for people.
	Summary string
}

// Adapter performs the firings of one trigger. Fire is called by several goroutines
// at a time; Close ends what it keeps open, after the last Fire has returned.
type Adapter interface {
	Fire(ctx context.Context, c Call) (Result, error)
	Close() error
}

// World is what adapters may use.
type World struct {
	Values  *secret.Reader
	Sources *source.Fetcher
	Objects *Objects
	Own     identity.Own                           // the namespaces that may use the identity of this process
	Entra   func() (azcore.TokenCredential, error) // nil: what Microsoft Entra gives to this process
	Log     *slog.Logger
	Now     func() time.Time
}

// registry holds all kinds by the name that manifests give them.
var registry = map[string]func(w World) Adapter{
	"argoWorkflow":    newWorkflow,
	"awsLambda":       newLambda,
	"azureEventHubs":  newEventHubs,
	"azureServiceBus": newServiceBus,
	"custom":          newCustom,
	"email":           newEmail,
	"http":            newHTTP,
	"jetstream":       newJetStream,
	"k8s":             newK8s,
	"kafka":           newKafka,
	"log":             newLog,
	"nats":            newNATS,
	"openWhisk":       newOpenWhisk,
	"pulsar":          newPulsar,
	"slack":           newSlack,
}

// New makes the adapter of a template.
func New(t *v1alpha1.TriggerTemplate, w World) (Adapter, error) {
	name, err := sensing.KindOf(t)
	if err != nil {
		return nil, err
	}
	return registry[name](w), nil
}

// stateless is embedded by adapters that keep nothing open.
type stateless struct{}

// Close does nothing.
func (stateless) Close() error { return nil }

// brief shortens what a target said.
func brief(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
