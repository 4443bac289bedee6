package sensor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const submitting = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: build}
spec:
  dependencies: [{name: push, eventSourceName: hooks, eventName: push}]
  triggers:
  - template:
      name: run
      argoWorkflow:
        operation: submit
        source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: build-}, spec: {entrypoint: main}}}
`

const creating = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: make}
spec:
  template: {serviceAccountName: builder}
  dependencies: [{name: push, eventSourceName: hooks, eventName: push}]
  triggers:
  - template:
      name: note
      k8s:
        operation: create
        source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: note-}, data: {text: none}}}
        parameters: [{src: {dependencyName: push, dataKey: body}, dest: data.text}]
`

const both = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: both}
spec:
  dependencies:
  - {name: build, eventSourceName: hooks, eventName: build}
  - {name: scan, eventSourceName: hooks, eventName: scan}
  triggers:
  - template:
      name: run
      conditions: build && scan
      argoWorkflow:
        operation: submit
        source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: both-}, spec: {entrypoint: main}}}
`

// inbox plays the service that the commands are for.
type inbox struct {
	mu  sync.Mutex
	got map[string][]events.SubmitWorkflow // by namespace
}

func (f *field) inbox() *inbox {
	in := &inbox{got: map[string][]events.SubmitWorkflow{}}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		_ = f.bus.Consume(
			ctx,
			bus.Consumer{Stream: bus.Commands, Name: "test", Filters: []string{"commands.workflow-runner.>"}},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
				var c events.SubmitWorkflow
				if err := d.DataAs(&c); err != nil {
					return nil, err
				}
				in.mu.Lock()
				defer in.mu.Unlock()
				in.got[c.Namespace] = append(in.got[c.Namespace], c)
				return nil, nil
			},
		)
	})
	f.t.Cleanup(func() { cancel(); done.Wait() })
	return in
}

func (in *inbox) of(namespace string) []events.SubmitWorkflow {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.got[namespace]
}

func (in *inbox) has(namespace string, n int) func(context.Context) error {
	return func(context.Context) error {
		if got := in.of(namespace); len(got) != n {
			return fmt.Errorf("%d commands, want %d", len(got), n)
		}
		return nil
	}
}

// TestTheService runs replicas of the service against one cluster; what each part
// does happens in a namespace of its own.
func TestTheService(t *testing.T) {
	f := newField(t)
	in := f.inbox()
	stop := f.sensor("one")
	for _, part := range []struct {
		name string
		run  func(f *field, in *inbox)
	}{
		{"an event becomes one command, with its cause", (*field).command},
		{"an object is made once, by the Sensor's account", (*field).object},
		{"objects are updated, patched and deleted", (*field).changed},
		{"an account without rights makes nothing", (*field).refused},
		{"a malformed Sensor says so and harms no other", (*field).malformed},
		{"a deleted Sensor gives its place up", (*field).deleted},
		{"objects with names that are taken, long, or no labels", (*field).named},
		{"a Sensor that retries for hours holds nobody", (*field).busy},
	} {
		t.Run(part.name, func(t *testing.T) {
			g := *f
			g.t = t
			part.run(&g, in)
		})
	}
	f.namespace("restart")
	f.namespace("edit")
	waits := f.create("restart", both)
	edited := f.create("edit", submitting)
	f.await("restart", "both", "True", "Listening")
	f.await("edit", "build", "True", "Listening")
	f.publish("restart", "build", "b1", "x")
	f.eventually("the first half to be remembered", func(ctx context.Context) error {
		_, _, err := f.bus.KV(bus.WindowsBucket).Get(ctx, string(waits.GetUID())+"."+bus.Key("run"))
		return err
	})
	stop()
	f.publish("restart", "scan", "s1", "x")
	f.publish("edit", "push", "while-away", "x")
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"template":{"serviceAccountName":"other"}}}`))
	if err := f.client.Patch(t.Context(), edited, patch); err != nil {
		t.Fatal(err)
	}
	f.sensor("two")
	f.sensor("three")
	f.eventually("the second half to fire once, in another process", in.has("restart", 1))
	f.eventually("the backlog of an edited Sensor", in.has("edit", 1))
	if got := in.of("edit")[0].ServiceAccount; got != "other" {
		t.Errorf("the backlog ran as %s", got)
	}
}

