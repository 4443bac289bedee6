package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/nats-io/nats.go"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	manySensors   = 10_000
	readyPatience = 5 * time.Minute // the aim is two
	makers        = 16              // requests at once that make the objects
)

// sensors measures one replica of each service with 10,000 EventSources and as many Sensors: until all are ready, until
// all have fired, what hooks that none of them wants lose, and what the services hold. Its floor is one Sensor.
func (b *bench) sensors(ctx context.Context) (figures []Figure, err error) {
	floor, err := b.newBusFloor(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, floor.purge(ctx))
		floor.close()
	}()
	s := &sink{seen: map[string]int{}, news: make(chan struct{}, 1)}
	url, stop, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer stop()
	hooks, err := b.newSender(ctx)
	if err != nil {
		return nil, err
	}
	var rates []float64
	for _, upTo := range []int{1, manySensors} {
		began := time.Now()
		if err := b.makeSensors(ctx, len(rates), upTo, url); err != nil {
			return nil, err
		}
		if err := b.sensorsReady(ctx, upTo); err != nil {
			return nil, err
		}
		ready := time.Since(began).Seconds()
		rate, err := b.unwantedHooks(ctx, hooks, floor)
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
		if upTo == manySensors {
			figures = append(
				figures,
				Figure{
					Job:   fmt.Sprintf("%d Sensors and EventSources made and ready", upTo),
					Unit:  "s",
					Value: Once(ready),
					Aim:   Under(120, "s"),
				},
			)
		}
	}
	figures = append(
		figures,
		Figure{
			Job:   fmt.Sprintf("signed hooks beside %d Sensors", manySensors),
			Unit:  "/s",
			Value: Once(rates[1]),
			Floor: Once(rates[0]),
			Aim:   AtLeast(0.9*rates[0], "/s"),
			Note:  "floor: beside one Sensor; aim: 0.9x",
		},
	)
	began := time.Now()
	s.take()
	if err := floor.oneEach(ctx, manySensors); err != nil {
		return figures, err
	}
	if err := s.await(ctx, manySensors); err != nil {
		return figures, err
	}
	took := time.Since(began).Seconds()
	_, twice, _, last := s.take()
	figures = append(
		figures,
		Figure{
			Job:   fmt.Sprintf("%d Sensors fired once each", manySensors),
			Unit:  "s",
			Value: Once(took),
			Note:  fmt.Sprintf("%d fired twice; the last at %s", twice, last.Format(time.TimeOnly)),
		},
	)
	held, err := b.memory(ctx)
	if err != nil {
		return figures, err
	}
	var total float64
	for _, f := range held {
		total += f.Value.Median
	}
	return append(
		figures,
		Figure{
			Job:   fmt.Sprintf("memory of all services with %d Sensors", manySensors),
			Unit:  "MiB",
			Value: Once(total),
			Aim:   Under(2048, "MiB"),
			Note:  "the bus not among them",
		},
	), nil
}

// unwantedHooks is the rate of hooks that no Sensor wants.
func (b *bench) unwantedHooks(ctx context.Context, s *sender, floor *busFloor) (float64, error) {
	post, done := s.poster(pushBody(smallBody), judgedAt)
	defer done()
	o, err := drive(ctx, load{judgedAt, hookTime, smallLimit}, post)
	if err != nil {
		return 0, err
	}
	return o.rate(), floor.purge(ctx)
}

// makeSensors makes EventSources and Sensors with numbers from a first up to a last.
func (b *bench) makeSensors(ctx context.Context, from, upTo int, url string) error {
	errs := make([]error, makers)
	var all sync.WaitGroup
	for maker := range makers {
		all.Go(func() {
			for i := from + maker; i < upTo && errs[maker] == nil; i += makers {
				errs[maker] = errors.Join(
					b.client.Create(ctx, numberedSource(i)), b.client.Create(ctx, numberedSensor(i, url)),
				)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func numbered(i int) string { return fmt.Sprintf("many-%d", i) }

func numberedSource(i int) *unstructured.Unstructured {
	o := &unstructured.Unstructured{
		Object: map[string]any{"spec": map[string]any{"webhook": map[string]any{"x": map[string]any{
			"endpoint": "/" + numbered(i), "port": "12000", "method": "POST"}}}},
	}
	o.SetGroupVersionKind(v1alpha1.Kind("EventSource"))
	o.SetNamespace(namespace)
	o.SetName(numbered(i))
	return o
}

func numberedSensor(i int, url string) *unstructured.Unstructured {
	o := sinkSensor(url)
	o.SetName(numbered(i))
	_ = unstructured.SetNestedSlice(
		o.Object, []any{map[string]any{"name": "e", "eventSourceName": numbered(i), "eventName": "x"}}, "spec",
		"dependencies",
	)
	return o
}

// sensorsReady waits until so many Sensors say that they are.
func (b *bench) sensorsReady(ctx context.Context, n int) error {
	return b.await(ctx, readyPatience, fmt.Sprintf("%d ready sensors", n), func() (bool, error) {
		list := object.NewList("Sensor")
		if err := b.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		ready := 0
		for i := range list.Items {
			conditions, _, _ := unstructured.NestedSlice(list.Items[i].Object, "status", "conditions")
			if slices.ContainsFunc(conditions, func(c any) bool {
				m, _ := c.(map[string]any)
				return m["type"] == "Ready" && m["status"] == "True"
			}) {
				ready++
			}
		}
		return ready >= n, nil
	})
}

// oneEach publishes one event for each of n Sensors.
func (f *busFloor) oneEach(ctx context.Context, n int) error {
	for i := range n {
		m := &nats.Msg{
			Subject: fmt.Sprintf("events.%s.%s.x", namespace, numbered(i)),
			Data:    fmt.Appendf(nil, `{"sent":"%d"}`, time.Now().UnixNano()),
			Header: nats.Header{
				"ce-specversion": {
					"1.0",
				},
				"ce-id":              {numbered(i)},
				"ce-type":            {"webhook"},
				"ce-source":          {"bench"},
				"ce-datacontenttype": {"application/json"},
			},
		}
		if _, err := f.js.PublishMsg(ctx, m); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}
