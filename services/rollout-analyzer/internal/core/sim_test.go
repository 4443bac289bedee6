package core

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// sim is a small cluster: it performs actions as the shell does and changes nothing by itself.
type sim struct {
	t       testing.TB
	w       World
	version int
	// log is what was done.
	log []string
	// lives says whether the process outlives the next action; nil means that it always does.
	lives func(int) bool
	// facts are the ids published, with how often.
	facts map[string]int
}

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func newSim(t testing.TB) *sim {
	s := &sim{t: t, facts: map[string]int{}}
	s.w = World{Now: start, Services: map[string]*corev1.Service{}, Templates: templates()}
	return s
}

// simRoute is an object that splits traffic, as short as it can be.
type simRoute struct {
	seen    traffic.Observed
	shares  map[string]int32
	managed []traffic.Managed
}

func (r *simRoute) Observed() traffic.Observed { return r.seen }

// sharesOf are the shares of a split by service; who gets nothing is left out.
func sharesOf(split traffic.Split) map[string]int32 {
	out := map[string]int32{split.Canary: split.CanaryWeight, split.Stable: split.StableWeight()}
	for _, d := range split.Additional {
		out[d.Service] = d.Weight
	}
	maps.DeleteFunc(out, func(_ string, n int32) bool { return n == 0 })
	return out
}

func (r *simRoute) Obeys(split traffic.Split) bool {
	return maps.Equal(r.shares, sharesOf(split)) && reflect.DeepEqual(r.managed, split.Managed)
}

func (r *simRoute) say(split traffic.Split) *simRoute {
	out := &simRoute{seen: r.seen, shares: sharesOf(split), managed: split.Managed}
	out.seen.CanaryWeight = split.CanaryWeight
	return out
}

func managedText(list []traffic.Managed) (out string) {
	for _, m := range list {
		out += " +" + m.Name
	}
	return out
}

func templates() map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec {
	metric := v1alpha1.Metric{Name: "rate", Interval: "10s", SuccessCondition: "result[0] > 0.9",
		Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Query: "up{{args.service}}"}}}
	return map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec{
		{TemplateName: "rate"}: {
			Args:    []v1alpha1.Argument{{Name: "service", Value: v1alpha1.AnyStringPtr("x")}},
			Metrics: []v1alpha1.Metric{metric},
		},
	}
}

// twin is a copy that can go another way.
func (s *sim) twin() *sim {
	out := *s
	out.facts, out.log = map[string]int{}, nil
	out.w.Rollout = s.w.Rollout.DeepCopy()
	out.w.Routes = nil
	for _, r := range s.w.Routes {
		twin := *r.(*simRoute)
		out.w.Routes = append(out.w.Routes, &twin)
	}
	out.w.Runs = slices.Clone(s.w.Runs)
	out.w.Experiments = slices.Clone(s.w.Experiments)
	out.w.ReplicaSets, out.w.Services = nil, map[string]*corev1.Service{}
	out.w.Pods = maps.Clone(s.w.Pods)
	for _, rs := range s.w.ReplicaSets {
		out.w.ReplicaSets = append(out.w.ReplicaSets, rs.DeepCopy())
	}
	for name, svc := range s.w.Services {
		out.w.Services[name] = svc.DeepCopy()
	}
	return &out
}

// gatewayPlugin is how tests name a router.
const gatewayPlugin = "argoproj-labs/gatewayAPI"

// make declares a Rollout of steps such as "setWeight 20; pause 60s; analysis rate".
func (s *sim) make(replicas int32, steps string, routed bool) {
	c := &v1alpha1.CanaryStrategy{Steps: parseSteps(s.t, steps)}
	if routed {
		c.CanaryService, c.StableService = "canary", "stable"
		c.TrafficRouting = &v1alpha1.RolloutTrafficRouting{
			Plugins: map[string]jsonText{gatewayPlugin: jsonText(`{"httpRoute":"web"}`)},
		}
		for _, name := range []string{"canary", "stable"} {
			s.w.Services[name] = &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "shop"}},
			}
		}
		s.w.Routing = traffic.Routing{Headers: true, Mirrors: true, Weights: true}
		s.w.Routes = []traffic.Route{&simRoute{seen: traffic.Observed{
			Ref: traffic.Ref{Kind: "HTTPRoute", Namespace: "ns", Name: "web"}, Field: "plugins." + gatewayPlugin,
		}, shares: map[string]int32{"stable": 100}}}
	}
	s.w.Rollout = &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "ns", UID: "u1", Generation: 1,
			Annotations: map[string]string{"argosy.dev/correlationid": "chain"}},
		Spec: v1alpha1.RolloutSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}},
			Strategy: v1alpha1.RolloutStrategy{Canary: c},
		},
	}
	s.image("v1")
}

