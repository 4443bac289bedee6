package sensing

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Event is what a Sensor may know of an event.
type Event struct {
	ID, Type, Source, Subject, ContentType string
	Time                                   time.Time // the sender's; filters by time look at it
	Arrived                                time.Time // when the stream stored it; resets look at it
	Data                                   []byte    // JSON, after the dependency's transform
	Extensions                             map[string]string
	Sequence                               uint64 // position in the stream, to find it again
}

// Window is what a trigger with several dependencies waits with: the latest event
// of each, by dependency name.
type Window map[string]Event

// Names lists the dependencies in order.
func (w Window) Names() []string { return slices.Sorted(maps.Keys(w)) }

// Firing is a trigger that fires.
type Firing struct {
	Trigger int // index in spec.triggers
	Events  Window
}

// Causes are the contributing events by dependency name, in order: name, id and
// source of each.
func (f Firing) Causes() []string {
	var causes []string
	for _, name := range f.Events.Names() {
		causes = append(causes, name, f.Events[name].ID, f.Events[name].Source)
	}
	return causes
}

// Context is the CloudEvents context of the event as parameters and payloads show
// it.
func (e Event) Context() []byte {
	raw, err := json.Marshal(map[string]string{"id": e.ID, "type": e.Type, "source": e.Source, "subject": e.Subject,
		"datacontenttype": e.ContentType, "specversion": "1.0", "time": e.Time.UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return []byte("{}")
	}
	return raw
}

// Whole is the event as one object, with its data in base64. Source: Argo Events.
func (e Event) Whole() []byte {
	raw, err := json.Marshal(
		map[string]any{"context": json.RawMessage(e.Context()), "data": base64.StdEncoding.EncodeToString(e.Data)},
	)
	if err != nil {
		return []byte("{}")
	}
	return raw
}
