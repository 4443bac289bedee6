package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// Unreadable turns the errors of decoding into what a person can mend.
func Unreadable(err error) (out []Problem) {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, e := range all {
		if field, ok := errors.AsType[*v1alpha1.FieldError](e); ok {
			out = append(out, Problem{Field: field.Path, Reason: field.Err.Error()})
			continue
		}
		out = append(out, Problem{Field: "spec", Reason: e.Error()})
	}
	return out
}

// Validate returns every reason why a Rollout cannot be served.
func Validate(w World) []Problem {
	v := &checking{w: w, problems: slices.Clone(w.Unreadable)}
	v.spec(&w.Rollout.Spec)
	if c := w.Rollout.Spec.Strategy.Canary; c != nil && len(v.problems) == 0 {
		v.canary(c)
	}
	if b := w.Rollout.Spec.Strategy.BlueGreen; b != nil && len(v.problems) == 0 {
		v.blueGreen(b)
	}
	return v.problems
}

// checking collects what is wrong.
type checking struct {
	w        World
	problems []Problem
}

func (v *checking) addf(field, format string, args ...any) {
	v.problems = append(v.problems, Problem{Field: field, Reason: fmt.Sprintf(format, args...)})
}

func (v *checking) spec(s *v1alpha1.RolloutSpec) {
	v.workload(s)
	switch {
	case s.Strategy.Canary != nil && s.Strategy.BlueGreen != nil:
		v.addf("spec.strategy", "exactly one of canary and blueGreen must be set")
	case s.Strategy.BlueGreen != nil:
	case s.Strategy.Canary == nil:
		v.addf("spec.strategy", "one of canary and blueGreen must be set")
	}
	if s.Replicas != nil && *s.Replicas < 0 {
		v.addf("spec.replicas", "must not be negative")
	}
	if deadline := orElse(s.ProgressDeadlineSeconds, int32(defaultProgressDeadline)); s.MinReadySeconds >= deadline {
		v.addf("spec.minReadySeconds", "must be less than progressDeadlineSeconds (%d)", deadline)
	}
}