func (f *field) command(in *inbox) {
	f.namespace("command")
	f.create("command", submitting)
	f.await("command", "build", "True", "Listening")
	f.publish("command", "push", "p1", "x")
	f.publish("command", "push", "p1", "x")
	f.publish("command", "other", "p2", "x")
	f.publish("command", "push", "p3", "x")
	f.eventually("two commands", in.has("command", 2))
	c := in.of("command")[0]
	if c.Sensor != "build" || c.Trigger != "run" || c.Key == "" || c.Key == in.of("command")[1].Key {
		f.t.Errorf("%+v", c)
	}
	f.eventually("the facts, each with where its chain began", func(ctx context.Context) error {
		var ids []string
		for _, d := range f.read(
			ctx, bus.Facts, events.FactSubject(events.ServiceSensor, events.FactTriggerFired, "command", "build"),
		) {
			ids = append(ids, bus.After(d.Event).Correlation)
		}
		slices.Sort(ids) // events of a Sensor without windows are handled side by side
		if diff := cmp.Diff([]string{"p1", "p3"}, ids); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

func (f *field) object(*inbox) {
	f.namespace("object")
	f.create("object", creating)
	f.await("object", "make", "True", "Listening")
	f.publish("object", "push", "p1", "hello")
	f.eventually("the object", func(ctx context.Context) error {
		var list corev1.ConfigMapList
		if err := f.client.List(
			ctx, &list, client.InNamespace("object"), client.HasLabels{"events.argoproj.io/sensor"},
		); err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("%d objects", len(list.Items))
		}
		o := list.Items[0]
		if o.Data["text"] != "hello" || !strings.HasSuffix(o.Name, o.Annotations["argosy.dev/key"][:10]) ||
			o.Annotations["argosy.dev/correlationid"] != "p1" {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
}

const changing = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: change}
spec:
  template: {serviceAccountName: builder}
  dependencies:
  - {name: create, eventSourceName: hooks, eventName: create}
  - {name: update, eventSourceName: hooks, eventName: update}
  - {name: patch, eventSourceName: hooks, eventName: patch}
  - {name: live, eventSourceName: hooks, eventName: live}
  - {name: delete, eventSourceName: hooks, eventName: delete}
  triggers:
  - template: {name: t1, conditions: create, k8s: {source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: it, labels: {state: done}}, data: {a: one}}}}}
    policy: {k8s: {labels: {state: done}, backoff: {steps: 2, duration: 10ms}, errorOnBackoffTimeout: true}}
  - template: {name: t2, conditions: update, k8s: {operation: update, source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: it}, data: {b: two}}}}}
  - template: {name: t3, conditions: patch, k8s: {operation: patch, source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: it}, data: {c: three}}}}}
  - template: {name: t4, conditions: live, k8s: {operation: update, liveObject: true, source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: it}}},
      parameters: [{src: {dependencyName: live, dataKey: body}, dest: data.a, operation: append}]}}
  - template: {name: t5, conditions: delete, k8s: {operation: delete, source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: it}}}}}
