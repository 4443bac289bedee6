package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// errStoryEnds stops following once the end is known.
var errStoryEnds = errors.New("the story ends")

// story collects the events of one chain and tells them as they come.
type story struct {
	out  io.Writer
	done chan struct{}

	mu          sync.Mutex
	commit      string
	began       time.Time
	last        time.Time
	correlation string
	known       map[string]bus.Event // of the chain, by id
	order       []string
	others      []bus.Event // seen before it was clear whether they belong
	end         string
}

func newStory(out io.Writer) *story {
	return &story{out: out, done: make(chan struct{}), known: map[string]bus.Event{}}
}

// wait makes sure that the bus answers before anything is pushed.
func (s *story) wait(ctx context.Context, b *bus.Bus) error {
	for b.Ready() != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the bus cannot be reached: %w", b.Ready())
		case <-time.After(50 * time.Millisecond):
		}
	}
	_, err := b.Read(ctx, bus.Facts, "facts.nobody.>")
	return err
}

// start says which commit the story is about.
func (s *story) start(commit string, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commit, s.began, s.last = commit, began, began
	fmt.Fprintf(s.out, "%8s  pushed %.12s\n", "0.00s", commit)
	pending := s.others
	s.others = nil
	for _, e := range pending {
		s.consider(e)
	}
}

// see takes one event in.
func (s *story) see(d bus.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The server's time, since senders' clocks and habits differ.
	d.SetTime(d.Stored)
	s.consider(d.Event)
	if s.end != "" {
		return errStoryEnds
	}
	return nil
}

func (s *story) consider(e bus.Event) {
	if s.correlation == "" && s.isPush(e) {
		s.correlation = e.ID()
		if l := bus.LineageOf(e); l.Correlation != "" {
			s.correlation = l.Correlation
		}
		s.tell(e)
		pending := s.others
		s.others = nil
		for _, p := range pending {
			s.consider(p)
		}
		return
	}
	l := bus.LineageOf(e)
	switch {
	case s.correlation != "" && (l.Correlation == s.correlation || e.ID() == s.correlation):
		// What caused this may have been seen without its chain being known.
		s.adopt(l.Causation)
		s.tell(e)
	default:
		s.others = append(s.others, e)
	}
}

// adopt takes in the event that something of the chain names as its cause.
func (s *story) adopt(id string) {
	for i, e := range s.others {
		if e.ID() == id {
			s.others = slices.Delete(s.others, i, i+1)
			s.tell(e)
			return
		}
	}
}

func (s *story) isPush(e bus.Event) bool {
	if s.commit == "" || e.Type() != "github" {
		return false
	}
	var view struct {
		Body struct {
			After string `json:"after"`
		} `json:"body"`
	}
	return e.DataAs(&view) == nil && view.Body.After == s.commit
}

func (s *story) tell(e bus.Event) {
	if _, told := s.known[e.ID()+e.Type()]; told {
		return
	}
	s.known[e.ID()+e.Type()] = e
	s.order = append(s.order, e.ID()+e.Type())
	at := e.Time()
	if at.Before(s.began) {
		at = s.began
	}
	fmt.Fprintf(s.out, "%7.2fs  %s\n", at.Sub(s.began).Seconds(), line(e))
	for _, end := range []string{events.FactRolloutPromoted, events.FactRolloutAborted} {
		if e.Type() == events.FactType(end) && s.end == "" {
			s.end = end
			close(s.done)
		}
	}
}

// ending is the fact that ended the story, "" while it goes on.
func (s *story) ending() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// line is one event for people.
func line(e bus.Event) string {
	switch e.Type() {
	case "github":
		var view struct {
			Body struct {
				Ref        string `json:"ref"`
				Repository struct {
					Name string `json:"full_name"`
				} `json:"repository"`
			} `json:"body"`
		}
		_ = e.DataAs(&view) // an unreadable one is told without detail
		return fmt.Sprintf("push received: %s %s", view.Body.Repository.Name, view.Body.Ref)
	case events.TypeImagePushed:
		var image events.ImagePushed
		_ = e.DataAs(&image)
		return fmt.Sprintf("image pushed: %s:%s (vouched for by %s)", image.Repository, image.Tag, image.Verified)
	}
	var f events.Fact
	if json.Unmarshal(e.Data(), &f) != nil {
		return e.Type()
	}
	name := strings.TrimSuffix(strings.TrimPrefix(e.Type(), "dev.argosy."), ".v1")
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s %s", strings.ReplaceAll(name, ".", " "), strings.ToLower(f.Object.Kind), f.Object.Name)
	if f.Phase != "" {
		text.WriteString(" " + f.Phase)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Attributes)) {
		if short := shown[key]; short != "" && f.Attributes[key] != "" {
			text.WriteString(" " + short + "=" + f.Attributes[key])
		}
	}
	if f.Message != "" {
		text.WriteString(" (" + f.Message + ")")
	}
	return text.String()
}

// shown are the attributes worth a person's time.
var shown = map[string]string{
	"step":     "step",
	"weight":   "weight",
	"image":    "image",
	"commit":   "commit",
	"revision": "revision",
	"reason":   "reason",
	"pods":     "pods",
}

// chain reads the causal chain back from its end.
func (s *story) chain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := map[string]bus.Event{}
	var last bus.Event
	for _, key := range s.order {
		e := s.known[key]
		byID[e.ID()] = e
		last = e
	}
	if len(s.order) == 0 {
		fmt.Fprintln(s.out, "no event of this chain was seen")
		return
	}
	fmt.Fprintln(s.out, "why, read backwards from the end:")
	for depth := range 50 {
		fmt.Fprintf(s.out, "  %s%s  [%s]\n", strings.Repeat(" ", depth), line(last), last.ID())
		cause := bus.LineageOf(last).Causation
		next, ok := byID[cause]
		if !ok || cause == "" {
			break
		}
		last = next
	}
}