func (v *checking) workload(s *v1alpha1.RolloutSpec) {
	if s.WorkloadRef != nil && !v.workloadRef(s.WorkloadRef) {
		return
	}
	if s.Selector == nil || len(s.Selector.MatchLabels)+len(s.Selector.MatchExpressions) == 0 {
		v.addf("spec.selector", "must not be empty")
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(s.Selector)
	if err != nil {
		v.addf("spec.selector", "%v", err)
		return
	}
	if len(s.Template.Spec.Containers) == 0 {
		v.addf("spec.template.spec.containers", "must not be empty")
	}
	if !selector.Matches(labels.Set(s.Template.Labels)) {
		v.addf("spec.template.metadata.labels", "must match spec.selector")
	}
}

// workloadRef reports whether the workload gave a template to go on with.
func (v *checking) workloadRef(ref *v1alpha1.ObjectRef) bool {
	const at = "spec.workloadRef"
	work := v.w.Workload
	switch {
	case !slices.Contains([]string{"Deployment", "ReplicaSet", "PodTemplate"}, ref.Kind):
		v.addf(at+".kind", "%q is none of Deployment, ReplicaSet and PodTemplate", ref.Kind)
	case ref.Name == "":
		v.addf(at+".name", "must not be empty")
	case !slices.Contains([]string{"", scaleDownNever, scaleDownOnSuccess, scaleDownProgressively}, ref.ScaleDown):
		v.addf(at+".scaleDown", "%q is none of never, onsuccess and progressively", ref.ScaleDown)
	case work != nil && work.Inline:
		v.addf("spec.template", "template must be empty for workload reference rollout")
	case v.w.Partial && (work == nil || work.Missing):
		return false
	case work == nil || work.Missing:
		v.addf(at, "%s %q is not there", ref.Kind, ref.Name)
	default:
		return true
	}
	return false
}

func (v *checking) canary(c *v1alpha1.CanaryStrategy) {
	const at = "spec.strategy.canary"
	if zero(c.MaxSurge) && zero(c.MaxUnavailable) {
		v.addf(at+".maxSurge", "maxSurge and maxUnavailable must not both be 0")
	}
	for field, value := range map[string]*intstr.IntOrString{
		".maxSurge": c.MaxSurge, ".maxUnavailable": c.MaxUnavailable,
	} {
		if value == nil {
			continue
		}
		if n, err := intstr.GetScaledValueFromIntOrPercent(value, 100, true); err != nil || n < 0 {
			v.addf(at+field, "%q is neither a number nor a percentage", value.String())
		}
	}
	v.scaling(at, c)
	for i := range c.Steps {
		v.step(fmt.Sprintf("%s.steps[%d]", at, i), c.Steps[i], c.TrafficRouting)
	}
	if c.Analysis != nil {
		v.analysis(at+".analysis", besideAnalysis(*c.Analysis), false)
	}
	v.service(at+".canaryService", c.CanaryService)
	v.service(at+".stableService", c.StableService)
	if c.PingPong != nil {
		v.service(at+".pingPong.pingService", c.PingPong.PingService)
		v.service(at+".pingPong.pongService", c.PingPong.PongService)
	}
	if c.TrafficRouting != nil {
		v.routing(at+".trafficRouting", c)
	}
}

// scaling checks what says how many pods and which services there are.
func (v *checking) scaling(at string, c *v1alpha1.CanaryStrategy) {
	if p := c.PingPong; p != nil {
		switch {
		case c.TrafficRouting == nil:
			v.addf(at+".pingPong", "needs trafficRouting")
		case p.PingService == "" || p.PongService == "" || p.PingService == p.PongService:
			v.addf(at+".pingPong", "needs two different services: pingService and pongService")
		case c.CanaryService != "" || c.StableService != "":
			v.addf(at+".pingPong", "takes the place of canaryService and stableService: leave these out")
		}
	}
	switch {
	case c.DynamicStableScale && c.TrafficRouting == nil:
		v.addf(at+".dynamicStableScale", "needs trafficRouting")
	case c.DynamicStableScale && c.ScaleDownDelaySeconds != nil:
		v.addf(
			at+".scaleDownDelaySeconds",
			"has no place beside dynamicStableScale, which lets stable pods go at once",
		)
	}
	if t := c.TrafficRouting; t != nil && t.MaxTrafficWeight != nil && *t.MaxTrafficWeight <= 0 {
		v.addf(at+".trafficRouting.maxTrafficWeight", "must be positive, is %d", *t.MaxTrafficWeight)
	}
}

func (v *checking) blueGreen(b *v1alpha1.BlueGreenStrategy) {
	const at = "spec.strategy.blueGreen"
	switch b.ActiveService {
	case "":
		v.addf(at+".activeService", "must not be empty")
	case b.PreviewService:
		v.addf(at+".previewService", "must not be the activeService %q", b.ActiveService)
	}
	if b.MaxUnavailable != nil {
		if n, err := intstr.GetScaledValueFromIntOrPercent(b.MaxUnavailable, 100, true); err != nil || n < 0 {
			v.addf(at+".maxUnavailable", "%q is neither a number nor a percentage", b.MaxUnavailable.String())
		}
	}
	for field, value := range map[string]*int32{
		".previewReplicaCount": b.PreviewReplicaCount, ".scaleDownDelaySeconds": b.ScaleDownDelaySeconds,
		".scaleDownDelayRevisionLimit": b.ScaleDownDelayRevisionLimit, ".autoPromotionSeconds": &b.AutoPromotionSeconds,
		".abortScaleDownDelaySeconds": b.AbortScaleDownDelaySeconds,
	} {
		if value != nil && *value < 0 {
			v.addf(at+field, "must not be negative, is %d", *value)
		}
	}
	v.service(at+".activeService", b.ActiveService)
	v.service(at+".previewService", b.PreviewService)
	if b.PrePromotionAnalysis != nil {
		v.analysis(at+".prePromotionAnalysis", *b.PrePromotionAnalysis, true)
	}
	if b.PostPromotionAnalysis != nil {
		v.analysis(at+".postPromotionAnalysis", *b.PostPromotionAnalysis, true)
	}
}

func zero(v *intstr.IntOrString) bool {
	return v != nil && (v.Type == intstr.Int && v.IntVal == 0 || v.StrVal == "0" || v.StrVal == "0%")
}

func count(claims ...bool) int {
	n := 0
	for _, holds := range claims {
		if holds {
			n++
		}
	}
	return n
}

func (v *checking) step(at string, s v1alpha1.CanaryStep, routing *v1alpha1.RolloutTrafficRouting) {
	// As upstream: what decides when a step is over stands alone; scale and managed routes may stand beside it.
	set := count(s.SetWeight != nil, s.Pause != nil, s.Analysis != nil, s.Experiment != nil, s.Plugin != nil)
	beside := count(s.SetCanaryScale != nil, s.SetHeaderRoute != nil, s.SetMirrorRoute != nil)
	most := maxWeight
	if routing != nil {
		most = orElse(routing.MaxTrafficWeight, maxWeight)
	}
	if s.SetHeaderRoute != nil {
		v.managed(at+".setHeaderRoute", s.SetHeaderRoute.Name, routing, v.w.Routing.Headers)
	}
	if s.SetMirrorRoute != nil {
		v.managed(at+".setMirrorRoute", s.SetMirrorRoute.Name, routing, v.w.Routing.Mirrors)
	}
	if s.SetCanaryScale != nil && routing == nil {
		v.addf(at+".setCanaryScale", "needs trafficRouting")
	}
	switch {
	case set > 1 || set+beside == 0:
		v.addf(at, "exactly one kind of step must be set, not %d", set)
	case s.Plugin != nil:
		v.addf(at+".plugin", "step plugins are not served by this version")
	case s.Experiment != nil:
		v.experiment(at+".experiment", s.Experiment, routing != nil)
	case s.SetWeight != nil && (*s.SetWeight < 0 || *s.SetWeight > most):
		v.addf(at+".setWeight", "must be between 0 and %d", most)
	case s.Pause != nil && s.Pause.Duration != nil:
		if _, ok := pauseLength(s.Pause.Duration); !ok {
			v.addf(at+".pause.duration", "%q is no duration such as 90 or 1m30s", s.Pause.Duration.String())
		}
	case s.Analysis != nil:
		v.analysis(at+".analysis", *s.Analysis, true)
	}
}

// managed checks a step that adds or removes a route.
func (v *checking) managed(at, name string, routing *v1alpha1.RolloutTrafficRouting, can bool) {
	switch {
	case routing == nil:
		v.addf(at, "needs trafficRouting")
	case !can:
		v.addf(at, "is something that not all of the named routers can do")
	case !slices.ContainsFunc(routing.ManagedRoutes, func(m v1alpha1.MangedRoute) bool { return m.Name == name }):
		v.addf(at+".name", "%q is not among trafficRouting.managedRoutes", name)
	}
}

func (v *checking) analysis(at string, a v1alpha1.RolloutAnalysis, finite bool) {
	if len(a.Templates) == 0 {
		v.addf(at+".templates", "must not be empty")
		return
	}
	// Which hash an argument stands for does not matter for whether it can be resolved.
	resolve := func(from v1alpha1.ArgumentValueFrom) (string, error) {
		return analysis.FromRollout(v.w.Rollout, from, "latest", "stable")
	}
	if v.w.Partial && slices.ContainsFunc(a.Templates, func(ref v1alpha1.AnalysisTemplateRef) bool {
		_, is := v.w.Templates[ref]
		return !is
	}) {
		return
	}
	if _, err := analysis.Merge(a, v.w.Templates, resolve, finite); err != nil {
		v.addf(at, "%v", err)
	}
}

func (v *checking) service(at, name string) {
	if name == "" {
		return
	}
	svc, ok := v.w.Services[name]
	if !ok && v.w.Partial {
		return
	}
	if !ok {
		v.addf(at, "service %q is not there", name)
		return
	}
	if by := svc.Annotations[AnnotationManagedBy]; by != "" && by != v.w.Rollout.Name {
		v.addf(at, "service %q is managed by another Rollout: %s", name, by)
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		v.addf(at, "service %q selects no pods", name)
	}
	for key, value := range svc.Spec.Selector {
		if key != HashLabel && v.w.Rollout.Spec.Template.Labels[key] != value {
			v.addf(at, "service %q selects %s=%s, which the pod template does not have", name, key, value)
		}
	}
}

func (v *checking) routing(at string, c *v1alpha1.CanaryStrategy) {
	if i := c.TrafficRouting.Istio; c.PingPong == nil && (i == nil || i.DestinationRule == nil) &&
		(c.CanaryService == "" || c.StableService == "" || c.CanaryService == c.StableService) {
		v.addf(at, "needs two different services: canaryService and stableService")
	}
	for _, p := range v.w.Routing.Problems {
		v.addf(at+"."+p.Field, "%s", p.Reason)
	}
	for _, route := range v.w.Routes {
		r := route.Observed()
		switch {
		case r.Missing && v.w.Partial:
		case r.Missing:
			v.addf(at+"."+r.Field, "%s %s/%s is not there", r.Kind, r.Namespace, r.Name)
		case r.Problem != "":
			v.addf(at+"."+r.Field, "%s %s/%s %s", r.Kind, r.Namespace, r.Name, r.Problem)
		}
	}
}

// summary puts problems in one line, the same one each time.
func summary(problems []Problem) string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.Field + ": " + p.Reason
	}
	return strings.Join(lines, "; ")
}
