package sensing

import "maps"

// Arrival is one event of a stream, and where it came from.
type Arrival struct {
	EventSource string
	EventName   string
	Event       Event
}

// Step is what one event came to in a simulation.
type Step struct {
	Arrival  Arrival
	Matched  []string
	Rejected []Rejection
	Firings  []Firing
	// Waiting lists, for each trigger by index that waits after this event, the
	// dependencies it has.
	Waiting map[int][]string
}

// Relevant reports whether the event came from a source of the Sensor.
func (s Step) Relevant() bool { return len(s.Matched)+len(s.Rejected) > 0 }

// Simulate plays events over a Sensor as the service would, in their order and
// without any effect. It begins with empty windows.
func (p *Program) Simulate(arrivals []Arrival, alarm func() func() bool) []Step {
	windows := map[int]Window{}
	steps := make([]Step, 0, len(arrivals))
	for _, a := range arrivals {
		w := World{
			EventSource: a.EventSource, EventName: a.EventName, Event: a.Event, Windows: windows, Now: a.Event.Arrived,
		}
		if alarm != nil {
			w.Alarm = alarm()
		}
		v := p.Evaluate(w)
		maps.Copy(windows, v.Windows)
		step := Step{
			Arrival: a, Matched: v.Matched, Rejected: v.Rejected, Firings: v.Firings, Waiting: map[int][]string{},
		}
		for i := range v.Windows {
			if v.Windows[i] != nil {
				step.Waiting[i] = v.Windows[i].Names()
			}
		}
		steps = append(steps, step)
	}
	return steps
}
