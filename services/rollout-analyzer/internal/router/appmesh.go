package router

import (
	"errors"
	"slices"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// appMesh shares the traffic by the routes of a VirtualRouter between two VirtualNodes, whose pods follow the hashes.
// Source: docs of the App Mesh controller, VirtualRouter.
var appMesh = Router{
	Field: "appMesh",
	Kinds: []Kind{
		{schema.GroupKind{Group: appMeshGroup, Kind: "VirtualService"}, []string{"v1beta2"}},
		{schema.GroupKind{Group: appMeshGroup, Kind: "VirtualRouter"}, []string{"v1beta2"}},
		{schema.GroupKind{Group: appMeshGroup, Kind: "VirtualNode"}, []string{"v1beta2"}},
	},
	Refs: func(in Input) ([]traffic.Ref, bool, error) {
		cfg := in.Routing().AppMesh
		switch {
		case cfg == nil:
			return nil, false, nil
		case cfg.VirtualService == nil || cfg.VirtualService.Name == "":
			return nil, true, errors.New("virtualService.name must not be empty")
		case cfg.VirtualNodeGroup == nil || cfg.VirtualNodeGroup.CanaryVirtualNodeRef == nil ||
			cfg.VirtualNodeGroup.StableVirtualNodeRef == nil:
			return nil, true, errors.New("virtualNodeGroup needs canaryVirtualNodeRef and stableVirtualNodeRef")
		}
		return []traffic.Ref{{
			Group: appMeshGroup, Kind: "VirtualService", Namespace: in.Namespace, Name: cfg.VirtualService.Name,
		}}, true, nil
	},
	Observe: observeAppMesh,
	Apply:   applyAppMesh,
}

const appMeshGroup = "appmesh.k8s.aws"

// appMeshRoutes are the weighted targets of the routes that a VirtualService leads to.
func appMeshRouter(in Input, ref traffic.Ref, objects *Objects) (router traffic.Ref, problem string) {
	u := objects.Get(ref)
	if u == nil {
		return router, ""
	}
	named, _ := at(u.Object, "spec", "provider", "virtualRouter", "virtualRouterRef").(map[string]any)
	if named == nil {
		return router, "is not provided by a VirtualRouter"
	}
	if namespace := text(named["namespace"]); namespace != "" && namespace != ref.Namespace {
		// Whoever may write this object could take the traffic of another tenant.
		return router, "leads to a VirtualRouter of another namespace, " + namespace
	}
	return traffic.Ref{
		Group: appMeshGroup, Kind: "VirtualRouter", Namespace: orText(text(named["namespace"]), in.Namespace),
		Name: text(named["name"]),
	}, ""
}

// appMeshTargets calls f with each list of weighted targets of a VirtualRouter.
func appMeshTargets(in Input, tree map[string]any, f func(action map[string]any)) {
	wanted := in.Routing().AppMesh.VirtualService.Routes
	for _, route := range objectsOf(at(tree, "spec", "routes")) {
		if len(wanted) > 0 && !slices.Contains(wanted, text(route["name"])) {
			continue
		}
		for _, kind := range []string{"httpRoute", "http2Route", "grpcRoute", "tcpRoute"} {
			if action, is := at(route, kind, "action").(map[string]any); is {
				f(action)
			}
		}
	}
}

func observeAppMesh(in Input, ref traffic.Ref, objects *Objects) (out traffic.Observed) {
	if objects.Get(ref) == nil {
		return traffic.Observed{Missing: true}
	}
	router, problem := appMeshRouter(in, ref, objects)
	if problem != "" {
		return traffic.Observed{Problem: problem}
	}
	u := objects.Get(router)
	if u == nil {
		out.Problem = "leads to the VirtualRouter " + router.Name + ", which is not there"
		return out
	}
	group := in.Routing().AppMesh.VirtualNodeGroup
	found := false
	appMeshTargets(in, u.Object, func(action map[string]any) {
		for _, t := range objectsOf(action["weightedTargets"]) {
			switch text(at(t, "virtualNodeRef", "name")) {
			case group.CanaryVirtualNodeRef.Name:
				out.CanaryWeight = max(out.CanaryWeight, whole(t["weight"], 0))
			case group.StableVirtualNodeRef.Name:
				found = true
			}
		}
	})
	if !found {
		out.Problem = "has no route to the stable VirtualNode " + group.StableVirtualNodeRef.Name
	}
	return out
}

func applyAppMesh(in Input, ref traffic.Ref, objects *Objects, split traffic.Split) {
	router, problem := appMeshRouter(in, ref, objects)
	if problem != "" {
		return
	}
	group := in.Routing().AppMesh.VirtualNodeGroup
	if u := objects.Edit(router); u != nil {
		appMeshTargets(in, u.Object, func(action map[string]any) {
			shares := map[string]int32{
				group.CanaryVirtualNodeRef.Name: split.CanaryWeight,
				group.StableVirtualNodeRef.Name: split.StableWeight(),
			}
			for _, t := range objectsOf(action["weightedTargets"]) {
				if share, ours := shares[text(at(t, "virtualNodeRef", "name"))]; ours {
					t["weight"] = number(share)
				}
			}
		})
	}
	for name, hash := range map[string]string{
		group.CanaryVirtualNodeRef.Name: split.CanaryHash, group.StableVirtualNodeRef.Name: split.StableHash,
	} {
		node := traffic.Ref{Group: appMeshGroup, Kind: "VirtualNode", Namespace: in.Namespace, Name: name}
		if u := objects.Edit(node); u != nil && hash != "" {
			object(u.Object, "spec", "podSelector", "matchLabels")[traffic.HashLabel] = hash
		}
	}
}