// makeBlueGreen declares a Rollout with an active and a preview service.
func (s *sim) makeBlueGreen(replicas int32) {
	s.make(replicas, "", false)
	s.w.Rollout.Spec.Strategy = v1alpha1.RolloutStrategy{
		BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "active", PreviewService: "preview"},
	}
	for _, name := range []string{"active", "preview"} {
		s.w.Services[name] = &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "shop"}},
		}
	}
}

func (s *sim) image(tag string) {
	s.w.Rollout.Generation++
	s.w.Rollout.Spec.Template = corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "shop"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "shop:" + tag}}},
	}
}

func parseSteps(t testing.TB, text string) (out []v1alpha1.CanaryStep) {
	for part := range strings.SplitSeq(text, ";") {
		kind, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		var step v1alpha1.CanaryStep
		switch kind {
		case "":
			continue
		case "setWeight":
			step.SetWeight = new(number(t, value))
		case "pause":
			step.Pause = &v1alpha1.RolloutPause{}
			if value != "" {
				step.Pause.Duration = new(intstr.Parse(value))
			}
		case "setCanaryScale":
			step.SetCanaryScale = &v1alpha1.SetCanaryScale{Replicas: new(number(t, value))}
		case "setHeaderRoute":
			step.SetHeaderRoute = &v1alpha1.SetHeaderRoute{Name: value}
			if name, off := strings.CutPrefix(value, "no "); off {
				step.SetHeaderRoute.Name = name
			} else {
				step.SetHeaderRoute.Match = []v1alpha1.HeaderRoutingMatch{{HeaderName: "beta"}}
			}
		case "setMirrorRoute":
			step.SetMirrorRoute = &v1alpha1.SetMirrorRoute{
				Name: value, Match: []v1alpha1.RouteMatch{{Method: &v1alpha1.StringMatch{Exact: "GET"}}},
			}
		case "experiment":
			step.Experiment = &v1alpha1.RolloutExperimentStep{Templates: []v1alpha1.RolloutExperimentTemplate{
				{Name: "baseline", SpecRef: "stable"}, {Name: "trial", SpecRef: "canary"},
			}}
			if value != "" {
				step.Experiment.Templates[1].Weight = new(number(t, value))
			}
		case "analysis":
			step.Analysis = &v1alpha1.RolloutAnalysis{
				Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: value}},
			}
		default:
			t.Fatalf("no such step: %s", part)
		}
		out = append(out, step)
	}
	return out
}

