package router

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const istioGroup = "networking.istio.io"

// istio shares the traffic by weights of VirtualServices, between two hosts or two subsets of one; a DestinationRule
// says which pods a subset is. Source: docs of Argo Rollouts, traffic management, Istio.
var istio = Router{
	Field: "istio",
	Kinds: []Kind{
		{schema.GroupKind{Group: istioGroup, Kind: "VirtualService"}, []string{"v1", "v1beta1", "v1alpha3"}},
		{schema.GroupKind{Group: istioGroup, Kind: "DestinationRule"}, []string{"v1", "v1beta1", "v1alpha3"}},
	},
	Refs:    istioRefs,
	Observe: observeIstio,
	Apply:   applyIstio,
	Headers: true, Mirrors: true, Weights: true, PingPong: true,
}

// istioRef reads a name that may carry a namespace after a dot, as upstream has it.
func istioRef(in Input, kind, name string) traffic.Ref {
	name, namespace, found := strings.Cut(name, ".")
	if !found {
		namespace = in.Namespace
	}
	return traffic.Ref{Group: istioGroup, Kind: kind, Namespace: namespace, Name: name}
}

// istioServices are the VirtualServices that a configuration names, by what they are called there.
func istioServices(in Input) (out []v1alpha1.IstioVirtualService) {
	cfg := in.Routing().Istio
	if cfg.VirtualService != nil {
		out = append(out, *cfg.VirtualService)
	}
	return append(out, cfg.VirtualServices...)
}

func istioRefs(in Input) (refs []traffic.Ref, named bool, err error) {
	cfg := in.Routing().Istio
	if cfg == nil {
		return nil, false, nil
	}
	all := istioServices(in)
	if len(all) == 0 {
		return nil, true, errors.New("names no virtualService")
	}
	if cfg.VirtualService != nil && len(cfg.VirtualServices) > 0 {
		return nil, true, errors.New("one of virtualService and virtualServices must be set, not both")
	}
	if rule := cfg.DestinationRule; rule != nil {
		if rule.CanarySubsetName == "" || rule.StableSubsetName == "" {
			return nil, true, errors.New("destinationRule needs canarySubsetName and stableSubsetName")
		}
		refs = append(refs, istioRef(in, "DestinationRule", rule.Name))
	}
	for _, vs := range all {
		ref := istioRef(in, "VirtualService", vs.Name)
		if slices.Contains(refs, ref) {
			return nil, true, fmt.Errorf("virtualServices names %s twice", vs.Name)
		}
		refs = append(refs, ref)
	}
	return refs, true, nil
}

func observeIstio(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
	u := objects.Get(ref)
	if u == nil {
		return traffic.Observed{Missing: true}
	}
	if ref.Kind == "DestinationRule" {
		if by := u.GetAnnotations()[traffic.AnnotationManagedBy]; by != "" && by != in.Name {
			out.Problem = "is managed by another Rollout: " + by
		}
		return out
	}
	routes, problem := istioRoutes(in, ref, u.Object)
	out.Problem = problem
	names := istioNames(in)
	for _, route := range routes {
		for _, d := range objectsOf(route["route"]) {
			if names.isCanary(d) {
				out.CanaryWeight = max(out.CanaryWeight, whole(d["weight"], 0))
			}
		}
	}
	return out
}

// sides says which destination is the canary and which the stable one.
type istioSides struct{ canary, stable, canarySubset, stableSubset string }

func istioNames(in Input) (s istioSides) {
	s.canary, s.stable = in.services()
	if rule := in.Routing().Istio.DestinationRule; rule != nil {
		s.canarySubset, s.stableSubset = rule.CanarySubsetName, rule.StableSubsetName
	}
	return s
}

func (s istioSides) isCanary(d map[string]any) bool {
	subset := text(at(d, "destination", "subset"))
	if s.canarySubset != "" && subset != "" {
		return subset == s.canarySubset
	}
	return s.canary != "" && host(at(d, "destination", "host")) == s.canary
}

func (s istioSides) isStable(d map[string]any) bool {
	subset := text(at(d, "destination", "subset"))
	if s.stableSubset != "" && subset != "" {
		return subset == s.stableSubset
	}
	return s.stable != "" && host(at(d, "destination", "host")) == s.stable
}

