package sensor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sensor/internal/core"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// effects performs what firings ask for.
type effects struct {
	rest    *rest.Config
	mapper  meta.RESTMapper
	log     *slog.Logger
	metrics *metrics

	mu      sync.Mutex
	clients map[string]dynamic.Interface // by the account they act for
}

// perform does one firing. Its outputs are published before the event is
// acknowledged; anything else is done when it returns.
func (x *effects) perform(ctx context.Context, s *v1alpha1.Sensor, f core.Firing, cause bus.Event) ([]bus.Outgoing, error) {
	trigger := &s.Spec.Triggers[f.Trigger]
	t := trigger.Template
	key := bus.Key(append([]string{string(s.UID), t.Name}, f.Causes()...)...)
	var outputs []bus.Outgoing
	var err error
	switch {
	case t.ArgoWorkflow != nil:
		outputs, err = submit(s, trigger, f, key)
	case t.K8s != nil:
		err = x.create(ctx, s, trigger, f, mark{key, bus.After(cause)})
	case t.Log != nil:
		x.log.InfoContext(ctx, "trigger fired", "sensor", s.Namespace+"/"+s.Name, "trigger", t.Name, "events", f.Causes())
	default:
		err = fault.Poisonf("its type is not supported by this version; argoWorkflow, k8s and log are")
	}
	x.metrics.fired.WithLabelValues(s.Namespace, s.Name, t.Name, string(fault.Of(err))).Inc()
	if err != nil {
		return nil, fmt.Errorf("sensor %s/%s, trigger %s, key %s: %w", s.Namespace, s.Name, t.Name, key, err)
	}
	fact, err := fired(s, t.Name, key)
	if err != nil {
		return nil, err
	}
	outputs = append(outputs, fact)
	for i := range outputs {
		l := bus.After(cause)
		if i == 0 && len(outputs) == 2 {
			// The command is caused by the firing, which the fact records.
			l.Causation = fact.Event.ID()
		}
		outputs[i].Event = bus.WithLineage(outputs[i].Event, l)
	}
	return outputs, nil
}

func fired(s *v1alpha1.Sensor, trigger, key string) (bus.Outgoing, error) {
	e, err := bus.NewEvent(key, events.ServiceSensor, events.FactType(events.FactTriggerFired), events.Fact{
		Object:     events.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Sensor", Namespace: s.Namespace, Name: s.Name, UID: string(s.UID)},
		Attributes: map[string]string{"trigger": trigger, "key": key},
	})
	if err != nil {
		return bus.Outgoing{}, err
	}
	e.SetTime(time.Now())
	return bus.Outgoing{Subject: events.FactSubject(events.ServiceSensor, events.FactTriggerFired, s.Namespace, s.Name), Event: e}, nil
}

// submit makes the command of an argoWorkflow trigger.
func submit(s *v1alpha1.Sensor, trigger *v1alpha1.Trigger, f core.Firing, key string) ([]bus.Outgoing, error) {
	w := trigger.Template.ArgoWorkflow
	if w.Operation != "submit" && w.Operation != "" {
		return nil, fault.Poisonf("argoWorkflow.operation %q is not supported by this version; submit is", w.Operation)
	}
	manifest, err := core.Resource(f, w.Source, w.Parameters)
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	e, err := bus.NewEvent(key, events.ServiceSensor, events.TypeSubmitWorkflow, events.SubmitWorkflow{
		Key: key, Namespace: s.Namespace, Workflow: manifest, Sensor: s.Name, Trigger: trigger.Template.Name, ServiceAccount: account(s),
	})
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	e.SetTime(time.Now())
	return []bus.Outgoing{{Subject: events.SubmitSubject(s.Namespace), Event: e}}, nil
}

// mark is what an object says of the firing that made it.
type mark struct {
	key   string
	cause lineage.Lineage
}

// create makes the object of a k8s trigger once, in the name of the Sensor's
// service account.
func (x *effects) create(ctx context.Context, s *v1alpha1.Sensor, trigger *v1alpha1.Trigger, f core.Firing, m mark) error {
	k := trigger.Template.K8s
	if k.Operation != "create" && k.Operation != "" {
		return fault.Poisonf("k8s.operation %q is not supported by this version; create is", k.Operation)
	}
	manifest, err := core.Resource(f, k.Source, k.Parameters)
	if err != nil {
		return fault.AsPoison(err)
	}
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(manifest, &o.Object); err != nil {
		return fault.Poisonf("source: %w", err)
	}
	name(o, s, trigger.Template.Name, m)
	mapping, err := x.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	if meta.IsNoMatchError(err) {
		return fault.Poisonf("source: the cluster knows no %s", o.GroupVersionKind())
	}
	if err != nil {
		return fmt.Errorf("find %s: %w", o.GroupVersionKind(), err)
	}
	client, err := x.as(s)
	if err != nil {
		return err
	}
	resource := client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		_, err = resource.Namespace(o.GetNamespace()).Create(ctx, o, metav1.CreateOptions{FieldManager: "argosy-sensor"})
	} else {
		o.SetNamespace("")
		_, err = resource.Create(ctx, o, metav1.CreateOptions{FieldManager: "argosy-sensor"})
	}
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		return nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return fault.Poisonf("create %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
	}
	return fmt.Errorf("create %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
}

// name gives an object its deterministic name and says who made it.
func name(o *unstructured.Unstructured, s *v1alpha1.Sensor, trigger string, m mark) {
	if o.GetNamespace() == "" {
		o.SetNamespace(s.Namespace)
	}
	if prefix := o.GetGenerateName(); prefix != "" {
		o.SetName(prefix + m.key[:10])
		o.SetGenerateName("")
	}
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{"events.argoproj.io/sensor": s.Name, "events.argoproj.io/trigger": trigger})
	o.SetLabels(labels)
	annotations := m.cause.Annotate(o.GetAnnotations())
	annotations[lineage.KeyAnnotation] = m.key
	o.SetAnnotations(annotations)
}

func account(s *v1alpha1.Sensor) string {
	if s.Spec.Template != nil && s.Spec.Template.ServiceAccountName != "" {
		return s.Spec.Template.ServiceAccountName
	}
	return "default"
}

// as returns a client that acts for the Sensor's service account.
func (x *effects) as(s *v1alpha1.Sensor) (dynamic.Interface, error) {
	user := strings.Join([]string{"system:serviceaccount", s.Namespace, account(s)}, ":")
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
