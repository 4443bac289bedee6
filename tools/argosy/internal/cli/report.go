package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// report is what a simulation came to.
type report struct {
	Sensor   string         `json:"sensor"`
	Events   int            `json:"events"`
	Matched  int            `json:"matched"`
	Rejected map[string]int `json:"rejected,omitempty"` // by filter
	Firings  map[string]int `json:"firings,omitempty"`  // by trigger
	Problems []string       `json:"problems,omitempty"`
	Steps    []reportStep   `json:"steps"`
}

type reportStep struct {
	Sequence uint64              `json:"sequence"`
	ID       string              `json:"id"`
	From     string              `json:"from"` // eventsource/event
	Time     time.Time           `json:"time"`
	Matched  []string            `json:"matched,omitempty"`
	Rejected []reportRejection   `json:"rejected,omitempty"`
	Fires    []reportFiring      `json:"fires,omitempty"`
	Waiting  map[string][]string `json:"waiting,omitempty"` // by trigger: what it has so far
}

type reportRejection struct {
	Dependency string `json:"dependency"`
	Filter     string `json:"filter"`
	Reason     string `json:"reason"`
}

type reportFiring struct {
	Trigger string            `json:"trigger"`
	Kind    string            `json:"kind"`
	Events  map[string]string `json:"events"` // id by dependency
	Creates json.RawMessage   `json:"creates,omitempty"`
	Note    string            `json:"note,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func reportOf(s subject, steps []sensing.Step, all bool) report {
	r := report{
		Sensor: s.sensor.Namespace + "/" + s.sensor.Name, Events: len(steps), Rejected: map[string]int{},
		Firings: map[string]int{}, Steps: []reportStep{},
	}
	for _, p := range s.problems {
		r.Problems = append(r.Problems, p.String())
	}
	for _, step := range steps {
		if len(step.Matched) > 0 {
			r.Matched++
		}
		for _, one := range step.Rejected {
			r.Rejected[one.Filter]++
		}
		shown := stepOf(s, step)
		for _, f := range shown.Fires {
			r.Firings[f.Trigger]++
		}
		if all || step.Relevant() {
			r.Steps = append(r.Steps, shown)
		}
	}
	return r
}

func stepOf(s subject, step sensing.Step) reportStep {
	e := step.Arrival.Event
	out := reportStep{
		Sequence: e.Sequence,
		ID:       e.ID,
		From:     step.Arrival.EventSource + "/" + step.Arrival.EventName,
		Time:     e.Arrived,
		Matched:  step.Matched,
	}
	for _, one := range step.Rejected {
		out.Rejected = append(out.Rejected, reportRejection{one.Dependency, one.Filter, one.Reason})
	}
	for _, f := range step.Firings {
		out.Fires = append(out.Fires, firingOf(s, f))
	}
	for i, names := range step.Waiting {
		if out.Waiting == nil {
			out.Waiting = map[string][]string{}
		}
		out.Waiting[s.sensor.Spec.Triggers[i].Template.Name] = names
	}
	return out
}

// firingOf fills the trigger in as the service would, as far as that needs no one
// else.
func firingOf(s subject, f sensing.Firing) reportFiring {
	t := &s.sensor.Spec.Triggers[f.Trigger]
	out := reportFiring{Trigger: t.Template.Name, Events: map[string]string{}}
	for name, e := range f.Events {
		out.Events[name] = e.ID
	}
	fill := param.Filler{Events: f.Events, Alarm: alarm()}
	template, err := fill.Template(t.Template, t.Parameters)
	if err == nil {
		out.Kind, out.Creates, out.Note, err = preview(fill, template)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// configured is what the kinds of triggers have in common.
type configured struct {
	Source     *v1alpha1.EventArtifactLocation `json:"source"`
	Parameters []v1alpha1.TriggerParameter     `json:"parameters"`
	Payload    []v1alpha1.TriggerParameter     `json:"payload"`
}

// preview is the object that would be created, or the settings and the payload.
func preview(
	fill param.Filler, t *v1alpha1.TriggerTemplate,
) (kind string, creates json.RawMessage, note string, err error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return "", nil, "", err
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", nil, "", err
	}
	for _, other := range []string{"name", "conditions", "conditionsReset"} {
		delete(parts, other)
	}
	kinds := slices.Sorted(maps.Keys(parts))
	if len(kinds) == 0 {
		return "", nil, "", fmt.Errorf("the template is of no kind")
	}
	kind = kinds[0]
	var c configured
	if err := json.Unmarshal(parts[kind], &c); err != nil {
		return kind, nil, "", err
	}
	if c.Source != nil {
		creates, note, err := object(fill, c)
		return kind, creates, note, err
	}
	creates, err = settings(fill, parts[kind], c)
	return kind, creates, "", err
}

func object(fill param.Filler, c configured) (json.RawMessage, string, error) {
	manifest, inline, err := param.Inline(c.Source)
	if err != nil {
		return nil, "", err
	}
	if !inline {
		return nil, "the manifest is fetched when the trigger fires", nil
	}
	creates, err := fill.Resource(manifest, c.Parameters)
	return creates, "", err
}

func settings(fill param.Filler, raw json.RawMessage, c configured) (json.RawMessage, error) {
	filled, err := fill.Apply(raw, c.Parameters)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage // whose numbers nobody changes
	if err := json.Unmarshal(filled, &all); err != nil {
		return nil, err
	}
	delete(all, "parameters")
	delete(all, "payload")
	if len(c.Payload) > 0 {
		body, err := fill.Payload(c.Payload)
		if err != nil {
			return nil, err
		}
		all["payload"] = body
		if !json.Valid(body) {
			if all["payload"], err = json.Marshal(string(body)); err != nil {
				return nil, err
			}
		}
	}
	return json.Marshal(all)
}

func (r report) text(w io.Writer) {
	fmt.Fprintf(
		w, "sensor %s over %d events: %d matched, %s rejected, %s fired\n", r.Sensor, r.Events, r.Matched,
		counts(r.Rejected), counts(r.Firings),
	)
	for _, p := range r.Problems {
		fmt.Fprintf(w, "cannot work: %s\n", printable(p))
	}
	for _, s := range r.Steps {
		s.text(w)
	}
}

func counts(m map[string]int) string {
	total := 0
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		total += m[key]
		parts = append(parts, fmt.Sprintf("%s %d", key, m[key]))
	}
	if total == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

func (s reportStep) text(w io.Writer) {
	fmt.Fprintf(
		w, "\n#%d %s %s id %s\n", s.Sequence, s.Time.UTC().Format(time.RFC3339), clip(s.From, 100), clip(s.ID, 60),
	)
	if len(s.Matched) > 0 {
		fmt.Fprintf(w, "  matched   %s\n", strings.Join(s.Matched, ", "))
	}
	for _, one := range s.Rejected {
		fmt.Fprintf(w, "  rejected  %s by %s: %s\n", one.Dependency, one.Filter, clip(one.Reason, 200))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Waiting)) {
		fmt.Fprintf(w, "  waiting   %s has %s\n", name, strings.Join(s.Waiting[name], ", "))
	}
	for _, f := range s.Fires {
		f.text(w)
	}
}

func (f reportFiring) text(w io.Writer) {
	var from []string
	for _, name := range slices.Sorted(maps.Keys(f.Events)) {
		from = append(from, name+"="+clip(f.Events[name], 40))
	}
	fmt.Fprintf(w, "  fires     %s (%s) with %s\n", f.Trigger, f.Kind, strings.Join(from, ", "))
	switch {
	case f.Error != "":
		fmt.Fprintf(w, "    fails: %s\n", clip(f.Error, 300))
	case f.Note != "":
		fmt.Fprintf(w, "    %s\n", f.Note)
	default:
		shown, err := yaml.JSONToYAML(f.Creates)
		if err != nil {
			shown = f.Creates
		}
		for line := range strings.SplitSeq(strings.TrimRight(printable(string(shown)), "\n"), "\n") {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
}
