package router

import (
	"errors"
	"fmt"
	"slices"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// apisix shares the traffic by the weights of an ApisixRoute; a header route is a copy of it with a higher priority.
// Source: docs of the APISIX ingress controller, ApisixRoute.
var apisix = Router{
	Field: "apisix",
	Kinds: []Kind{{schema.GroupKind{Group: apisixGroup, Kind: "ApisixRoute"}, []string{"v2"}}},
	Refs: func(in Input) ([]traffic.Ref, bool, error) {
		cfg := in.Routing().Apisix
		switch {
		case cfg == nil:
			return nil, false, nil
		case cfg.Route == nil || cfg.Route.Name == "":
			return nil, true, errors.New("route.name must not be empty")
		}
		return []traffic.Ref{{
			Group: apisixGroup, Kind: "ApisixRoute", Namespace: in.Namespace, Name: cfg.Route.Name,
		}}, true, nil
	},
	Observe: func(in Input, ref traffic.Ref, objects *Objects) traffic.Observed {
		u := objects.Get(ref)
		if u == nil {
			return traffic.Observed{Missing: true}
		}
		rules, missing := apisixRules(in, u.Object)
		if missing != "" {
			return traffic.Observed{Problem: fmt.Sprintf("has no http rule %q", missing)}
		}
		for _, name := range names(in) {
			beside := ref
			beside.Name = name
			if made := objects.Get(beside); made != nil && foreign(made, in) != "" {
				return traffic.Observed{Problem: foreign(made, in)}
			}
		}
		var lists []any
		for _, r := range rules {
			lists = append(lists, r["backends"])
		}
		return weightsOf(in, lists, "serviceName")
	},
	Apply:   applyApisix,
	Headers: true, Weights: true,
}

const apisixGroup = "apisix.apache.org"

func apisixRules(in Input, tree map[string]any) (out []map[string]any, missing string) {
	all := objectsOf(at(tree, "spec", "http"))
	names := in.Routing().Apisix.Route.Rules
	if len(names) == 0 {
		return all, ""
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(r map[string]any) bool { return text(r["name"]) == name })
		if i < 0 {
			return nil, name
		}
		out = append(out, all[i])
	}
	return out, ""
}

func applyApisix(in Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
	u := objects.Edit(ref)
	if u == nil {
		return
	}
	before := track(u, split)
	rules, _ := apisixRules(in, u.Object)
	for _, rule := range rules {
		rule["backends"] = shareBackends(rule["backends"], "serviceName", before, split)
	}
	for _, name := range split.Names {
		at := ref
		at.Name = name
		made := objects.Get(at)
		i := slices.IndexFunc(split.Managed, func(m traffic.Managed) bool { return m.Name == name && !m.Mirror })
		if i < 0 {
			if made != nil && metav1.GetControllerOf(made) != nil && foreign(made, in) == "" {
				objects.Drop(at)
			}
			continue
		}
		apisixHeader(objects.Make(at), u.Object, rules, split.Managed[i], split)
	}
}

// apisixHeader makes the route of a header: the rules of the other one, asked first, with the canary alone.
func apisixHeader(
	to interface{ UnstructuredContent() map[string]any }, from map[string]any, rules []map[string]any,
	m traffic.Managed, split traffic.Split,
) {
	var http []any
	for _, rule := range rules {
		next := copied(rule)
		next["priority"] = number(whole(rule["priority"], 0) + 1)
		var expressions []any
		for _, h := range m.Headers {
			op, value := "Equal", any1(h.HeaderValue)
			word := value.Exact
			if value.Regex != "" || value.Prefix != "" {
				op, word = "RegexMatch", orText(value.Regex, "^"+value.Prefix+".*")
			}
			expressions = append(expressions, map[string]any{
				"subject": map[string]any{"scope": "Header", "name": h.HeaderName}, "op": op, "value": word,
			})
		}
		match := object(next, "match")
		match["exprs"] = append(asList(match["exprs"]), expressions...)
		for _, b := range objectsOf(next["backends"]) {
			if text(b["serviceName"]) == split.Canary {
				b["weight"] = number(100)
				next["backends"] = []any{b}
				break
			}
		}
		http = append(http, next)
	}
	spec, _ := plain(from["spec"]).(map[string]any)
	spec["http"] = http
	to.UnstructuredContent()["spec"] = spec
}
