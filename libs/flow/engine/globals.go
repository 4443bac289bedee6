package engine

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// globalScope has the variables of a workflow that are known everywhere.
func (k *engine) globalScope() (scope.Scope, error) {
	w := k.World
	v := map[string]string{}
	v["workflow.name"], v["workflow.namespace"], v["workflow.uid"] = w.Name, w.Namespace, w.UID
	v["workflow.mainEntrypoint"] = w.Spec.Entrypoint
	v["workflow.serviceAccountName"] = cmp.Or(w.Spec.ServiceAccountName, "default")
	v["workflow.creationTimestamp"] = w.Created.UTC().Format(time.RFC3339)
	v["workflow.creationTimestamp.RFC3339"] = w.Created.UTC().Format(time.RFC3339)
	v["workflow.creationTimestamp.s"] = strconv.FormatInt(w.Created.Unix(), 10)
	addTimeFormats(v, w.Created.UTC())
	if w.Spec.Priority != nil {
		v["workflow.priority"] = strconv.Itoa(int(*w.Spec.Priority))
	}
	if at := w.Annotations["workflows.argoproj.io/scheduled-time"]; at != "" {
		v["workflow.scheduledTime"] = at
	}
	v["workflow.status"] = string(w.Run.Phase)
	if !w.Run.StartedAt.IsZero() {
		v["workflow.duration"] = fmt.Sprintf("%f", w.Now.Sub(w.Run.StartedAt).Seconds())
	}
	s := scope.New()
	for name, value := range v {
		s.Set(name, value)
	}
	s.AddMetadata(w.Labels, w.Annotations, w.Run.Metadata)
	if err := k.addArguments(s, w.Spec.Arguments); err != nil {
		return s, err
	}
	for _, name := range []string{"workflow.serviceAccountName", "workflow.mainEntrypoint"} {
		value, err := s.As(scope.LooseTags).Text(v[name])
		if err != nil {
			return s, fmt.Errorf("{{%s}}: %w", name, err)
		}
		s.Set(name, value)
	}
	return s, nil
}

// addTimeFormats adds the creation time in the formats of strftime that upstream offers.
func addTimeFormats(v map[string]string, at time.Time) {
	for letter, layout := range map[string]string{
		"B": "January", "b": "Jan", "m": "01", "A": "Monday", "a": "Mon", "d": "02", "H": "15", "I": "03", "M": "04",
		"S": "05", "Y": "2006", "y": "06",
		"p": "PM", "Z": "MST", "z": "-0700", "L": ".000",
	} {
		v["workflow.creationTimestamp."+letter] = strings.TrimPrefix(at.Format(layout), ".")
	}
}

func (k *engine) addArguments(s scope.Scope, args *v1alpha1.Arguments) error {
	if args == nil {
		args = &v1alpha1.Arguments{}
	}
	args = args.DeepCopy()
	var open []scope.Parameter
	for _, p := range args.Parameters {
		if err := scope.Substitute(&p.ValueFrom, s.As(scope.LooseTags)); err != nil {
			return fmt.Errorf("spec.arguments.parameters: %q: valueFrom: %w", p.Name, err)
		}
		value, ok, err := k.Parameter(p)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("spec.arguments.parameters: %q has no value", p.Name)
		}
		open = append(open, scope.Parameter{Name: p.Name, Text: value})
	}
	if err := s.Settle("workflow.parameters.", open); err != nil {
		return fmt.Errorf("spec.arguments.parameters: %w", err)
	}
	for i, p := range args.Parameters {
		value, _ := s.Value("workflow.parameters." + p.Name)
		args.Parameters[i].Value, args.Parameters[i].ValueFrom = v1alpha1.AnyStringPtr(value), nil
	}
	text := scope.ParametersText(args.Parameters)
	s.Set("workflow.parameters", text)
	s.Set("workflow.parameters.json", text)
	if err := scope.Substitute(&args.Artifacts, s); err != nil {
		return fmt.Errorf("spec.arguments.artifacts: %w", err)
	}
	for _, a := range args.Artifacts {
		s.SetArtifact("workflow.artifacts."+a.Name, a)
	}
	return nil
}
