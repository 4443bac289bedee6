package router

import (
	"errors"
	"maps"
	"strconv"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const ingressGroup = "networking.k8s.io"

var ingressKinds = []Kind{{schema.GroupKind{Group: ingressGroup, Kind: "Ingress"}, []string{"v1"}}}

// nginx shares the traffic of an Ingress by a second one beside it, with the annotations of canaries of
// ingress-nginx. The second one is never deleted: at weight 0 nobody asks it. Source: docs of ingress-nginx,
// annotations, canary.
var nginx = Router{
	Field:   "nginx",
	Kinds:   ingressKinds,
	Refs:    nginxRefs,
	Observe: observeNginx,
	Apply:   applyNginx,
	Total:   true,
}

func nginxRefs(in Input) (refs []traffic.Ref, named bool, err error) {
	cfg := in.Routing().Nginx
	if cfg == nil {
		return nil, false, nil
	}
	return ingressRefs(in, cfg.StableIngress, cfg.StableIngresses, "stableIngress")
}

// ingressRefs are the Ingresses of a configuration that has a field for one and a field for many.
func ingressRefs(in Input, one string, many []string, field string) (refs []traffic.Ref, named bool, err error) {
	switch {
	case one != "" && len(many) > 0:
		return nil, true, errors.New("one of " + field + " and " + field + "es must be set, not both")
	case one != "":
		many = []string{one}
	case len(many) == 0:
		return nil, true, errors.New("names no " + field)
	}
	for _, name := range many {
		refs = append(refs, traffic.Ref{Group: ingressGroup, Kind: "Ingress", Namespace: in.Namespace, Name: name})
	}
	return refs, true, nil
}

// nginxCanary is the Ingress beside one: the name is upstream's, cut as a name of an object has to be.
func nginxCanary(in Input, ref traffic.Ref) traffic.Ref {
	name := in.Name + "-" + ref.Name + "-canary"
	if len(name) > 253 {
		name = name[:253]
	}
	ref.Name = name
	return ref
}

func nginxPrefix(in Input) string {
	return orText(in.Routing().Nginx.AnnotationPrefix, "nginx.ingress.kubernetes.io")
}

func observeNginx(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
	stable := objects.Get(ref)
	if stable == nil {
		return traffic.Observed{Missing: true}
	}
	_, service := in.services()
	if len(ingressBackends(stable.Object, service)) == 0 {
		out.Problem = "has no rule with the stable service " + service
		return out
	}
	if canary := objects.Get(nginxCanary(in, ref)); canary != nil {
		out.Problem = foreign(canary, in)
		weight, err := strconv.ParseInt(canary.GetAnnotations()[nginxPrefix(in)+"/canary-weight"], 10, 32)
		if err == nil {
			out.CanaryWeight = int32(weight)
		}
	}
	return out
}

// ingressBackends are the services of all backends of an Ingress that name one service, as parts of the tree.
func ingressBackends(tree map[string]any, service string) (out []map[string]any) {
	for _, rule := range objectsOf(at(tree, "spec", "rules")) {
		for _, path := range objectsOf(at(rule, "http", "paths")) {
			if s, is := at(path, "backend", "service").(map[string]any); is && text(s["name"]) == service {
				out = append(out, s)
			}
		}
	}
	if s, is := at(tree, "spec", "defaultBackend", "service").(map[string]any); is && text(s["name"]) == service {
		out = append(out, s)
	}
	return out
}

func applyNginx(in Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
	stable := objects.Get(ref)
	at := nginxCanary(in, ref)
	if stable == nil || objects.Get(at) == nil && split.CanaryWeight == 0 {
		return
	}
	canary := objects.Make(at)
	canary.SetAPIVersion("networking.k8s.io/v1")
	canary.SetKind("Ingress")
	prefix, cfg := nginxPrefix(in), in.Routing().Nginx
	want := map[string]string{}
	if class := stable.GetAnnotations()["kubernetes.io/ingress.class"]; class != "" {
		want["kubernetes.io/ingress.class"] = class
	}
	for k, v := range cfg.AdditionalIngressAnnotations {
		want[prefix+"/"+k] = v
	}
	maps.Copy(want, cfg.CanaryIngressAnnotations)
	want[prefix+"/canary"] = "true"
	want[prefix+"/canary-weight"] = strconv.Itoa(int(split.CanaryWeight))
	if in.Routing().MaxTrafficWeight != nil {
		want[prefix+"/canary-weight-total"] = strconv.Itoa(int(split.Total))
	}
	for k, v := range want {
		annotate(canary, k, v)
	}
	copyRules(stable, canary, split)
}

// copyRules gives the canary Ingress the rules of the stable one that ask the stable service, asking the canary's.
func copyRules(stable, canary *unstructured.Unstructured, split traffic.Split) {
	from := copied(stable.Object)
	spec := map[string]any{}
	for _, key := range []string{"ingressClassName", "tls"} {
		if v := at(from, "spec", key); v != nil {
			spec[key] = v
		}
	}
	var rules []any
	for _, rule := range objectsOf(at(from, "spec", "rules")) {
		var paths []any
		for _, path := range objectsOf(at(rule, "http", "paths")) {
			if s, is := at(path, "backend", "service").(map[string]any); is && text(s["name"]) == split.Stable {
				s["name"] = split.Canary
				paths = append(paths, path)
			}
		}
		if paths != nil {
			object(rule, "http")["paths"] = paths
			rules = append(rules, rule)
		}
	}
	if rules != nil {
		spec["rules"] = rules
	}
	backend, is := at(from, "spec", "defaultBackend").(map[string]any)
	if is && text(at(backend, "service", "name")) == split.Stable {
		object(backend, "service")["name"] = split.Canary
		spec["defaultBackend"] = backend
	}
	canary.Object["spec"] = spec
}