func number(t testing.TB, text string) int32 {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// pass decides once and performs the actions. It reports whether anything was to be done.
func (s *sim) pass() bool {
	acted := false
	before := len(s.log)
	for i, a := range Decide(s.w) {
		if _, idle := a.(WakeAt); !idle {
			acted = true
		}
		if s.lives != nil && !s.lives(i) {
			break
		}
		s.perform(a)
	}
	if acted {
		s.log = append(s.log[:before], append([]string{"pass:"}, s.log[before:]...)...)
	}
	return acted
}

// settle decides until nothing is to be done; pods follow at once when ready says so.
func (s *sim) settle(ready bool) {
	for range 400 {
		acted := s.pass()
		if ready && s.follow("") {
			acted = true
		}
		if !acted {
			return
		}
	}
	s.t.Fatalf("no rest after 400 passes:\n%s", strings.Join(s.log, "\n"))
}

// follow makes the pods of the named ReplicaSet, or of all, what was asked for.
func (s *sim) follow(name string) (changed bool) {
	for _, rs := range s.w.ReplicaSets {
		if name != "" && rs.Name != name {
			continue
		}
		to := appsv1.ReplicaSetStatus{
			Replicas: size(
				rs,
			),
			ReadyReplicas:      size(rs),
			AvailableReplicas:  size(rs),
			ObservedGeneration: rs.Generation,
		}
		s.pods(rs)
		if rs.Status.Replicas != to.Replicas || rs.Status.AvailableReplicas != to.AvailableReplicas ||
			rs.Status.ObservedGeneration != to.ObservedGeneration {
			changed = true
			rs.Status = to
			s.bump(&rs.ObjectMeta)
		}
	}
	return changed
}

func (s *sim) bump(m *metav1.ObjectMeta) {
	s.version++
	m.ResourceVersion = strconv.Itoa(s.version)
}

func (s *sim) say(format string, args ...any) {
	s.log = append(s.log, "  "+fmt.Sprintf(format, args...))
}

func (s *sim) perform(a Action) {
	switch a := a.(type) {
	case CreateReplicaSet:
		rs := a.Object.DeepCopy()
		rs.CreationTimestamp = metav1.NewTime(s.w.Now.Add(time.Duration(s.version) * time.Millisecond))
		s.bump(&rs.ObjectMeta)
		s.w.ReplicaSets = append(s.w.ReplicaSets, rs)
		s.say("create %s", s.short(rs.Labels[HashLabel]))
	case UpdateReplicaSet:
		s.updateSet(a)
	case DeleteReplicaSet:
		s.say("delete %s", s.shortName(a.Name))
		s.w.ReplicaSets = slices.DeleteFunc(
			s.w.ReplicaSets,
			func(rs *appsv1.ReplicaSet) bool { return rs.Name == a.Name },
		)
	case SwitchService:
		svc := s.w.Services[a.Service]
		if a.Hash == "" {
			delete(svc.Spec.Selector, HashLabel)
			delete(svc.Annotations, AnnotationManagedBy)
			s.say("give back %s", a.Service)
			return
		}
		svc.Spec.Selector = with(svc.Spec.Selector, HashLabel, a.Hash)
		svc.Annotations = with(svc.Annotations, AnnotationManagedBy, s.w.Rollout.Name)
		s.say("point %s at %s", a.Service, s.short(a.Hash))
	case EvictPod:
		s.evict(a.Name)
		s.say("evict %s", a.Name)
	case PatchPod:
		s.patchPod(a)
	case ScaleWorkload:
		s.w.Workload.Replicas = a.Replicas
		s.say("scale workload to %d", a.Replicas)
	case SetWeight:
		for i, r := range s.w.Routes {
			if r.Observed().Ref == a.Route {
				s.w.Routes[i] = r.(*simRoute).say(a.Split)
			}
		}
		further := managedText(a.Split.Managed)
		for _, d := range a.Split.Additional {
			further += fmt.Sprintf(" %s=%d", d.Service, d.Weight)
		}
		s.say("weight %d%s", a.Split.CanaryWeight, further)
	case PatchStatus:
		s.w.Rollout = s.w.Rollout.DeepCopy()
		a.Status.DeepCopyInto(&s.w.Rollout.Status)
		if c := s.w.Rollout.Spec.Strategy.Canary; c != nil && c.PingPong != nil {
			// What the canary gets depends on which of the two services is its.
			p := &pass{canary: c, st: a.Status}
			r := s.w.Routes[0].(*simRoute)
			r.seen.CanaryWeight = r.shares[p.canaryService()]
		}
		s.bump(&s.w.Rollout.ObjectMeta)
	case PatchRollout:
		s.w.Rollout = s.w.Rollout.DeepCopy()
		if a.Replicas != nil {
			s.w.Rollout.Spec.Replicas = a.Replicas
		}
		s.w.Rollout.Annotations = with(s.w.Rollout.Annotations, AnnotationRevision, a.Revision)
	case PublishFact:
		s.facts[a.ID]++
		s.say("fact %s %s", a.Body.Fact(), factText(events.NewFact(events.Object{}, a.Body).Attributes))
	case WakeAt:
	case RecordEvent:
	default:
		s.performRun(a)
	}
}

func (s *sim) updateSet(a UpdateReplicaSet) {
	for i, old := range s.w.ReplicaSets {
		if old.Name != a.Name {
			continue
		}
		if old.ResourceVersion != a.Version {
			s.t.Fatalf("%s: decided about version %s, is %s", a.Name, a.Version, old.ResourceVersion)
		}
		rs := old.DeepCopy()
		s.w.ReplicaSets[i] = rs
		s.bump(&rs.ObjectMeta)
		maps.Copy(rs.Annotations, a.Set)
		for _, key := range a.Remove {
			delete(rs.Annotations, key)
		}
		if a.MinReady != nil {
			rs.Spec.MinReadySeconds = *a.MinReady
		}
		if a.Metadata != nil {
			rs.Spec.Template.Labels, rs.Spec.Template.Annotations = a.Metadata.Labels, a.Metadata.Annotations
			s.say("dress %s %s", s.shortName(a.Name), a.Set[AnnotationEphemeral])
		}
		if a.SetAffinity {
			rs.Spec.Template.Spec.Affinity = a.Affinity
			s.say("spread %s %v", s.shortName(a.Name), a.Affinity != nil)
		}
		if a.Replicas != nil {
			s.say("scale %s %d -> %d", s.shortName(a.Name), size(rs), *a.Replicas)
			rs.Spec.Replicas = a.Replicas
			rs.Generation++
		}
		if d := a.Set[AnnotationScaleDown]; d != "" {
			s.say("announce %s goes at %s", s.shortName(a.Name), d[11:19])
		}
	}
}

func (s *sim) performRun(a Action) {
	switch a := a.(type) {
	case CreateAnalysisRun:
		run := a.Object.DeepCopy()
		run.CreationTimestamp = metav1.NewTime(s.w.Now)
		s.w.Runs = append(s.w.Runs, run)
		s.say("analyse %s", s.runName(run.Name))
	case RetireAnalysisRun:
		for i, old := range s.w.Runs {
			if old.Name == a.Name {
				run := old.DeepCopy()
				s.w.Runs[i] = run
				run.Spec.Terminate = run.Spec.Terminate || !run.Status.Phase.Completed()
				if a.Superseded {
					run.Annotations[AnnotationSpent] = "true"
				}
				s.say("retire %s", s.runName(a.Name))
			}
		}
	case DeleteAnalysisRun:
		s.w.Runs = slices.DeleteFunc(s.w.Runs, func(r *v1alpha1.AnalysisRun) bool { return r.Name == a.Name })
		s.say("forget %s", s.runName(a.Name))
	case CreateExperiment:
		ex := a.Object.DeepCopy()
		ex.CreationTimestamp = metav1.NewTime(s.w.Now)
		s.w.Experiments = append(s.w.Experiments, ex)
		s.say("experiment %s", s.runName(ex.Name))
	case RetireExperiment:
		for i, old := range s.w.Experiments {
			if old.Name == a.Name {
				ex := old.DeepCopy()
				s.w.Experiments[i] = ex
				ex.Spec.Terminate = ex.Spec.Terminate || !ex.Status.Phase.Completed()
				if a.Superseded {
					ex.Annotations[AnnotationSpent] = "true"
				}
				s.say("retire experiment %s", s.runName(a.Name))
			}
		}
	case DeleteExperiment:
		s.w.Experiments = slices.DeleteFunc(
			s.w.Experiments, func(e *v1alpha1.Experiment) bool { return e.Name == a.Name },
		)
		s.say("forget experiment %s", s.runName(a.Name))
	default:
		s.t.Fatalf("the simulator does not know %T", a)
	}
}

// pods makes the pods of a ReplicaSet as many as it asks for, with what its template says.
func (s *sim) pods(rs *appsv1.ReplicaSet) {
	if s.w.Pods == nil {
		s.w.Pods = map[string][]*corev1.Pod{}
	}
	have := s.w.Pods[rs.Name]
	for len(have) < int(size(rs)) {
		s.version++
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: s.shortName(rs.Name) + "-" + strconv.Itoa(s.version), CreationTimestamp: metav1.NewTime(s.w.Now),
			Labels: maps.Clone(rs.Spec.Template.Labels), Annotations: maps.Clone(rs.Spec.Template.Annotations),
		}}
		have = append(have, pod)
	}
	s.w.Pods[rs.Name] = slices.Clone(have[:size(rs)])
}

