package binding

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/flow/binding"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// consumer describes the binding's place in the stream: it sees what came since it was made.
func (b *Reconciler) consumer(one *v1alpha1.WorkflowEventBinding) bus.Consumer {
	return bus.Consumer{
		Stream: bus.Events, Name: bindingConsumer(one), Filters: []string{"events." + bus.Token(one.Namespace) + ".>"},
		Since: one.CreationTimestamp.Time, Concurrency: bindingConcurrency,
		Observe: func(class fault.Class, took time.Duration) {
			b.Metrics.Commands.WithLabelValues("bind", string(class)).Observe(took.Seconds())
		},
	}
}

// Handle submits the workflow of one event, whose name follows from the event: what comes again finds it there.
func (b *Reconciler) Handle(ctx context.Context, one *v1alpha1.WorkflowEventBinding, d bus.Delivery) error {
	o, err := occurrence(d)
	if err != nil {
		return err
	}
	wf, prefix, err := binding.Bind(*one, o)
	if err != nil {
		// Most events are meant for others: one that an expression fails on is none of this binding. Source: Argo
		// Workflows.
		b.Meters.Errors.WithLabelValues("WorkflowEventBinding").Inc()
		b.Log.InfoContext(ctx, "event was passed over", "binding", one.Namespace+"/"+one.Name, "event_id", d.ID(),
			"error",
			err)
		return nil
	}
	if wf == nil {
		return nil
	}
	key := bus.Key(string(one.UID), d.Source(), d.ID())
	wf.APIVersion, wf.Kind = v1alpha1.GroupVersion.String(), "Workflow"
	wf.Name = prefix + key[:10]
	wf.Annotations = bus.After(d.Event).Annotate(wf.Annotations)
	wf.Annotations[lineage.KeyAnnotation] = key
	content, err := object.UnstructuredOf(wf)
	if err != nil {
		return fault.AsPoison(err)
	}
	delete(content, "status")
	if _, err := kube.CreateOnce(ctx, b.Client, &unstructured.Unstructured{Object: content}); err != nil {
		err = fmt.Errorf("binding %s/%s, event %s: %w", one.Namespace, one.Name, d.ID(), err)
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) {
			return fault.AsPoison(err)
		}
		return err
	}
	return nil
}

// occurrence is an event as bindings see it: the discriminator is its name in its EventSource. Of a webhook, the
// payload is the body and the metadata are the headers; of any other kind, the payload is the data.
func occurrence(d bus.Delivery) (o binding.Occurrence, err error) {
	tokens := strings.Split(d.Subject, ".")
	if o.Discriminator, err = events.Untoken(tokens[len(tokens)-1]); err != nil {
		return o, fault.AsPoison(err)
	}
	if json.Unmarshal(d.Data(), &o.Payload) != nil {
		o.Payload = string(d.Data())
	}
	if d.Type() != "webhook" {
		return o, nil
	}
	var view struct {
		Header map[string][]string `json:"header"`
		Body   json.RawMessage     `json:"body"`
	}
	if err := json.Unmarshal(d.Data(), &view); err != nil {
		return o, nil //nolint:nilerr // then it is not the view of a webhook
	}
	o.Metadata, o.Payload = view.Header, nil
	_ = json.Unmarshal(view.Body, &o.Payload) // no body is no payload
	return o, nil
}

// bindingConcurrency is how many events of one binding a replica handles at once.
const bindingConcurrency = 8

func bindingConsumer(u client.Object) string { return "workflow-binding-" + string(u.GetUID()) }
