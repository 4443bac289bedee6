package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/libs/sensing"
	"github.com/argosy-mesh/argosy/libs/sensing/check"
	sensorlint "github.com/argosy-mesh/argosy/libs/sensing/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

func (a *app) sensor() *cobra.Command {
	c := &cobra.Command{Use: "sensor", Short: "What Sensors would do, and what to do again"}
	c.AddCommand(a.lint(), a.simulate(), a.replay())
	return c
}

// findings are those of one or more files.
type findings []finding

type finding struct {
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Severity lint.Severity `json:"severity"`
	Path     string        `json:"path,omitempty"`
	Message  string        `json:"message"`
}

func (f findings) text(w io.Writer) {
	for _, one := range f {
		fmt.Fprintf(w, "%s:%d: %s: %s: %s\n", one.File, one.Line, one.Severity, one.Path, printable(one.Message))
	}
}

func (a *app) lint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE...",
		Short: "Say what is wrong with manifests of Sensors",
		Args:  args(1, -1),
		RunE: func(_ *cobra.Command, files []string) error {
			return a.lintFiles(files, []string{"Sensor"}, sensorlint.Sensor)
		},
	}
}

// lintFiles looks at the documents of some kinds in files.
func (a *app) lintFiles(files, kinds []string, look func([]byte) []lint.Finding) error {
	all, wrong := findings{}, false
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, d := range documents(text, kinds...) {
			for _, f := range look(d.text) {
				all = append(
					all,
					finding{File: name, Line: f.Line + d.line, Severity: f.Severity, Path: f.Path, Message: f.Message},
				)
				wrong = wrong || f.Severity == lint.Error
			}
		}
	}
	if err := a.print(all); err != nil {
		return err
	}
	if wrong {
		return errFound
	}
	return nil
}

// document is one of a file, and how many lines come before it.
type document struct {
	text []byte
	line int
}

// documents returns those of some kinds, or of no kind at all.
func documents(text []byte, kinds ...string) []document {
	var out []document
	line := 0
	for part := range bytes.SplitSeq(text, []byte("\n---")) {
		var head struct {
			Kind string `json:"kind"`
		}
		err := yaml.Unmarshal(part, &head)
		if err != nil || slices.Contains(kinds, head.Kind) || head.Kind == "" && len(bytes.TrimSpace(part)) > 0 {
			out = append(out, document{part, line})
		}
		line += bytes.Count(part, []byte("\n")) + 1
	}
	return out
}

// subject is a Sensor to look at, compiled.
type subject struct {
	sensor   *v1alpha1.Sensor
	program  *sensing.Program
	problems []sensing.Problem
}

// load reads a Sensor from a file, or from the cluster by namespace/name.
func (a *app) load(ctx context.Context, file, name, namespace string) (subject, error) {
	object, err := a.object(ctx, file, name)
	if err != nil {
		return subject{}, err
	}
	s, _, err := v1alpha1.DecodeTolerant[v1alpha1.Sensor](object)
	if err != nil {
		return subject{}, err
	}
	if namespace != "" {
		s.Namespace = namespace
	}
	if s.Namespace == "" {
		s.Namespace = "default"
	}
	if _, err := sensing.ParseOptions(s.Annotations[sensing.OptionsAnnotation]); err != nil {
		return subject{}, err
	}
	found := check.Sensor(s)
	return subject{s, found.Program, found.Problems}, nil
}

func (a *app) object(ctx context.Context, file, name string) (map[string]any, error) {
	if (file == "") == (name == "") {
		return nil, fmt.Errorf("%w: give NAMESPACE/NAME of a Sensor, or -f FILE", errUsage)
	}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found := documents(text, "Sensor")
		if len(found) != 1 {
			return nil, fmt.Errorf("%s holds %d Sensors, not one", file, len(found))
		}
		var object map[string]any
		return object, yaml.Unmarshal(found[0].text, &object)
	}
	namespace, short, ok := strings.Cut(name, "/")
	if !ok {
		return nil, fmt.Errorf("%w: %q is not NAMESPACE/NAME", errUsage, name)
	}
	cfg, err := kube.Config(a.kubeconfig)
	if err != nil {
		return nil, err
	}
	c, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	u, err := c.Resource(v1alpha1.GroupVersion.WithResource("sensors")).Namespace(namespace).Get(
		ctx, short, metav1.GetOptions{},
	)
	if err != nil {
		return nil, fmt.Errorf("read sensor %s: %w", name, err)
	}
	return u.Object, nil
}

// scriptPatience is how long the scripts of one event may take.
const scriptPatience = 2 * time.Second

func alarm() func() bool {
	ends := time.Now().Add(scriptPatience)
	return func() bool { return time.Now().After(ends) }
}

// lineOf is one event of a file: a CloudEvent in JSON, with the names under which it
// would come.
type lineOf struct {
	EventSource     string          `json:"eventsource"`
	EventName       string          `json:"eventname"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject"`
	DataContentType string          `json:"datacontenttype"`
	Time            time.Time       `json:"time"`
	Data            json.RawMessage `json:"data"`
}

// arrivalsOf reads events from a file, one JSON object after the other. Names that are
// missing are the CloudEvent's source and subject, as webhook-ingest writes them.
func arrivalsOf(r io.Reader) ([]sensing.Arrival, error) {
	var out []sensing.Arrival
	d := json.NewDecoder(r)
	for {
		var l lineOf
		if err := d.Decode(&l); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(out)+1, err)
		}
		e := sensing.Event{
			ID:          l.ID,
			Type:        l.Type,
			Source:      l.Source,
			Subject:     l.Subject,
			ContentType: l.DataContentType,
			Time:        l.Time,
			Arrived:     l.Time,
			Data:        l.Data,
			Sequence:    uint64(len(out) + 1),
		}
		arrival := sensing.Arrival{EventSource: l.EventSource, EventName: l.EventName, Event: e}
		if arrival.EventSource == "" {
			arrival.EventSource = l.Source
		}
		if arrival.EventName == "" {
			arrival.EventName = l.Subject
		}
		out = append(out, arrival)
	}
}