// evict takes a pod away and makes its place empty until pods follow.
func (s *sim) evict(name string) {
	for _, rs := range s.w.ReplicaSets {
		before := len(s.w.Pods[rs.Name])
		s.w.Pods[rs.Name] = slices.DeleteFunc(
			slices.Clone(s.w.Pods[rs.Name]), func(p *corev1.Pod) bool { return p.Name == name },
		)
		if len(s.w.Pods[rs.Name]) < before {
			rs.Status.AvailableReplicas--
			s.bump(&rs.ObjectMeta)
		}
	}
}

func (s *sim) patchPod(a PatchPod) {
	for _, pods := range s.w.Pods {
		for i, pod := range pods {
			if pod.Name == a.Name {
				pods[i] = pod.DeepCopy()
				pods[i].Labels, pods[i].Annotations = a.Labels, a.Annotations
			}
		}
	}
	s.say("dress pod %s", a.Name)
}

// finishRuns gives every open run a verdict.
func (s *sim) finishRuns(phase v1alpha1.AnalysisPhase) {
	for i, old := range s.w.Runs {
		if !old.Status.Phase.Completed() {
			run := old.DeepCopy()
			run.Status.Phase, run.Status.Message = phase, "said so"
			s.w.Runs[i] = run
		}
	}
}