`

func (f *field) changed(*inbox) {
	f.namespace("changed")
	f.create("changed", changing)
	f.await("changed", "change", "True", "Listening")
	for i, step := range []struct{ event, want string }{
		{"create", "map[a:one]"}, {"update", "map[a:one b:two]"}, {"patch", "map[a:one b:two c:three]"},
		{"live", "map[a:one! b:two c:three]"}, {"delete", "gone"},
	} {
		f.publish("changed", step.event, fmt.Sprint(i), "!")
		f.eventually(step.event, func(ctx context.Context) error {
			var o corev1.ConfigMap
			err := f.client.Get(ctx, client.ObjectKey{Namespace: "changed", Name: "it"}, &o)
			got := fmt.Sprint(o.Data)
			if apierrors.IsNotFound(err) {
				got, err = "gone", nil
			}
			if err == nil && got != step.want {
				err = fmt.Errorf("it is %s", got)
			}
			return err
		})
	}
}

func (f *field) refused(*inbox) {
	f.namespace("refused")
	f.create("refused", strings.Replace(creating, "builder", "nobody", 1))
	f.await("refused", "make", "True", "Listening")
	f.publish("refused", "push", "p1", "hello")
	// The second event shows that the first one was tried: both are, side by side.
	f.grant("refused")
	f.eventually("the object, once the account may", func(ctx context.Context) error {
		var list corev1.ConfigMapList
		if err := f.client.List(
			ctx, &list, client.InNamespace("refused"), client.HasLabels{"events.argoproj.io/sensor"},
		); err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("%d objects", len(list.Items))
		}
		return nil
	})
}

// grant lets "nobody" do what "builder" may, once its try was refused.
func (f *field) grant(namespace string) {
	f.t.Helper()
	var log corev1.ConfigMapList
	if err := f.client.List(
		f.t.Context(), &log, client.InNamespace(namespace), client.HasLabels{"events.argoproj.io/sensor"},
	); err != nil ||
		len(log.Items) > 0 {
		f.t.Fatalf("%d objects were made without a right to: %v", len(log.Items), err)
	}
	patch := client.RawPatch(
		types.JSONPatchType, []byte(`[{"op":"replace","path":"/subjects/0/name","value":"nobody"}]`),
	)
	binding := f.create(
		namespace,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: late}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: builder}, subjects: [{kind: ServiceAccount, name: x, namespace: `+namespace+`}]}`,
	)
	if err := f.client.Patch(f.t.Context(), binding, patch); err != nil {
		f.t.Fatal(err)
	}
}

func (f *field) malformed(in *inbox) {
	f.namespace("malformed")
	f.create("malformed", strings.Replace(submitting, "name: run", "conditions: nothing\n      name: run", 1))
	f.create(
		"malformed",
		strings.NewReplacer(
			"name: build", "name: empty", "[{name: push, eventSourceName: hooks, eventName: push}]", "[]",
		).Replace(submitting),
	)
	f.create("malformed", strings.Replace(submitting, "name: build", "name: good", 1))
	if c := f.awaitCondition("malformed", "build", "TriggersProvided", "False", "InvalidTriggers"); !strings.Contains(
		c.Message, "spec.triggers[0].template.conditions",
	) {
		f.t.Errorf("the field is not named: %s", c.Message)
	}
	if c := f.await("malformed", "empty", "False", "Malformed"); !strings.Contains(c.Message, "spec.dependencies") {
		f.t.Errorf("the field is not named: %s", c.Message)
	}
	f.await("malformed", "good", "True", "Listening")
	f.publish("malformed", "push", "p1", "x")
	f.eventually("the good one to fire", in.has("malformed", 1))
}

