package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/spf13/cobra"
)

func (a *app) dead() *cobra.Command {
	c := &cobra.Command{Use: "dead", Short: "Events and commands that could not be handled"}
	c.AddCommand(a.deadList(), a.deadShow(), a.deadRedrive())
	return c
}

// letterRow is a dead letter as it is printed.
type letterRow struct {
	Sequence uint64          `json:"sequence"`
	Buried   time.Time       `json:"buried"`
	Stream   string          `json:"stream"`
	Subject  string          `json:"subject"`
	Consumer string          `json:"consumer"`
	Attempts int             `json:"attempts"`
	Reason   string          `json:"reason"`
	EventID  string          `json:"eventId,omitempty"`
	Type     string          `json:"type,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

func rowOf(l bus.DeadLetter, withData bool) letterRow {
	r := letterRow{
		Sequence: l.Sequence,
		Buried:   l.Buried,
		Stream:   l.Stream,
		Subject:  l.Subject,
		Consumer: l.Consumer,
		Attempts: l.Attempts,
		Reason:   l.Reason,
		EventID:  l.Event.ID(),
		Type:     l.Event.Type(),
	}
	if withData && json.Valid(l.Event.Data()) {
		r.Data = l.Event.Data()
	}
	return r
}

type letterList []letterRow

func (l letterList) text(w io.Writer) {
	rows := [][]string{{"SEQUENCE", "BURIED", "SUBJECT", "ATTEMPTS", "REASON"}}
	for _, r := range l {
		rows = append(
			rows,
			[]string{
				strconv.FormatUint(r.Sequence, 10), r.Buried.UTC().Format(time.RFC3339), clip(r.Subject, 60),
				strconv.Itoa(r.Attempts), clip(r.Reason, 100),
			},
		)
	}
	table(w, rows)
}

func (r letterRow) text(w io.Writer) {
	for _, p := range [][2]string{
		{"sequence", strconv.FormatUint(r.Sequence, 10)}, {"buried", r.Buried.UTC().Format(time.RFC3339)},
		{"stream", r.Stream}, {"subject", r.Subject},
		{"consumer", r.Consumer}, {"attempts", strconv.Itoa(r.Attempts)}, {"event", r.EventID}, {"type", r.Type},
		{"reason", r.Reason}, {"data", string(r.Data)}} {
		fmt.Fprintf(w, "%-9s %s\n", p[0], printable(p[1]))
	}
}

func (a *app) deadList() *cobra.Command {
	var stream, subject string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List them, oldest first",
		Args:  args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := a.connect(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			found, err := b.DeadLetters(c.Context(), stream, subject, limit)
			if err != nil {
				return err
			}
			rows := letterList{}
			for _, l := range found {
				rows = append(rows, rowOf(l, false))
			}
			return a.print(rows)
		},
	}
	c.Flags().StringVar(&stream, "stream", "*", "only those of EVENTS or COMMANDS")
	c.Flags().StringVar(&subject, "subject", ">", "only those with this original subject, which may hold wildcards")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many; 0 means all")
	return c
}

func (a *app) deadShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show SEQUENCE",
		Short: "Show one with its data",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, given []string) error {
			sequence, err := sequenceOf(given[0])
			if err != nil {
				return err
			}
			b, err := a.connect(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			l, err := b.DeadLetter(c.Context(), sequence)
			if err != nil {
				return err
			}
			return a.print(rowOf(l, true))
		},
	}
}

// driven is what redrive did.
type driven struct {
	Redriven []uint64 `json:"redriven"`
}

func (d driven) text(w io.Writer) {
	fmt.Fprintf(w, "%d driven again: %v\n", len(d.Redriven), d.Redriven)
}

func (a *app) deadRedrive() *cobra.Command {
	var all bool
	var stream, subject string
	c := &cobra.Command{
		Use:   "redrive [SEQUENCE...]",
		Short: "Put them back where they came from",
		RunE: func(c *cobra.Command, given []string) error {
			if all == (len(given) > 0) {
				return fmt.Errorf("%w: give sequences, or --all", errUsage)
			}
			b, err := a.connect(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			var sequences []uint64
			for _, text := range given {
				s, err := sequenceOf(text)
				if err != nil {
					return err
				}
				sequences = append(sequences, s)
			}
			if all {
				found, err := b.DeadLetters(c.Context(), stream, subject, 0)
				if err != nil {
					return err
				}
				for _, l := range found {
					sequences = append(sequences, l.Sequence)
				}
			}
			done := driven{Redriven: []uint64{}}
			var errs []error
			for _, s := range sequences {
				if err := b.Redrive(c.Context(), s); err != nil {
					errs = append(errs, err)
					continue
				}
				done.Redriven = append(done.Redriven, s)
			}
			return errors.Join(append(errs, a.print(done))...)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all that --stream and --subject name")
	c.Flags().StringVar(&stream, "stream", "*", "with --all: only those of EVENTS or COMMANDS")
	c.Flags().StringVar(&subject, "subject", ">", "with --all: only those with this original subject")
	return c
}

func sequenceOf(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%w: %q is no sequence, which dead list shows", errUsage, text)
	}
	return n, nil
}