// stage makes the experiments that still go on as they would be: their pods there, or over with a phase.
func (s *sim) stage(phase v1alpha1.AnalysisPhase) {
	for i, old := range s.w.Experiments {
		if old.Status.Phase.Completed() {
			continue
		}
		ex := old.DeepCopy()
		s.w.Experiments[i] = ex
		ex.Status.Phase, ex.Status.Message = phase, "said so"
		ex.Status.AvailableAt, ex.Status.TemplateStatuses = &metav1.Time{Time: s.w.Now}, nil
		for _, t := range ex.Spec.Templates {
			st := v1alpha1.TemplateStatus{Name: t.Name, Status: v1alpha1.TemplateRunning, PodTemplateHash: t.Name}
			if t.Service != nil {
				st.ServiceName = "svc-" + t.Name
			}
			ex.Status.TemplateStatuses = append(ex.Status.TemplateStatuses, st)
		}
	}
}

// short names templates by revision order: A is the first one.
func (s *sim) short(hash string) string {
	sets := slices.Clone(s.w.ReplicaSets)
	sort.SliceStable(
		sets,
		func(i, j int) bool { return sets[i].CreationTimestamp.Time.Before(sets[j].CreationTimestamp.Time) },
	)
	for i, rs := range sets {
		if rs.Labels[HashLabel] == hash {
			return string(rune('A' + i))
		}
	}
	return "?"
}

func (s *sim) shortName(name string) string { return s.short(strings.TrimPrefix(name, "shop-")) }

func (s *sim) runName(name string) string {
	parts := strings.SplitN(name, "-", 3)
	return s.short(parts[1]) + "-" + parts[2]
}

func factText(attributes map[string]string) string {
	var parts []string
	for _, key := range []string{"revision", "step", "weight", "image", "reason"} {
		if v := attributes[key]; v != "" {
			parts = append(parts, key+"="+v)
		}
	}
	return strings.Join(parts, " ")
}

// show is the state in a few lines.
func (s *sim) show() string {
	var b strings.Builder
	st := s.w.Rollout.Status
	step := "-"
	if st.CurrentStepIndex != nil {
		step = itoa(*st.CurrentStepIndex)
	}
	fmt.Fprintf(
		&b, "%s %q step=%s stable=%s current=%s", st.Phase, st.Message, step, s.short(st.StableRS),
		s.short(st.CurrentPodHash),
	)
	if len(s.w.Routes) > 0 {
		pair := []string{"canary", "stable"}
		if s.w.Rollout.Spec.Strategy.Canary.PingPong != nil {
			pair = []string{"ping", "pong"}
		}
		fmt.Fprintf(
			&b, " weight=%d services=%s/%s", s.w.Routes[0].Observed().CanaryWeight,
			s.short(s.w.Services[pair[0]].Spec.Selector[HashLabel]),
			s.short(s.w.Services[pair[1]].Spec.Selector[HashLabel]),
		)
	}
	if svc := s.w.Services["active"]; svc != nil {
		fmt.Fprintf(
			&b, " active=%s preview=%s", s.short(svc.Spec.Selector[HashLabel]),
			s.short(s.w.Services["preview"].Spec.Selector[HashLabel]),
		)
	}
	for _, rs := range s.w.ReplicaSets {
		fmt.Fprintf(&b, " %s=%d/%d", s.short(rs.Labels[HashLabel]), rs.Status.AvailableReplicas, size(rs))
	}
	return b.String()
}