// istioRoutes are the routes of a VirtualService that share the traffic: those that are named, or the only one.
func istioRoutes(in Input, ref traffic.Ref, tree map[string]any) (out []map[string]any, problem string) {
	var cfg v1alpha1.IstioVirtualService
	for _, vs := range istioServices(in) {
		if istioRef(in, "VirtualService", vs.Name) == ref {
			cfg = vs
		}
	}
	managed := names(in)
	var https []map[string]any
	for _, r := range objectsOf(at(tree, "spec", "http")) {
		if !slices.Contains(managed, text(r["name"])) || text(r["name"]) == "" {
			https = append(https, r)
		}
	}
	switch {
	case len(cfg.Routes) > 0:
		for _, name := range cfg.Routes {
			i := slices.IndexFunc(https, func(r map[string]any) bool { return text(r["name"]) == name })
			if i < 0 {
				return nil, fmt.Sprintf("has no http route %q", name)
			}
			out = append(out, https[i])
		}
	case len(cfg.TLSRoutes)+len(cfg.TcpRoutes) > 0:
	case len(https) == 1:
		out = https
	case len(https) > 1:
		return nil, "has several http routes; name those that share the traffic in routes"
	}
	for _, want := range cfg.TLSRoutes {
		out = append(out, matching(at(tree, "spec", "tls"), want.Port, want.SniHosts)...)
	}
	for _, want := range cfg.TcpRoutes {
		out = append(out, matching(at(tree, "spec", "tcp"), want.Port, nil)...)
	}
	if len(cfg.Routes)+len(cfg.TLSRoutes)+len(cfg.TcpRoutes) == 0 && len(https) == 0 {
		out = append(objectsOf(at(tree, "spec", "tls")), objectsOf(at(tree, "spec", "tcp"))...)
		if len(out) > 1 {
			return nil, "has several routes; name those that share the traffic in tlsRoutes or tcpRoutes"
		}
	}
	sides := istioNames(in)
	for _, r := range out {
		ds := objectsOf(r["route"])
		if !slices.ContainsFunc(ds, sides.isStable) {
			return nil, "has a route without the stable destination " + orText(sides.stableSubset, sides.stable)
		}
	}
	if len(out) == 0 {
		return nil, "has no route that shares the traffic"
	}
	return out, ""
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// matching are the routes with a match of a port and of all host names.
func matching(list any, port int64, hosts []string) (out []map[string]any) {
	for _, r := range objectsOf(list) {
		for _, m := range objectsOf(r["match"]) {
			var have []string
			for _, h := range asList(m["sniHosts"]) {
				have = append(have, text(h))
			}
			slices.Sort(have)
			want := slices.Sorted(slices.Values(hosts))
			if (port == 0 || int64(whole(m["port"], 0)) == port) && (len(want) == 0 || slices.Equal(have, want)) {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func asList(v any) []any { l, _ := v.([]any); return l }

func applyIstio(in Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
	u := objects.Edit(ref)
	if u == nil {
		return
	}
	if ref.Kind == "DestinationRule" {
		applySubsets(in, u.Object, split)
		if split.StableHash != "" {
			annotate(u, traffic.AnnotationManagedBy, in.Name)
		}
		return
	}
	routes, problem := istioRoutes(in, ref, u.Object)
	if problem != "" {
		return
	}
	sides := istioNames(in)
	sides.canary, sides.stable = split.Canary, split.Stable
	for _, r := range routes {
		r["route"] = istioDestinations(r, sides, in, split)
	}
	applyManagedIstio(u.Object, routes, sides, split)
}

// istioDestinations are the destinations of one route. As upstream has it, what is neither the canary nor the stable
// one nor kept by additionalSubsetNames goes.
func istioDestinations(route map[string]any, s istioSides, in Input, split traffic.Split) []any {
	var canary, stable map[string]any
	var kept []any
	for _, d := range objectsOf(route["route"]) {
		switch {
		case s.isCanary(d):
			canary = d
		case s.isStable(d):
			stable = d
		case keptSubset(in, text(at(d, "destination", "subset"))):
			kept = append(kept, d)
		}
	}
	if stable == nil {
		return asList(route["route"])
	}
	if canary == nil {
		canary = copied(stable)
		if s.canarySubset != "" {
			object(canary, "destination")["subset"] = s.canarySubset
		} else {
			object(canary, "destination")["host"] = sibling(text(at(stable, "destination", "host")), s.canary)
		}
	}
	canary["weight"], stable["weight"] = number(split.CanaryWeight), number(split.StableWeight())
	out := []any{stable, canary}
	for _, d := range objectsOf(route["route"]) {
		if s.isCanary(d) {
			out = []any{canary, stable}
			break
		}
		if s.isStable(d) {
			break
		}
	}
	for _, a := range split.Additional {
		further := copied(stable)
		destination := object(further, "destination")
		destination["host"] = sibling(text(destination["host"]), a.Service)
		delete(destination, "subset")
		further["weight"] = number(a.Weight)
		out = append(out, further)
	}
	return append(out, kept...)
}

func keptSubset(in Input, subset string) bool {
	rule := in.Routing().Istio.DestinationRule
	return rule != nil && subset != "" && slices.Contains(rule.AdditionalSubsetNames, subset)
}

// sibling is the host of another service of the same namespace, written as the first one is.
func sibling(like, service string) string {
	_, domain, long := strings.Cut(like, ".")
	if !long {
		return service
	}
	return service + "." + domain
}

func applySubsets(in Input, tree map[string]any, split traffic.Split) {
	rule := in.Routing().Istio.DestinationRule
	spec := object(tree, "spec")
	hashes := map[string]string{rule.StableSubsetName: split.StableHash, rule.CanarySubsetName: split.CanaryHash}
	var out []any
	for _, subset := range objectsOf(spec["subsets"]) {
		name := text(subset["name"])
		hash, ours := hashes[name]
		switch {
		case ours && hash != "":
			object(subset, "labels")[traffic.HashLabel] = hash
			delete(hashes, name)
			out = append(out, subset)
		case ours || slices.Contains(rule.AdditionalSubsetNames, name):
			delete(hashes, name)
			out = append(out, subset)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(hashes)) {
		if hashes[name] != "" {
			out = append(out, map[string]any{"name": name, "labels": map[string]any{traffic.HashLabel: hashes[name]}})
		}
	}
	for _, a := range split.Additional {
		out = append(out, map[string]any{"name": a.Service, "labels": map[string]any{traffic.HashLabel: a.Hash}})
	}
	spec["subsets"] = out
}

// applyManagedIstio puts the routes that steps added before the others and takes the others of them away.
func applyManagedIstio(
	tree map[string]any, routes []map[string]any, s istioSides, split traffic.Split,
) {
	spec := object(tree, "spec")
	http, has := spec["http"].([]any)
	if !has {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(http), func(r any) bool {
		route, _ := r.(map[string]any)
		name := text(route["name"])
		return name != "" && slices.Contains(split.Names, name)
	})
	var added []any
	for _, m := range split.Managed {
		if len(routes) == 0 {
			break
		}
		added = append(added, managedIstio(routes[0], s, m))
	}
	spec["http"] = append(added, rest...)
}

func managedIstio(like map[string]any, s istioSides, m traffic.Managed) map[string]any {
	var canary map[string]any
	for _, d := range objectsOf(like["route"]) {
		if s.isCanary(d) {
			canary = copied(d)
		}
	}
	if canary == nil {
		canary = map[string]any{"destination": map[string]any{"host": s.canary}}
	}
	var matches []any
	if !m.Mirror {
		for _, h := range m.Headers {
			value := any1(h.HeaderValue)
			matches = append(matches, map[string]any{"headers": map[string]any{h.HeaderName: istioMatch(value)}})
		}
		canary["weight"] = number(100)
		return map[string]any{"name": m.Name, "match": matches, "route": []any{canary}}
	}
	out := map[string]any{
		"name": m.Name, "route": copied(like)["route"], "mirror": canary["destination"],
		"mirrorPercentage": map[string]any{"value": number(m.Percentage)},
	}
	for _, match := range m.Matches {
		one := map[string]any{}
		if match.Method != nil {
			one["method"] = istioMatch(*match.Method)
		}
		if match.Path != nil {
			one["uri"] = istioMatch(*match.Path)
		}
		headers := map[string]any{}
		for name, v := range match.Headers {
			headers[name] = istioMatch(v)
		}
		if len(headers) > 0 {
			one["headers"] = headers
		}
		matches = append(matches, one)
	}
	if matches != nil {
		out["match"] = matches
	}
	return out
}

func istioMatch(v v1alpha1.StringMatch) map[string]any {
	switch {
	case v.Prefix != "":
		return map[string]any{"prefix": v.Prefix}
	case v.Regex != "":
		return map[string]any{"regex": v.Regex}
	default:
		return map[string]any{"exact": v.Exact}
	}
}
