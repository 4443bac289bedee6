package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow/expression"
	"github.com/argosy-mesh/argosy/libs/flow/retry"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// nameShape is what templates, steps and tasks may be called. Source: Argo Workflows, its definitions and validation.
var nameShape = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]*$`)

// maxName bounds names. Source: Argo Workflows' definitions.
const maxName = 128

func (k *linter) name(path, name string) {
	switch {
	case name == "":
		k.errorf(path, "name is missing")
	case len(name) > maxName:
		k.errorf(path+".name", "has %d characters; at most %d are allowed", len(name), maxName)
	case !nameShape.MatchString(name):
		k.errorf(path+".name", "%q may hold letters, digits and '-', and must begin with a letter or digit", name)
	}
}

// spec looks at the spec of a workflow, which runs, or of a template, which may be a mere collection.
func (k *linter) spec(path string, s *v1alpha1.WorkflowSpec, runs bool) {
	k.templates, k.globals = map[string]*v1alpha1.Template{}, nil
	if s.WorkflowTemplateRef != nil {
		k.reference(path, s)
		return
	}
	if runs {
		k.globals = map[string]bool{}
	}
	for i := range s.Templates {
		at, t := fmt.Sprintf("%s.templates[%d]", path, i), &s.Templates[i]
		k.name(at, t.Name)
		if _, twice := k.templates[t.Name]; twice {
			k.errorf(at+".name", "%q is the name of another template too", t.Name)
		}
		k.templates[t.Name] = t
	}
	k.arguments(path, s.Arguments, runs)
	switch {
	case s.Entrypoint != "":
		k.exists(path+".entrypoint", s.Entrypoint)
	case runs:
		k.errorf(path, "entrypoint is missing: it names the template to begin with")
	}
	if s.OnExit != "" {
		k.exists(path+".onExit", s.OnExit)
	}
	k.hooks(path, s.Hooks)
	k.policies(path, s)
	for i := range s.Templates {
		k.template(fmt.Sprintf("%s.templates[%d]", path, i), &s.Templates[i])
	}
}

// reference looks at a workflow that runs a template of the cluster.
func (k *linter) reference(path string, s *v1alpha1.WorkflowSpec) {
	if s.WorkflowTemplateRef.Name == "" {
		k.errorf(path+".workflowTemplateRef", "name is missing")
	}
	if len(s.Templates) > 0 {
		k.errorf(path+".templates", "must be empty beside workflowTemplateRef")
	}
	k.arguments(path, s.Arguments, false)
	k.policies(path, s)
}

// exists says that a template of the manifest must have that name.
func (k *linter) exists(path, name string) {
	if _, ok := k.templates[name]; !ok && !tagged(name) {
		k.errorf(path, "no template is named %q", name)
	}
}

func (k *linter) arguments(path string, args *v1alpha1.Arguments, needed bool) {
	if args == nil {
		return
	}
	seen := map[string]bool{}
	for i, p := range args.Parameters {
		at := fmt.Sprintf("%s.arguments.parameters[%d]", path, i)
		switch {
		case p.Name == "":
			k.errorf(at, "name is missing")
		case seen[p.Name]:
			k.errorf(at+".name", "%q is the name of another parameter too", p.Name)
		case needed && p.Value == nil && p.Default == nil && p.ValueFrom == nil && k.submitted:
			k.errorf(at, "%q needs a value or valueFrom", p.Name)
		case needed && p.Value == nil && p.Default == nil && p.ValueFrom == nil:
			k.warnf(at, "%q has no value: whoever submits the workflow must give it", p.Name)
		}
		seen[p.Name] = true
		if k.globals != nil {
			k.globals[p.Name] = true
		}
		k.enum(at, p)
	}
}

func (k *linter) enum(path string, p v1alpha1.Parameter) {
	if p.Value != nil && p.Enum != nil && !tagged(p.Value.String()) && !slices.Contains(p.Enum, *p.Value) {
		k.errorf(path+".value", "%q is none of its enum %v", p.Value.String(), p.Enum)
	}
}

// policies are what of a spec holds for the whole run.
func (k *linter) policies(path string, s *v1alpha1.WorkflowSpec) {
	k.oneOf(path+".shutdown", s.Shutdown, "Stop", "Terminate")
	if gc := s.PodGC; gc != nil {
		k.oneOf(path+".podGC.strategy", gc.Strategy, "OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion",
			"OnWorkflowSuccess")
		k.duration(path+".podGC.deleteDelayDuration", gc.DeleteDelayDuration)
	}
	if gc := s.VolumeClaimGC; gc != nil {
		k.oneOf(path+".volumeClaimGC.strategy", gc.Strategy, "OnWorkflowCompletion", "OnWorkflowSuccess")
	}
	if gc := s.ArtifactGC; gc != nil {
		k.oneOf(path+".artifactGC.strategy", gc.Strategy, "OnWorkflowCompletion", "OnWorkflowDeletion", "Never")
	}
	if s.Parallelism != nil && *s.Parallelism < 1 {
		k.errorf(path+".parallelism", "is %d; at least 1 is needed for anything to run", *s.Parallelism)
	}
	if s.RetryStrategy != nil {
		k.retry(path+".retryStrategy", s.RetryStrategy)
	}
	k.synchronization(path, s.Synchronization)
	k.metrics(path, s.Metrics)
}

func (k *linter) synchronization(path string, s *v1alpha1.Synchronization) {
	if s == nil {
		return
	}
	for i, m := range s.Mutexes {
		if m.Name == "" {
			k.errorf(fmt.Sprintf("%s.synchronization.mutexes[%d]", path, i), "name is missing")
		}
	}
	for i, r := range s.Semaphores {
		if r.ConfigMapKeyRef == nil && r.Database == nil {
			k.errorf(fmt.Sprintf("%s.synchronization.semaphores[%d]", path, i),
				"configMapKeyRef or database must say how many may hold it")
		}
	}
}

func (k *linter) retry(path string, r *v1alpha1.RetryStrategy) {
	k.count(path+".limit", r.Limit)
	k.oneOf(path+".retryPolicy", string(r.RetryPolicy), "Always", "OnFailure", "OnError", "OnTransientError")
	k.expression(path+".expression", strings.NewReplacer("{{=", "", "}}", "").Replace(r.Expression))
	if b := r.Backoff; b != nil {
		k.duration(path+".backoff.duration", b.Duration)
		k.duration(path+".backoff.maxDuration", b.MaxDuration)
		k.duration(path+".backoff.cap", b.Cap)
		k.count(path+".backoff.factor", b.Factor)
	}
}

// count says that a number must be one, or be computed.
func (k *linter) count(path string, v *intstr.IntOrString) {
	if v == nil || tagged(v.String()) {
		return
	}
	if _, err := retry.ParseCount(v.String()); err != nil {
		k.errorf(path, "%q is no number", v.String())
	}
}

func (k *linter) duration(path, v string) {
	if v == "" || tagged(v) {
		return
	}
	_, err := span.Parse(v)
	k.check(path, err)
}

func (k *linter) expression(path, source string) {
	if source != "" && !tagged(source) {
		k.check(path, expression.Check(source))
	}
}

// tagged reports whether a value is only known later.
func tagged(s string) bool { return strings.Contains(s, "{{") }

// cron looks at when a CronWorkflow runs.
func (k *linter) cron(s *v1alpha1.CronWorkflowSpec) {
	if len(s.Schedules) == 0 && s.Schedule == "" {
		k.errorf("spec", "schedules is missing")
	}
	if _, err := cron.ParseStandard(s.Schedule); err != nil && s.Schedule != "" {
		k.errorf("spec.schedule", "%q: %v", s.Schedule, err)
	}
	for i, schedule := range s.Schedules {
		if _, err := cron.ParseStandard(schedule); err != nil {
			k.errorf(fmt.Sprintf("spec.schedules[%d]", i), "%q: %v", schedule, err)
		}
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil {
		k.errorf("spec.timezone", "%q is no time zone of the IANA database, such as Europe/Vienna", s.Timezone)
	}
	k.oneOf("spec.concurrencyPolicy", s.ConcurrencyPolicy, "Allow", "Forbid", "Replace")
	for path, n := range map[string]*int64{"startingDeadlineSeconds": s.StartingDeadlineSeconds,
		"successfulJobsHistoryLimit": s.SuccessfulJobsHistoryLimit,
		"failedJobsHistoryLimit":     s.FailedJobsHistoryLimit} {
		if n != nil && *n < 0 {
			k.errorf("spec."+path, "is %d; it cannot be negative", *n)
		}
	}
}
