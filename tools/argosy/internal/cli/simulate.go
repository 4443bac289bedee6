package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/spf13/cobra"
)

// span is which events to look at.
type span struct {
	file     string
	since    time.Duration
	from, to string
	limit    int
}

func (s *span) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.file, "events", "", "file of CloudEvents in JSON instead of the stream; - is the standard input")
	f.DurationVar(&s.since, "since", time.Hour, "how far back to begin")
	f.StringVar(&s.from, "from", "", "when to begin, such as 2026-01-31T08:00:00Z; instead of --since")
	f.StringVar(&s.to, "to", "", "when to end")
	f.IntVar(&s.limit, "limit", 100_000, "at most so many events")
}

func (s *span) when() (bus.Range, error) {
	r := bus.Range{Limit: s.limit, From: time.Now().Add(-s.since)}
	for _, b := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", s.from, &r.From}, {"--to", s.to, &r.To}} {
		if b.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, b.text)
		if err != nil {
			return r, fmt.Errorf("%w: %s %q is no time such as 2026-01-31T08:00:00Z", errUsage, b.flag, b.text)
		}
		*b.into = at
	}
	return r, nil
}

// arrivals reads the events of a namespace.
func (a *app) arrivals(ctx context.Context, b *bus.Bus, namespace string, s span) ([]sensing.Arrival, error) {
	r, err := s.when()
	if err != nil {
		return nil, err
	}
	r.Subjects = []string{"events." + bus.Token(namespace) + ".>"}
	var out []sensing.Arrival
	err = b.Scan(ctx, bus.Events, r, func(d bus.Delivery) error {
		arrival, err := arrivalOf(d)
		if err == nil {
			out = append(out, arrival)
		}
		return err
	}, nil)
	return out, err
}

func arrivalOf(d bus.Delivery) (sensing.Arrival, error) {
	tokens := strings.Split(d.Subject, ".")
	if len(tokens) != 4 {
		return sensing.Arrival{}, fmt.Errorf("event %s has the subject %s", d.ID(), d.Subject)
	}
	source, err := events.Untoken(tokens[2])
	if err != nil {
		return sensing.Arrival{}, err
	}
	name, err := events.Untoken(tokens[3])
	if err != nil {
		return sensing.Arrival{}, err
	}
	e := sensing.Event{
		ID:          d.ID(),
		Type:        d.Type(),
		Source:      d.Source(),
		Subject:     d.Event.Subject(),
		ContentType: d.DataContentType(),
		Time:        d.Time(),
		Arrived:     d.Stored,
		Data:        d.Data(),
		Extensions:  map[string]string{},
		Sequence:    d.Sequence,
	}
	for key, v := range d.Extensions() {
		e.Extensions[key] = fmt.Sprint(v)
	}
	return sensing.Arrival{EventSource: source, EventName: name, Event: e}, nil
}

func (a *app) simulate() *cobra.Command {
	var s span
	var file, namespace string
	var all bool
	c := &cobra.Command{
		Use:   "simulate [NAMESPACE/NAME]",
		Short: "Show what a Sensor would do with past events, without doing it",
		Args:  args(0, 1),
		Long: "Plays events of the stream, or of a file, over a Sensor of the cluster or of a file. Nothing is created or sent.\n" +
			"The report says which events matched, which filter rejected which, and what would be created.",
		Example: "  argosy sensor simulate ci/github --since 24h\n  argosy sensor simulate -f sensor.yaml --events events.jsonl -o yaml",
		RunE: func(c *cobra.Command, given []string) error {
			subject, err := a.load(c.Context(), file, strings.Join(given, ""), namespace)
			if err != nil {
				return err
			}
			arrivals, err := a.events(c.Context(), subject.sensor.Namespace, s)
			if err != nil {
				return err
			}
			return a.print(reportOf(subject, subject.program.Simulate(arrivals, alarm), all))
		},
	}
	s.flags(c)
	c.Flags().StringVarP(&file, "file", "f", "", "file of the Sensor")
	c.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace of the Sensor in the file")
	c.Flags().BoolVar(&all, "all", false, "show events of other sources too")
	return c
}

// events reads from a file, or from the stream.
func (a *app) events(ctx context.Context, namespace string, s span) ([]sensing.Arrival, error) {
	switch s.file {
	case "":
		b, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		return a.arrivals(ctx, b, namespace, s)
	case "-":
		return arrivalsOf(os.Stdin)
	}
	r, err := os.Open(s.file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return arrivalsOf(r)
}
