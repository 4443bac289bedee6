package sensor

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// groupName is what the replicas are called that share Sensors. Those of older versions are members of the service
// only.
const groupName = "sensor-readers"

// group is the replicas that share the Sensors.
type group struct {
	bus     *bus.Bus
	all     *bus.Members // of the service, whatever their version
	members *bus.Members // that share
	reader  client.Reader
	log     *slog.Logger
	gained  chan struct{} // has something after Sensors became ours
}

func (g *group) share(self string) *bus.Shared {
	return g.bus.Share(bus.SharedConfig{
		Stream:  bus.Events,
		Name:    groupName,
		Subject: "events.>",
		Self:    self,
		Live:    g.members.Live,
		Alone:   g.alone,
		Exists:  g.exists,
		Gained: func() {
			select {
			case g.gained <- struct{}{}:
			default:
			}
		},
	})
}

// alone says that no replica of an older version is there. That would make the consumer of each Sensor again, from the
// Sensor's creation on, once it is gone.
func (g *group) alone() bool {
	ours := g.members.Live()
	return !slices.ContainsFunc(g.all.Live(), func(name string) bool { return !slices.Contains(ours, name) })
}

// firing is how many replicas fire the triggers of one Sensor.
func (g *group) firing() int {
	if g.alone() {
		return 1
	}
	return len(g.all.Live())
}

// exists says whether there is a Sensor of that name and uid.
func (g *group) exists(ctx context.Context, key, id string) (bool, error) {
	namespace, name, _ := strings.Cut(key, "/")
	s := object.New("Sensor")
	err := g.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read sensor %s: %w", key, err)
	}
	return string(s.GetUID()) == id, nil
}

// firingsEvery is how often the queue is looked at for firings that nobody here put on it: those that are driven again,
// and those of a replica that is gone.
const firingsEvery = 3 * time.Second

// leftoversEvery is how often, in looks, consumers of the queue are looked for that nobody uses: older versions have
// one for each Sensor, with or without firings.
const leftoversEvery = 10

// firings has the firings of the Sensors that are ours looked after, whoever put them on the queue, until ctx ends.
func (g *group) firings(ctx context.Context, ls *listeners, holds func(key string) bool) error {
	tick := time.NewTicker(firingsEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		uids := map[string]bool{}
		waiting, err := g.bus.Subjects(ctx, bus.Commands, firingsOfAll)
		for subject := range waiting {
			uids[subject[strings.LastIndexByte(subject, '.')+1:]] = true
		}
		if err == nil && n%leftoversEvery == 0 {
			var names []string
			names, err = g.bus.Consumers(ctx, bus.Commands, queueName(""))
			for _, name := range names {
				uids[strings.TrimPrefix(name, queueName(""))] = true
			}
		}
		if err != nil {
			g.log.DebugContext(ctx, "the queue of firings cannot be seen", "error", err)
			continue
		}
		ls.kick(uids, holds)
	}
}

// firingsOfAll are the firings on the queue, of all Sensors.
const firingsOfAll = "commands.sensor.fire.>"

// apart is how many Sensors read on their own.
func apart(readers *bus.Shared) prometheus.Collector {
	return prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{
			Name: "argosy_sensors_apart",
			Help: "Sensors of this replica that read on their own: new, behind, or failing.",
		},
		func() float64 { return float64(readers.Apart()) },
	)
}

// listenToAll has a listener for each Sensor that is there, before anything is read.
func (r *reconciler) listenToAll(ctx context.Context) error {
	list := object.NewList("Sensor")
	if err := r.client.List(ctx, list); err != nil {
		return fmt.Errorf("list sensors: %w", err)
	}
	for i := range list.Items {
		raw := &list.Items[i]
		if raw.GetDeletionTimestamp() != nil {
			continue
		}
		if s, _, err := v1alpha1.DecodeTolerant[v1alpha1.Sensor](raw.Object); err == nil &&
			len(s.Spec.Dependencies) > 0 {
			r.listen( //nolint:contextcheck // a listener outlives the call that starts it
				raw.GetNamespace()+"/"+raw.GetName(), s,
			)
		}
	}
	return nil
}
