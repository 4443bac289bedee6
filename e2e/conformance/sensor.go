package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// prepare makes what manifests refer to: their namespace, accounts that may do anything in it, and a Secret and a
// ConfigMap of every name, with every key.
func (s *eventSuite) prepare(ctx context.Context, all []manifest) error {
	objects := []*unstructured.Unstructured{
		object("v1", "Namespace", namespace, nil),
		object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "conformance", map[string]any{
			"roleRef": map[string]any{
				"apiGroup": "rbac.authorization.k8s.io",
				"kind":     "ClusterRole",
				"name":     "cluster-admin",
			},
			"subjects": []any{
				map[string]any{
					"kind":     "Group",
					"apiGroup": "rbac.authorization.k8s.io",
					"name":     "system:serviceaccounts:" + namespace,
				},
			},
		}),
	}
	for _, name := range namespaces(all) {
		objects = append(objects, object("v1", "Namespace", name, nil))
	}
	secrets, configs := map[string]map[string]any{}, map[string]map[string]any{}
	for _, m := range all {
		for _, r := range references(m.object.Object) {
			if !objectName.MatchString(r.name) {
				continue // a parameter takes its place later
			}
			if secrets[r.name] == nil {
				secrets[r.name], configs[r.name] = map[string]any{}, map[string]any{}
			}
			secrets[r.name][r.key], configs[r.name][r.key] = secretValue(r), helloWorkflow
		}
		if kind := m.object.GetKind(); kind != "Sensor" && kind != "EventSource" {
			o := m.object.DeepCopy()
			o.SetNamespace(namespace)
			objects = append(objects, o)
		}
	}
	// What a trigger that submits from a CronWorkflow names.
	objects = append(
		objects,
		object("argoproj.io/v1alpha1", "CronWorkflow", "special-trigger", map[string]any{"spec": map[string]any{
			"schedules": []any{
				"0 0 1 1 *",
			},
			"workflowSpec": map[string]any{
				"entrypoint": "a",
				"templates":  []any{map[string]any{"name": "a", "suspend": map[string]any{}}},
			},
		}}),
	)
	for name := range secrets {
		objects = append(
			objects, object("v1", "Secret", name, map[string]any{"stringData": secrets[name]}),
			object("v1", "ConfigMap", name, map[string]any{"data": configs[name]}),
		)
	}
	for _, o := range objects {
		if kind := o.GetKind(); kind == "Secret" || kind == "ConfigMap" || kind == "CronWorkflow" {
			o.SetNamespace(namespace)
		}
		if err := s.apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// namespaces are those that manifests of objects within manifests name.
func namespaces(all []manifest) []string {
	var out []string
	for _, m := range all {
		walkJSON(m.object.Object["spec"], func(at map[string]any) {
			meta, _ := at["metadata"].(map[string]any)
			if name, _ := meta["namespace"].(string); objectName.MatchString(name) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		})
	}
	return out
}

// objectName is what the API takes for a name.
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

func secretValue(r reference) string { return "value-of-" + r.key }

// sensor judges one Sensor: that it is accepted, and what its triggers do.
func (s *eventSuite) sensor(ctx context.Context, m manifest) {
	progressf(s.config.Progress, "sensors/%s", m.file)
	nextSecond(ctx)
	err := s.accepted(ctx, m.object)
	s.report.Judge("sensors/"+m.file+": accepted", err)
	if err != nil {
		return
	}
	if far := outOfReach(m.object, time.Now()); far != "" {
		progressf(s.config.Progress, "sensors/%s: its effect is not judged: %s cannot be had here and now", m.file, far)
		s.remove(ctx, m)
		return
	}
	// A workflow of the same name that another case left would keep this one from being made.
	workflows := object("argoproj.io/v1alpha1", "Workflow", "", nil)
	if err := s.kube.DeleteAllOf(ctx, workflows, client.InNamespace(namespace)); err != nil {
		s.report.Failf("sensors/"+m.file+": cleared", "%v", err)
	}
	way, err := s.fire(ctx, m.object)
	if err == nil {
		err = s.await(ctx, patience, func() error { return s.effects(ctx, m.object) })
	}
	s.report.Judge("sensors/"+m.file+": effect of an event "+way, err)
	s.remove(ctx, m)
}

// nextSecond waits for a second to begin. A Sensor acts on what happens from its creation on, which Kubernetes tells in
// whole seconds: what was sent for the Sensor before must not be in the same one.
func nextSecond(ctx context.Context) {
	now := time.Now()
	select {
	case <-time.After(now.Truncate(time.Second).Add(time.Second).Sub(now)):
	case <-ctx.Done():
	}
}

func (s *eventSuite) remove(ctx context.Context, m manifest) {
	o := m.object.DeepCopy()
	o.SetNamespace(namespace)
	if err := s.kube.Delete(ctx, o); err != nil {
		s.report.Failf("sensors/"+m.file+": removed", "%v", err)
	}
}

// outOfReach names what a Sensor's triggers need that no one machine has: clouds, and servers that manifests name
// without one of ours in their place.
func outOfReach(sensor *unstructured.Unstructured, now time.Time) string {
	far := ""
	walkJSON(sensor.Object["spec"], func(m map[string]any) {
		for _, key := range []string{
			"awsLambda", "azureEventHubs", "azureServiceBus", "slack", "email", "openWhisk", "openwhisk", "pulsar",
			"custom", "kafka", "s3", "sshKeySecret", "githubApp",
		} {
			if _, ok := m[key]; ok && far == "" {
				far = key
			}
		}
		if hours, ok := m["time"].(map[string]any); ok && far == "" && !within(hours, now) {
			far = "an hour that its time filter lets pass"
		}
		if _, ok := m["nats"].(map[string]any); ok && far == "" {
			far = "nats"
		}
	})
	return far
}

// fire makes an event of each dependency happen and says how.
func (s *eventSuite) fire(ctx context.Context, sensor *unstructured.Unstructured) (string, error) {
	typed, _, err := v1alpha1.DecodeTolerant[v1alpha1.Sensor](sensor.Object)
	if err != nil {
		return "", err
	}
	var ways []string
	for i := range typed.Spec.Dependencies {
		d := &typed.Spec.Dependencies[i]
		kind, settings, found := sourceOf(s.sources[d.EventSourceName], d.EventName)
		if !found {
			return "", fmt.Errorf("no event %s/%s", d.EventSourceName, d.EventName)
		}
		way, err := s.send(
			ctx,
			occasion{source: d.EventSourceName, event: d.EventName, kind: kind, settings: settings, filters: d.Filters,
				keys: dataKeys(sensor, d.Name)},
		)
		if err != nil {
			return way, fmt.Errorf("send %s: %w", kind, err)
		}
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return strings.Join(ways, " and "), nil
}

// inputs are the paths that a template reads.
var inputs = regexp.MustCompile(`\.Input\.([A-Za-z_][\w.]*)`)

// within reports whether a time filter lets now pass.
func within(filter map[string]any, now time.Time) bool {
	start, _ := filter["start"].(string)
	stop, _ := filter["stop"].(string)
	name, _ := filter["timezone"].(string)
	zone, err := time.LoadLocation(name)
	if err != nil {
		return false
	}
	at := now.In(zone).Format(time.TimeOnly)
	if stop < start {
		return at >= start || at < stop
	}
	return at >= start && at < stop
}

// dataKeys are the paths that parameters read from the events of a dependency.
func dataKeys(sensor *unstructured.Unstructured, dependency string) []string {
	var keys []string
	walkJSON(sensor.Object["spec"], func(m map[string]any) {
		key, _ := m["dataKey"].(string)
		if m["dependencyName"] != dependency {
			return
		}
		if key != "" && m["value"] == nil {
			keys = append(keys, key)
		}
		template, _ := m["dataTemplate"].(string)
		for _, found := range inputs.FindAllStringSubmatch(template, -1) {
			keys = append(keys, found[1])
		}
	})
	return keys
}

// effects looks for what each trigger should have done.
func (s *eventSuite) effects(ctx context.Context, sensor *unstructured.Unstructured) error {
	facts, err := s.bus.Read(
		ctx, bus.Facts, events.FactSubject(events.ServiceSensor, events.FactTriggerFired, namespace, sensor.GetName()),
	)
	if err != nil {
		return err
	}
	fired := map[string]string{} // trigger -> key
	for _, d := range facts {
		var f events.Fact
		if err := d.DataAs(&f); err != nil {
			return err
		}
		fired[f.Attributes["trigger"]] = f.Attributes["key"]
	}
	triggers, _, _ := unstructured.NestedSlice(sensor.Object, "spec", "triggers")
	var errs []error
	for _, x := range triggers {
		t, _ := x.(map[string]any)
		template, _ := t["template"].(map[string]any)
		name, _ := template["name"].(string)
		key, ok := fired[name]
		if !ok {
			errs = append(errs, fmt.Errorf("trigger %s has not fired", name))
			continue
		}
		errs = append(errs, s.effect(ctx, template, key))
	}
	return errors.Join(errs...)
}

// effect looks for the effect of one firing.
func (s *eventSuite) effect(ctx context.Context, template map[string]any, key string) error {
	switch {
	case template["k8s"] != nil:
		return s.created(ctx, template["k8s"], key)
	case template["argoWorkflow"] != nil:
		return s.created(ctx, nil, key)
	case template["http"] != nil:
		settings, _ := template["http"].(map[string]any)
		url, _ := settings["url"].(string)
		_, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		if s.world.taken("/"+path) == 0 {
			return fmt.Errorf("nothing called %s", url)
		}
	}
	// Of the others the firing is the whole record: it is told after the effect.
	return nil
}

// created looks for an object with the key of the firing. Its kind is that of an inline resource, else Workflow.
func (s *eventSuite) created(ctx context.Context, trigger any, key string) error {
	version, kind := "argoproj.io/v1alpha1", "Workflow"
	settings, _ := trigger.(map[string]any)
	if inline, ok, _ := unstructured.NestedMap(settings, "source", "resource"); ok {
		version, _ = inline["apiVersion"].(string)
		kind, _ = inline["kind"].(string)
	}
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(version)
	list.SetKind(kind + "List")
	if err := s.kube.List(ctx, list, client.InNamespace("")); err != nil {
		return err
	}
	for i := range list.Items {
		if list.Items[i].GetAnnotations()[events.AnnotationKey] == key {
			return nil
		}
	}
	return fmt.Errorf("no %s carries the key %s", kind, key)
}
