package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// gatewayPlugin is the key of trafficRouting.plugins of the Gateway API. Source:
// argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi.
const gatewayPlugin = "argoproj-labs/gatewayAPI"

const gatewayGroup = "gateway.networking.k8s.io"

// The label of a route while a canary receives traffic from it, as the plugin has it.
const (
	labelInProgress = "rollouts.argoproj.io/gatewayapi-canary"
	inProgress      = "in-progress"
)

// annotationRules holds the rules of an HTTPRoute that steps added, so that they are known again when they have to
// go: rules need not have names.
const annotationRules = "argosy.dev/managed-rules"

// gatewayAPI shares the traffic of routes of the Gateway API. Routes are edited as plain trees: no version of their
// Go types has to match the cluster's.
var gatewayAPI = Router{
	Field: "plugins." + gatewayPlugin,
	Kinds: []Kind{
		{schema.GroupKind{Group: gatewayGroup, Kind: "HTTPRoute"}, []string{"v1", "v1beta1"}},
		{schema.GroupKind{Group: gatewayGroup, Kind: "GRPCRoute"}, []string{"v1", "v1alpha2"}},
		{schema.GroupKind{Group: gatewayGroup, Kind: "TCPRoute"}, []string{"v1", "v1alpha2"}},
		{schema.GroupKind{Group: gatewayGroup, Kind: "TLSRoute"}, []string{"v1", "v1alpha3", "v1alpha2"}},
	},
	Refs:    gatewayRoutes,
	Observe: observeGatewayRoute,
	Apply:   applyGatewayRoute,
	Headers: true, Mirrors: true, Weights: true, Total: true, PingPong: true,
}

type gatewayConfig struct {
	HTTPRoute         string          `json:"httpRoute"`
	GRPCRoute         string          `json:"grpcRoute"`
	TCPRoute          string          `json:"tcpRoute"`
	TLSRoute          string          `json:"tlsRoute"`
	HTTPRoutes        []gatewayName   `json:"httpRoutes"`
	GRPCRoutes        []gatewayName   `json:"grpcRoutes"`
	TCPRoutes         []gatewayName   `json:"tcpRoutes"`
	TLSRoutes         []gatewayName   `json:"tlsRoutes"`
	HTTPRouteSelector json.RawMessage `json:"httpRouteSelector"`
	GRPCRouteSelector json.RawMessage `json:"grpcRouteSelector"`
	TCPRouteSelector  json.RawMessage `json:"tcpRouteSelector"`
	TLSRouteSelector  json.RawMessage `json:"tlsRouteSelector"`
	Namespace         string          `json:"namespace"`
}

type gatewayName struct {
	Name string `json:"name"`
}

// gatewayRoutes returns the routes that a configuration names.
func gatewayRoutes(in Input) (refs []traffic.Ref, named bool, err error) {
	raw, ok := in.Routing().Plugins[gatewayPlugin]
	if !ok {
		return nil, false, nil
	}
	var cfg gatewayConfig
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, true, fmt.Errorf("read the configuration: %w", err)
	}
	if cfg.Namespace == "" {
		cfg.Namespace = in.Namespace
	}
	for _, k := range []struct {
		kind     string
		one      string
		many     []gatewayName
		selector json.RawMessage
	}{
		{"HTTPRoute", cfg.HTTPRoute, cfg.HTTPRoutes, cfg.HTTPRouteSelector},
		{"GRPCRoute", cfg.GRPCRoute, cfg.GRPCRoutes, cfg.GRPCRouteSelector},
		{"TCPRoute", cfg.TCPRoute, cfg.TCPRoutes, cfg.TCPRouteSelector},
		{"TLSRoute", cfg.TLSRoute, cfg.TLSRoutes, cfg.TLSRouteSelector},
	} {
		if len(k.selector) > 0 {
			return nil, true, fmt.Errorf("routes are not found by labels in this version; name each %s", k.kind)
		}
		names := k.many
		if k.one != "" {
			names = append([]gatewayName{{Name: k.one}}, names...)
		}
		for _, n := range names {
			refs = append(
				refs, traffic.Ref{Group: gatewayGroup, Kind: k.kind, Namespace: cfg.Namespace, Name: n.Name},
			)
		}
	}
	if len(refs) == 0 {
		return nil, true, errors.New("names no HTTPRoute, GRPCRoute, TCPRoute or TLSRoute")
	}
	http := slices.ContainsFunc(refs, func(r traffic.Ref) bool { return r.Kind == "HTTPRoute" })
	for _, s := range in.Canary.Steps {
		if !http && (s.SetHeaderRoute != nil || s.SetMirrorRoute != nil) {
			return nil, true, errors.New("names no HTTPRoute, and only these have header and mirror routes")
		}
	}
	return refs, true, nil
}

