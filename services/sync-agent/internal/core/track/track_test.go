package track

import (
	"strings"
	"testing"
)

func TestTracking(t *testing.T) {
	o := &Object{
		Object: map[string]any{
			"apiVersion": "apps/v1",
			"kind":       "Deployment",
			"metadata":   map[string]any{"name": "d", "namespace": "ns"},
		},
	}
	o.SetAnnotations(map[string]string{TrackingAnnotation: TrackingID("app", KeyOf(o), "elsewhere")})
	if got := o.GetAnnotations()[TrackingAnnotation]; got != "app:apps/Deployment:ns/d" || TrackedBy(o) != "app" {
		t.Errorf("%s, %s", got, TrackedBy(o))
	}
	o.SetName("copy")
	if TrackedBy(o) != "" {
		t.Error("a copied annotation counted")
	}
	for _, c := range [][2]string{{"argocd", "a"}, {"team", "a"}} {
		if ns, name := InstanceName(Instance(c[0], c[1], "argocd"), "argocd"); ns != c[0] || name != c[1] {
			t.Errorf("%v: %s/%s", c, ns, name)
		}
	}
}

// The forms of tracking ids.
func TestTrackingIDs(t *testing.T) {
	for name, c := range map[string]struct {
		instance string
		key      Key
		want     string
	}{
		"a group": {
			"app", Key{Group: "apps", Kind: "Deployment", Namespace: "ns", Name: "d"}, "app:apps/Deployment:ns/d",
		},
		"the core group": {"app", Key{Kind: "Service", Namespace: "ns", Name: "s"}, "app:/Service:ns/s"},
		"of a whole cluster": {
			"app", Key{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "r"},
			"app:rbac.authorization.k8s.io/ClusterRole:home/r",
		},
		"another namespace": {
			Instance("team", "app", "argocd"), Key{Kind: "Service", Namespace: "ns", Name: "s"},
			"team_app:/Service:ns/s",
		},
		"a name with a colon": {
			"app", Key{Group: "rbac.authorization.k8s.io", Kind: "Role", Namespace: "ns", Name: "system:r"},
			"app:rbac.authorization.k8s.io/Role:ns/system:r",
		},
	} {
		id := TrackingID(c.instance, c.key, "home")
		if id != c.want {
			t.Errorf("%s: %s", name, id)
		}
		o := &Object{Object: map[string]any{
			"apiVersion": strings.TrimPrefix(c.key.Group+"/v1", "/"), "kind": c.key.Kind,
			"metadata": map[string]any{"name": c.key.Name},
		}}
		if c.key.Namespace != "" {
			o.SetNamespace(c.key.Namespace)
		}
		o.SetAnnotations(map[string]string{TrackingAnnotation: id})
		if TrackedBy(o) != c.instance {
			t.Errorf("%s: it is %q's", name, TrackedBy(o))
		}
	}
}
