package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is how long a case may take before it has failed.
const patience = 20 * time.Second

// eventSuite judges EventSources and Sensors: each is accepted, and the effects of a Sensor's triggers are seen after
// an event of each of its dependencies.
type eventSuite struct {
	*stage

	config  Config
	report  *Report
	world   *outside
	sources map[string]*unstructured.Unstructured // by name
}

// Events judges a folder that holds event-sources and sensors.
func Events(ctx context.Context, c Config) (*Report, error) {
	log, err := os.CreateTemp("", "argosy-conformance-events-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s := &eventSuite{
		stage: &stage{bin: c.Bin, logs: log}, config: c, report: &Report{},
		sources: map[string]*unstructured.Unstructured{},
	}
	defer s.strike()
	fmt.Fprintln(c.Progress, "starting a control plane, the bus and the services; their log is", log.Name())
	if err := s.raise(ctx); err != nil {
		return nil, err
	}
	if s.world, err = newOutside(ctx, s.stage); err != nil {
		return nil, err
	}
	return s.report, s.judge(ctx)
}

func (s *eventSuite) judge(ctx context.Context) error {
	edit := replaced(s.world.addresses)
	sources, err := manifests(filepath.Join(s.config.Dir, "event-sources"), edit)
	if err != nil {
		return err
	}
	sensors, err := manifests(filepath.Join(s.config.Dir, "sensors"), edit)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, append(sources, sensors...)); err != nil {
		return err
	}
	for _, m := range sources {
		s.sources[m.object.GetName()] = m.object
		if chosen(m.file, s.config.Only) {
			s.report.Judge("event-sources/"+m.file+": accepted", s.accepted(ctx, m.object))
		}
	}
	if err := s.missing(ctx, sensors); err != nil {
		return err
	}
	if err := s.disturb(ctx); err != nil {
		return err
	}
	for _, m := range sensors {
		if m.object.GetKind() == "Sensor" && chosen(m.file, s.config.Only) {
			// What the busy Sensor has in hand when it is edited must not keep the next one waiting.
			if err := s.edit(ctx, m.file); err != nil {
				return err
			}
			s.sensor(ctx, m)
		}
	}
	s.report.Judge("a busy Sensor: deleted", s.undisturb(ctx))
	return nil
}

// busyName is of a Sensor of our own, whose trigger fails and retries for hours beside all others.
const busyName = "conformance-busy"

func busy() *unstructured.Unstructured {
	o := object("argoproj.io/v1alpha1", "Sensor", busyName, map[string]any{"spec": map[string]any{
		"dependencies": []any{map[string]any{"name": "any", "eventSourceName": busyName, "eventName": "hook"}},
		"triggers": []any{
			map[string]any{
				"retryStrategy": map[string]any{"duration": "1h", "steps": int64(100)},
				"template": map[string]any{
					"name": "fails",
					"http": map[string]any{"url": "http://127.0.0.1:1", "method": "POST"},
				},
			},
		},
	}})
	o.SetNamespace(namespace)
	return o
}

// disturb makes that Sensor, and gives it more to do than it has hands.
func (s *eventSuite) disturb(ctx context.Context) error {
	o := busy()
	s.report.Judge("a busy Sensor: accepted", s.accepted(ctx, o))
	// Refused or not, the other cases are judged.
	for i := range 100 {
		e, err := bus.NewEvent(fmt.Sprint("busy-", i), busyName, "webhook", map[string]any{"body": i})
		if err != nil {
			return err
		}
		if err := s.bus.Publish(ctx, bus.Subject("events", namespace, busyName, "hook"), e); err != nil {
			return err
		}
	}
	return nil
}

// edit makes the Sensor another one, so that all it has in hand must be put down.
func (s *eventSuite) edit(ctx context.Context, why string) error {
	o := busy()
	o.Object["spec"].(map[string]any)["loggingFields"] = map[string]any{"before": why}
	return s.apply(ctx, o)
}

// undisturb deletes it, and waits until it is gone.
func (s *eventSuite) undisturb(ctx context.Context) error {
	o := busy()
	if err := s.kube.Delete(ctx, o); err != nil {
		return err
	}
	return s.await(ctx, patience, func() error {
		if err := s.kube.Get(ctx, client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is still there: %w", err)
		}
		return nil
	})
}

// accepted applies an object and waits for a verdict of its service.
func (s *eventSuite) accepted(ctx context.Context, o *unstructured.Unstructured) error {
	o = o.DeepCopy()
	o.SetNamespace(namespace)
	if err := s.apply(ctx, o); err != nil {
		return err
	}
	var refused error
	err := s.await(ctx, patience, func() error {
		if err := s.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		var found bool
		found, refused = ready(o)
		if !found {
			return errors.New("its status says nothing")
		}
		return nil
	})
	return errors.Join(err, refused)
}

// refusals are reasons of a Ready condition that mean that the manifest itself was not taken.
var refusals = []string{"Malformed", "NothingSupported", "Unsupported", "Invalid"}

func ready(o *unstructured.Unstructured) (found bool, refused error) {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] != "Ready" {
			continue
		}
		for _, r := range refusals {
			if condition["reason"] == r {
				return true, fmt.Errorf("%v: %v", r, condition["message"])
			}
		}
		return true, nil
	}
	return false, nil
}

// missing makes up events that Sensors wait for and no EventSource of the folder has: its comments ask people to add
// them. They become webhooks of the EventSource that has the name.
func (s *eventSuite) missing(ctx context.Context, sensors []manifest) error {
	for _, m := range sensors {
		for _, d := range dependencies(m.object) {
			es, ok := s.sources[d.source]
			if !ok {
				es = object("argoproj.io/v1alpha1", "EventSource", d.source, map[string]any{"spec": map[string]any{}})
				s.sources[d.source] = es
			}
			if _, _, found := sourceOf(es, d.event); found {
				continue
			}
			hook := map[string]any{
				"endpoint": "/made-up/" + d.source + "/" + d.event,
				"method":   "POST",
				"port":     "12000",
				"url":      "",
			}
			if err := unstructured.SetNestedMap(es.Object, hook, "spec", "webhook", d.event); err != nil {
				return err
			}
			if err := s.accepted(ctx, es); err != nil {
				return err
			}
		}
	}
	return nil
}

type dependency struct{ name, source, event string }

func dependencies(sensor *unstructured.Unstructured) []dependency {
	list, _, _ := unstructured.NestedSlice(sensor.Object, "spec", "dependencies")
	var out []dependency
	for _, x := range list {
		d, _ := x.(map[string]any)
		name, _ := d["name"].(string)
		source, _ := d["eventSourceName"].(string)
		event, _ := d["eventName"].(string)
		out = append(out, dependency{name, source, event})
	}
	return out
}

// progressf says what is being done.
func progressf(out io.Writer, format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