func (f *field) deleted(in *inbox) {
	f.namespace("deleted")
	s := f.create("deleted", submitting)
	f.await("deleted", "build", "True", "Listening")
	f.publish("deleted", "push", "p1", "x")
	f.eventually("it to fire", in.has("deleted", 1))
	if err := f.client.Delete(f.t.Context(), s); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the object to go", func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(s), s); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %w", err)
		}
		return nil
	})
	// Only if the place is free can another take it from the start of the stream.
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	seen := make(chan string, 10)
	go func() {
		_ = f.bus.Consume(
			ctx,
			bus.Consumer{
				Stream: bus.Events, Name: consumerName(string(s.GetUID())), Filters: []string{"events.deleted.>"},
			},
			func(_ context.Context, d bus.Delivery) ([]bus.Outgoing, error) { seen <- d.ID(); return nil, nil },
		)
	}()
	f.eventually("the place to be free", func(ctx context.Context) error {
		select {
		case <-seen:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

const naming = `
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: objects}
spec:
  template: {serviceAccountName: builder}
  dependencies: [{name: d, eventSourceName: hooks, eventName: push}]
  triggers:
    - template:
        name: fixed
        k8s:
          operation: create
          source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: latest}, data: {text: ""}}}
          parameters: [{src: {dependencyName: d, dataKey: body}, dest: data.text}]
    - template:
        name: long
        k8s:
          operation: create
          source: {resource: {apiVersion: v1, kind: Service, metadata: {generateName: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff}, spec: {ports: [{port: 80}]}}}
    - template:
        name: notify the team
        k8s:
          operation: create
          source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}}
`

// named: an object that another firing made is not done, and what Kubernetes would refuse is made to fit.
func (f *field) named(*inbox) {
	f.namespace("named")
	made := f.create("named", naming)
	f.await("named", "objects", "True", "Listening")
	count := func(list client.ObjectList, n int) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := f.client.List(
				ctx, list, client.InNamespace("named"), client.HasLabels{"events.argoproj.io/sensor"},
			); err != nil {
				return err
			}
			if got := meta.LenList(list); got != n {
				return fmt.Errorf("%d, want %d", got, n)
			}
			return nil
		}
	}
	var services corev1.ServiceList
	var maps corev1.ConfigMapList
	f.publish("named", "push", "n1", "first")
	f.eventually("the first objects", count(&maps, 2))
	f.publish("named", "push", "n2", "second")
	f.eventually("the services", count(&services, 2))
	f.eventually("the notes of both", count(&maps, 3))
	for _, s := range services.Items {
		if len(s.Name) > 63 || !strings.HasPrefix(s.Name, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee") {
			f.t.Errorf("service %s", s.Name)
		}
	}
	for _, c := range maps.Items {
		switch {
		case c.Name == "latest" && c.Data["text"] != "first":
			f.t.Errorf("latest holds %s", c.Data["text"])
		case c.Name != "latest" &&
			(c.Labels["events.argoproj.io/trigger"] != "notify-the-team" ||
				c.Annotations["events.argoproj.io/trigger"] != "notify the team"):
			f.t.Errorf("%s has %v, %v", c.Name, c.Labels, c.Annotations)
		}
	}
	f.eventually("the second of one name not to count as done", func(ctx context.Context) error {
		for _, d := range f.read(ctx, bus.Commands, events.FireSubject("named", string(made.GetUID()))) {
			if bus.After(d.Event).Correlation == "n2" {
				return nil
			}
		}
		return errors.New("no firing waits")
	})
	for _, d := range f.read(
		f.t.Context(), bus.Facts, events.FactSubject(events.ServiceSensor, events.FactTriggerFired, "named", "objects"),
	) {
		var fact events.Fact
		if err := d.DataAs(&fact); err != nil {
			f.t.Fatal(err)
		}
		if fact.Attributes["trigger"] == "fixed" && bus.After(d.Event).Correlation == "n2" {
			f.t.Error("the second is told to have fired")
		}
	}
}

// busy: a Sensor whose trigger fails and retries for hours, edited and deleted.
func (f *field) busy(in *inbox) {
	f.namespace("busy")
	slow := strings.Replace(
		strings.Replace(creating, "builder", "nobody", 1), "  - template:",
		"  - retryStrategy: {duration: 1h, steps: 100}\n    template:", 1,
	)
	s := f.create("busy", slow)
	f.await("busy", "make", "True", "Listening")
	f.publish("busy", "push", "p1", "x")
	f.eventually("the firing to be on the queue", func(ctx context.Context) error {
		if len(f.read(ctx, bus.Commands, events.FireSubject("busy", string(s.GetUID())))) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"loggingFields":{"edited":"yes"}}}`))
	if err := f.client.Patch(f.t.Context(), s, patch); err != nil {
		f.t.Fatal(err)
	}
	f.create("busy", submitting)
	f.await("busy", "build", "True", "Listening")
	f.publish("busy", "push", "p2", "x")
	f.eventually("another Sensor to fire", in.has("busy", 1))
	if err := f.client.Delete(f.t.Context(), s); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the busy one to go", func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(s), s); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %w", err)
		}
		return nil
	})
}

func TestFiltersDoNotOverlap(t *testing.T) {
	cases := []struct{ in, want []string }{
		{[]string{"e.a.b", "e.a.c"}, []string{"e.a.b", "e.a.c"}},
		{[]string{"e.a.*", "e.a.c"}, []string{"e.a.*"}},
		{[]string{"e.a.b", "e.*.*", "e.a.*"}, []string{"e.*.*"}},
		{[]string{"e.*.b", "e.a.*"}, []string{"e.*.b", "e.a.*"}},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, withoutOverlap(c.in)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestARetryIsVisibleBesideAPoison(t *testing.T) {
	poison := fault.Poisonf("useless")
	err := worst([]error{nil, poison, errors.New("try again")})
	if !strings.Contains(err.Error(), "try again") || errors.Is(err, poison) {
		t.Errorf("%v", err)
	}
	if !errors.Is(worst([]error{poison}), poison) {
		t.Error("a poison alone is one")
	}
}
