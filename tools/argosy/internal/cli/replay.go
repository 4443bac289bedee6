package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/spf13/cobra"
)

// replayed is what a replay asked for.
type replayed struct {
	Sensor  string         `json:"sensor"`
	ID      string         `json:"id"`
	Firings []replayFiring `json:"firings"`
	Asked   bool           `json:"asked"` // false for a dry run
}

type replayFiring struct {
	Trigger string   `json:"trigger"`
	Key     string   `json:"key"`
	Events  []string `json:"events"`
}

func (r replayed) text(w io.Writer) {
	verb := "would fire"
	if r.Asked {
		verb = "asked to fire"
	}
	for _, f := range r.Firings {
		fmt.Fprintf(w, "%s %s under key %s with %s\n", verb, f.Trigger, f.Key, clip(strings.Join(f.Events, ", "), 200))
	}
	fmt.Fprintf(w, "%d firing(s) of sensor %s, replay %s\n", len(r.Firings), r.Sensor, r.ID)
}

func (a *app) replay() *cobra.Command {
	var s span
	var id, trigger string
	var dry bool
	c := &cobra.Command{
		Use:   "replay NAMESPACE/NAME",
		Short: "Fire a Sensor's triggers again for past events, under new keys",
		Args:  args(1, 1),
		Long: "Evaluates past events as simulate does and asks the service to fire what fires. Each firing has a new key, made of the old one and --id:\n" +
			"effects happen again, and the same command line with the same --id does nothing more.",
		RunE: func(c *cobra.Command, given []string) error {
			if s.file != "" {
				return fmt.Errorf("%w: a replay takes events of the stream; --events is for simulate", errUsage)
			}
			if id == "" {
				id = time.Now().UTC().Format("20060102T150405Z")
			}
			subject, err := a.load(c.Context(), "", given[0], "")
			if err != nil {
				return err
			}
			b, err := a.connect(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			arrivals, err := a.arrivals(c.Context(), b, subject.sensor.Namespace, s)
			if err != nil {
				return err
			}
			out := replayed{Sensor: given[0], ID: id, Asked: !dry, Firings: []replayFiring{}}
			for _, step := range subject.program.Simulate(arrivals, alarm) {
				for _, f := range step.Firings {
					one, err := ask(c.Context(), b, subject, f, replayOf{id: id, trigger: trigger, dry: dry})
					if err != nil {
						return err
					}
					out.Firings = append(out.Firings, one...)
				}
			}
			return a.print(out)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&id, "id", "", "name of the replay; the time, when it is not given")
	c.Flags().StringVar(&trigger, "trigger", "", "only this trigger")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be fired")
	return c
}

type replayOf struct {
	id, trigger string
	dry         bool
}

// ask puts one firing on the Sensor's queue.
func ask(ctx context.Context, b *bus.Bus, s subject, f sensing.Firing, r replayOf) ([]replayFiring, error) {
	name := s.sensor.Spec.Triggers[f.Trigger].Template.Name
	if r.trigger != "" && r.trigger != name {
		return nil, nil
	}
	first := bus.Key(append([]string{string(s.sensor.UID), name}, f.Causes()...)...)
	key := bus.Key("replay", r.id, first)
	command := events.FireTrigger{
		Key: key, Namespace: s.sensor.Namespace, Sensor: s.sensor.Name, Trigger: name, Replay: r.id,
	}
	one := replayFiring{Trigger: name, Key: key}
	for _, dependency := range f.Events.Names() {
		e := f.Events[dependency]
		command.Events = append(
			command.Events, events.FiringEvent{Dependency: dependency, ID: e.ID, Sequence: e.Sequence},
		)
		one.Events = append(one.Events, dependency+"="+e.ID)
	}
	if r.dry {
		return []replayFiring{one}, nil
	}
	e, err := bus.NewEvent(key, "argosy-cli", events.TypeFireTrigger, command)
	if err != nil {
		return nil, err
	}
	e.SetTime(time.Now())
	if err := b.Publish(ctx, events.FireSubject(s.sensor.Namespace, string(s.sensor.UID)), e); err != nil {
		return nil, err
	}
	return []replayFiring{one}, nil
}
