package router

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// alb shares the traffic by an action annotation of an Ingress that the AWS load balancer controller reads. Source:
// docs of that controller, Ingress annotations, custom actions.
var alb = Router{
	Field:   "alb",
	Kinds:   ingressKinds,
	Refs:    albRefs,
	Observe: observeALB,
	Apply:   applyALB,
	Headers: true, Weights: true, PingPong: true,
}

// useAnnotation is the port name by which a path of an Ingress names an action.
const useAnnotation = "use-annotation"

// annotationConditions holds the names of the header routes that steps added to an Ingress.
const annotationConditions = "rollouts.argoproj.io/managed-alb-actions"

func albRefs(in Input) (refs []traffic.Ref, named bool, err error) {
	cfg := in.Routing().ALB
	if cfg == nil {
		return nil, false, nil
	}
	if in.Canary.PingPong != nil && cfg.RootService == "" {
		return nil, true, fmt.Errorf("rootService must be set for pingPong")
	}
	for _, s := range in.Canary.Steps {
		if s.SetHeaderRoute == nil {
			continue
		}
		for _, m := range s.SetHeaderRoute.Match {
			if v := m.HeaderValue; v == nil || v.Exact == "" {
				return nil, true, fmt.Errorf("setHeaderRoute %s: matches headers by exact values only", s.SetHeaderRoute.Name)
			}
		}
	}
	return ingressRefs(in, cfg.Ingress, cfg.Ingresses, "ingress")
}

func albPrefix(in Input) string {
	return orText(in.Routing().ALB.AnnotationPrefix, "alb.ingress.kubernetes.io")
}

// albAction is the service that the paths of an Ingress name for the shared traffic.
func albAction(in Input) string {
	_, stable := in.services()
	return orText(in.Routing().ALB.RootService, stable)
}

type albForward struct {
	Type          string `json:"Type"`
	ForwardConfig struct {
		TargetGroups []albTarget    `json:"TargetGroups"`
		Stickiness   *albStickiness `json:"TargetGroupStickinessConfig,omitempty"`
	} `json:"ForwardConfig"`
}

type albTarget struct {
	ServiceName string `json:"ServiceName"`
	ServicePort string `json:"ServicePort"`
	Weight      *int32 `json:"Weight,omitempty"`
}

type albStickiness struct {
	Enabled         bool  `json:"Enabled"`
	DurationSeconds int64 `json:"DurationSeconds"`
}

func observeALB(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
	u := objects.Get(ref)
	if u == nil {
		return traffic.Observed{Missing: true}
	}
	action := albAction(in)
	if len(albPaths(u.Object, action)) == 0 {
		out.Problem = fmt.Sprintf("has no rule with the service %s and the port name %s", action, useAnnotation)
		return out
	}
	var had albForward
	raw := u.GetAnnotations()[albPrefix(in)+"/actions."+action]
	if raw == "" || json.Unmarshal([]byte(raw), &had) != nil {
		return out
	}
	canary, _ := in.services()
	for _, t := range had.ForwardConfig.TargetGroups {
		if t.ServiceName == canary && t.Weight != nil {
			out.CanaryWeight = *t.Weight
		}
	}
	return out
}

// albPaths are the paths of an Ingress that use an action, each with the rule it stands in.
func albPaths(tree map[string]any, action string) (out []map[string]any) {
	for _, rule := range objectsOf(at(tree, "spec", "rules")) {
		for _, path := range objectsOf(at(rule, "http", "paths")) {
			if text(at(path, "backend", "service", "name")) == action &&
				text(at(path, "backend", "service", "port", "name")) == useAnnotation {
				out = append(out, rule)
				break
			}
		}
	}
	return out
}

func applyALB(in Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
	u := objects.Edit(ref)
	if u == nil {
		return
	}
	cfg := in.Routing().ALB
	port := strconv.Itoa(int(cfg.ServicePort))
	target := func(service string, weight int32) albTarget {
		return albTarget{ServiceName: service, ServicePort: port, Weight: &weight}
	}
	var forward albForward
	forward.Type = "forward"
	groups := []albTarget{target(split.Canary, split.CanaryWeight)}
	for _, d := range split.Additional {
		groups = append(groups, target(d.Service, d.Weight))
	}
	groups = append(groups, target(split.Stable, split.StableWeight()))
	forward.ForwardConfig.TargetGroups = groups
	if s := cfg.StickinessConfig; s != nil && s.Enabled {
		forward.ForwardConfig.Stickiness = &albStickiness{Enabled: true, DurationSeconds: s.DurationSeconds}
	}
	putJSON(u, albPrefix(in)+"/actions."+albAction(in), forward)
	applyALBHeaders(in, u, split, port)
}

// putJSON writes an annotation, unless it says the same in other words.
func putJSON(u *unstructured.Unstructured, name string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		return
	}
	var had any
	if json.Unmarshal([]byte(u.GetAnnotations()[name]), &had) == nil {
		if same, err := json.Marshal(had); err == nil && string(same) == sorted(data) {
			return
		}
	}
	annotate(u, name, string(data))
}

// sorted is JSON with the keys of its objects in order.
func sorted(data []byte) string {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return ""
	}
	out, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(out)
}

// applyALBHeaders adds a path for each header route before those of the action, with a condition of its own.
func applyALBHeaders(in Input, u *unstructured.Unstructured, split traffic.Split, port string) {
	prefix := albPrefix(in)
	had := map[string]bool{}
	for name := range strings.SplitSeq(u.GetAnnotations()[annotationConditions], ",") {
		had[name] = name != ""
	}
	want := map[string]traffic.Managed{}
	for _, m := range split.Managed {
		if !m.Mirror {
			want[m.Name] = m
		}
	}
	for name, was := range had {
		if _, stays := want[name]; was && !stays {
			unannotate(u, prefix+"/actions."+name)
			unannotate(u, prefix+"/conditions."+name)
		}
	}
	for _, rule := range albPaths(u.Object, albAction(in)) {
		http := object(rule, "http")
		rest := slices.DeleteFunc(slices.Clone(asList(http["paths"])), func(p any) bool {
			path, _ := p.(map[string]any)
			return had[text(at(path, "backend", "service", "name"))]
		})
		var added []any
		for _, m := range split.Managed {
			if m.Mirror || len(rest) == 0 {
				continue
			}
			first, _ := rest[0].(map[string]any)
			path := copied(first)
			path["backend"] = map[string]any{"service": map[string]any{
				"name": m.Name, "port": map[string]any{"name": useAnnotation},
			}}
			added = append(added, path)
		}
		http["paths"] = append(added, rest...)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		var forward albForward
		forward.Type = "forward"
		forward.ForwardConfig.TargetGroups = []albTarget{
			{ServiceName: split.Canary, ServicePort: port, Weight: new(int32(100))},
		}
		putJSON(u, prefix+"/actions."+name, forward)
		var conditions []map[string]any
		for _, h := range want[name].Headers {
			conditions = append(conditions, map[string]any{
				"field": "http-header",
				"httpHeaderConfig": map[string]any{
					"httpHeaderName": h.HeaderName, "values": []string{any1(h.HeaderValue).Exact},
				},
			})
		}
		putJSON(u, prefix+"/conditions."+name, conditions)
	}
	if len(want) == 0 {
		unannotate(u, annotationConditions)
		return
	}
	annotate(u, annotationConditions, strings.Join(slices.Sorted(maps.Keys(want)), ","))
}
