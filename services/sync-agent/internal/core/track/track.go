// Package track says which object is which, and to which Application it belongs.
package track

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Annotations that objects carry for us.
const (
	TrackingAnnotation = "argocd.argoproj.io/tracking-id"
	AppliedAnnotation  = "argosy.dev/applied" // fingerprint of the manifest that was applied last
	OurPrefix          = "argosy.dev/"        // of the annotations that are ours: they are never compared
)

// Object is one Kubernetes object, desired or live.
type Object = unstructured.Unstructured

// Key identifies an object across versions of its kind.
type Key struct {
	Group, Kind, Namespace, Name string
}

// KeyOf returns the key of o.
func KeyOf(o *Object) Key {
	gvk := o.GroupVersionKind()
	return Key{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String returns group/kind namespace/name.
func (k Key) String() string {
	kind := k.Kind
	if k.Group != "" {
		kind = k.Group + "/" + k.Kind
	}
	if k.Namespace == "" {
		return kind + " " + k.Name
	}
	return kind + " " + k.Namespace + "/" + k.Name
}

// Instance is the name under which an application marks its objects: its own, or
// namespace_name outside the control namespace.
func Instance(namespace, name, control string) string {
	if namespace == control {
		return name
	}
	return namespace + "_" + name
}

// InstanceName is the inverse of Instance.
func InstanceName(instance, control string) (namespace, name string) {
	if namespace, name, ok := strings.Cut(instance, "_"); ok {
		return namespace, name
	}
	return control, instance
}

// TrackingID marks o as belonging to instance. Objects of the cluster carry the
// application's own destination namespace.
func TrackingID(instance string, k Key, destination string) string {
	namespace := k.Namespace
	if namespace == "" {
		namespace = destination
	}
	return instance + ":" + k.Group + "/" + k.Kind + ":" + namespace + "/" + k.Name
}

// TrackedBy returns the instance that o belongs to, "" when it belongs to none. A
// copied annotation that names another object does not count.
func TrackedBy(o *Object) string {
	id := o.GetAnnotations()[TrackingAnnotation]
	instance, rest, ok := strings.Cut(id, ":")
	if !ok {
		return ""
	}
	kind, name, ok := strings.Cut(rest, ":")
	k := KeyOf(o)
	if !ok || kind != k.Group+"/"+k.Kind {
		return ""
	}
	namespace, name, _ := strings.Cut(name, "/")
	if name != k.Name || (k.Namespace != "" && namespace != k.Namespace) {
		return ""
	}
	return instance
}
