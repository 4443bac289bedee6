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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"sync"
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

// pool keeps what adapters hold open, by what it was opened with. A trigger whose
// parameters name a new server each time must not keep them all.
type pool[T any] struct {
	mu    sync.Mutex
	open  map[string]T
	order []string
	close func(T) error
}

// maxOpen bounds a pool.
const maxOpen = 16

func newPool[T any](end func(T) error) *pool[T] {
	return &pool[T]{open: map[string]T{}, close: end}
}

// get returns the one that was opened with the same settings, or opens it. Settings
// may hold secrets; only their hash is kept.
func (p *pool[T]) get(settings any, open func() (T, error)) (T, error) {
	var none T
	text, err := json.Marshal(settings)
	if err != nil {
		return none, err
	}
	sum := sha256.Sum256(text)
	key := hex.EncodeToString(sum[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.open[key]; ok {
		return v, nil
	}
	v, err := open()
	if err != nil {
		return none, err
	}
	p.open[key] = v
	if p.order = append(p.order, key); len(p.order) > maxOpen {
		oldest := p.order[0]
		p.order = p.order[1:]
		_ = p.close(p.open[oldest])
		delete(p.open, oldest)
	}
	return v, nil
}

// Close closes all.
func (p *pool[T]) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first error
	for _, v := range p.open {
		if err := p.close(v); err != nil && first == nil {
			first = err
		}
	}
	p.open, p.order = map[string]T{}, nil
	return first
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