func observeGatewayRoute(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
	u := objects.Get(ref)
	if u == nil {
		return traffic.Observed{Missing: true}
	}
	canary, stable := in.services()
	all := pairs(u.Object, canary, stable)
	if len(all) == 0 {
		out.Problem = fmt.Sprintf("has no rule with both %s and %s", canary, stable)
	}
	for _, p := range all {
		out.CanaryWeight = max(out.CanaryWeight, whole(p.canary["weight"], 1))
	}
	out.Pending = gatewayPending(u)
	return out
}

// gatewayPending reports whether controllers wrote a status of a route, and none of them has read its newest version.
// Where nobody ever wrote one, nobody is waited for; nor is one that stopped beside one that did not.
func gatewayPending(u *unstructured.Unstructured) bool {
	behind := false
	for _, parent := range objectsOf(at(u.Object, "status", "parents")) {
		for _, c := range objectsOf(parent["conditions"]) {
			if text(c["type"]) != "Accepted" {
				continue
			}
			if int64(whole(c["observedGeneration"], 0)) >= u.GetGeneration() {
				return false
			}
			behind = true
		}
	}
	return behind
}

func applyGatewayRoute(_ Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
	u := objects.Edit(ref)
	if u == nil {
		return
	}
	spec := object(u.Object, "spec")
	rules := withoutManaged(u, spec)
	before := track(u, split)
	for _, p := range pairs(map[string]any{"spec": map[string]any{"rules": rules}}, split.Canary, split.Stable) {
		p.canary["weight"], p.stable["weight"] = number(split.CanaryWeight), number(split.StableWeight())
		p.rule["backendRefs"] = withAdditional(p, before, split)
	}
	if ref.Kind == "HTTPRoute" {
		rules = withManaged(u, rules, split)
	}
	spec["rules"] = rules
	labels := u.GetLabels()
	if split.CanaryWeight > 0 || len(split.Managed) > 0 {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[labelInProgress] = inProgress
	} else {
		delete(labels, labelInProgress)
	}
	if len(labels) == 0 {
		labels = nil
	}
	u.SetLabels(labels)
}

// withAdditional are the backends of a rule with the pods of experiments as further ones, without those of before.
func withAdditional(p pair, before []string, split traffic.Split) []any {
	refs, _ := p.rule["backendRefs"].([]any)
	out := slices.DeleteFunc(slices.Clone(refs), func(b any) bool {
		backend, _ := b.(map[string]any)
		return slices.Contains(before, text(backend["name"]))
	})
	for _, d := range split.Additional {
		backend := copied(p.canary)
		backend["name"], backend["weight"] = d.Service, number(d.Weight)
		out = append(out, backend)
	}
	return out
}

// withoutManaged are the rules of a route that no step added.
func withoutManaged(u *unstructured.Unstructured, spec map[string]any) []any {
	rules, _ := spec["rules"].([]any)
	marked := u.GetAnnotations()[annotationRules]
	if marked == "" {
		return rules
	}
	var ours []any
	if err := json.Unmarshal([]byte(marked), &ours); err != nil {
		return rules
	}
	var texts []string
	for _, r := range ours {
		texts = append(texts, fingerprint(r))
	}
	return slices.DeleteFunc(slices.Clone(rules), func(r any) bool {
		return slices.Contains(texts, fingerprint(r))
	})
}

// fingerprint is what a rule matches. Managed rules say all of it, so that an API server has nothing to fill in.
func fingerprint(rule any) string {
	m, _ := rule.(map[string]any)
	data, err := json.Marshal(m["matches"])
	if err != nil {
		return ""
	}
	return string(data)
}

// withManaged puts the routes that steps added before the others.
func withManaged(u *unstructured.Unstructured, rules []any, split traffic.Split) []any {
	all := pairs(map[string]any{"spec": map[string]any{"rules": rules}}, split.Canary, split.Stable)
	if len(split.Managed) == 0 || len(all) == 0 {
		unannotate(u, annotationRules)
		return rules
	}
	var added []any
	for _, m := range split.Managed {
		for _, p := range all {
			added = append(added, managedRule(p, m))
		}
	}
	data, err := json.Marshal(added)
	if err != nil {
		return rules
	}
	annotate(u, annotationRules, string(data))
	return append(added, rules...)
}

// managedRule is the rule of one managed route, made after the rule that it goes before.
func managedRule(p pair, m traffic.Managed) map[string]any {
	rule := copied(p.rule)
	delete(rule, "name")
	own := objectsOf(rule["matches"])
	if len(own) == 0 {
		own = []map[string]any{{}}
	}
	var matches []any
	for _, match := range own {
		for _, h := range m.Headers {
			matches = append(matches, gatewayMatch(match, v1alpha1.RouteMatch{
				Headers: map[string]v1alpha1.StringMatch{h.HeaderName: any1(h.HeaderValue)},
			}))
		}
		for _, extra := range m.Matches {
			matches = append(matches, gatewayMatch(match, extra))
		}
		if m.Mirror && len(m.Matches) == 0 {
			matches = append(matches, gatewayMatch(match, v1alpha1.RouteMatch{}))
		}
	}
	if m.Mirror {
		canary := copied(p.canary)
		delete(canary, "weight")
		filter := map[string]any{"type": "RequestMirror", "requestMirror": map[string]any{"backendRef": canary}}
		if m.Percentage != 100 {
			object(filter, "requestMirror")["percent"] = number(m.Percentage)
		}
		filters, _ := rule["filters"].([]any)
		rule["filters"] = append(filters, filter)
	} else {
		canary := copied(p.canary)
		canary["weight"] = number(1)
		rule["backendRefs"] = []any{canary}
	}
	rule["matches"] = matches
	return rule
}

// any1 is a match of any value where none is said.
func any1(v *v1alpha1.StringMatch) v1alpha1.StringMatch {
	if v == nil {
		return v1alpha1.StringMatch{Regex: ".*"}
	}
	return *v
}

func gatewayHeader(name string, v v1alpha1.StringMatch) map[string]any {
	out := map[string]any{"name": name, "type": "Exact"}
	switch {
	case v.Prefix != "":
		out["type"], out["value"] = "RegularExpression", "^"+regexp.QuoteMeta(v.Prefix)+".*"
	case v.Regex != "":
		out["type"], out["value"] = "RegularExpression", v.Regex
	default:
		out["value"] = v.Exact
	}
	return out
}

// gatewayMatch is a match of a route narrowed down by a further one. It says its path, which has a default.
func gatewayMatch(own map[string]any, m v1alpha1.RouteMatch) map[string]any {
	out := copied(own)
	if out["path"] == nil {
		out["path"] = map[string]any{"type": "PathPrefix", "value": "/"}
	}
	if m.Method != nil {
		out["method"] = m.Method.Exact
	}
	if m.Path != nil {
		path := map[string]any{"type": "Exact", "value": m.Path.Exact}
		switch {
		case m.Path.Prefix != "":
			path = map[string]any{"type": "PathPrefix", "value": m.Path.Prefix}
		case m.Path.Regex != "":
			path = map[string]any{"type": "RegularExpression", "value": m.Path.Regex}
		}
		out["path"] = path
	}
	headers, _ := out["headers"].([]any)
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		headers = append(headers, gatewayHeader(name, m.Headers[name]))
	}
	if headers != nil {
		out["headers"] = headers
	}
	return out
}

// pair is the two backends of one rule, as parts of the tree.
type pair struct{ rule, canary, stable map[string]any }

func pairs(tree map[string]any, canary, stable string) (out []pair) {
	for _, rule := range objectsOf(at(tree, "spec", "rules")) {
		p := pair{rule: rule}
		for _, backend := range objectsOf(rule["backendRefs"]) {
			if kind := text(backend["kind"]); kind != "" && kind != "Service" {
				continue
			}
			switch backend["name"] {
			case canary:
				p.canary = backend
			case stable:
				p.stable = backend
			}
		}
		if p.canary != nil && p.stable != nil {
			out = append(out, p)
		}
	}
	return out
}
