package track

import (
	"fmt"
	"strings"
)

// InstallationAnnotation tells objects of several installations apart that share a cluster. Source: Argo CD.
const InstallationAnnotation = "argocd.argoproj.io/installation-id"

// instanceLabel names the instance that an object belongs to where nothing else is set.
const instanceLabel = "app.kubernetes.io/instance"

// longestLabel is how long the value of a label may be.
const longestLabel = 63

// Method is how an installation marks objects. The zero value does so by annotation alone. Source: Argo CD's resource
// tracking.
type Method struct {
	Label        bool   // the label is set, too
	ByLabel      bool   // an object without annotation belongs to whom its label names; implies Label
	Key          string // of the label; "" is app.kubernetes.io/instance
	Installation string // id of the installation; "" tells none apart
}

// NewMethod reads the settings of an installation: resourceTrackingMethod, instanceLabelKey and installationID. A
// method that nobody knows is an error, and counts as the one by annotation.
func NewMethod(method, key, installation string) (Method, error) {
	m := Method{Key: strings.TrimSpace(key), Installation: strings.TrimSpace(installation)}
	switch method = strings.TrimSpace(method); method {
	case "", "annotation":
	case "annotation+label":
		m.Label = true
	case "label":
		m.Label, m.ByLabel = true, true
	default:
		return m, fmt.Errorf(
			"application.resourceTrackingMethod: %q is none of annotation, label, annotation+label",
			method,
		)
	}
	return m, nil
}

// Name is the key of the label.
func (m Method) Name() string {
	if m.Key == "" {
		return instanceLabel
	}
	return m.Key
}

// Mark marks an object as an instance's.
func (m Method) Mark(o *Object, instance, destination string) {
	a := o.GetAnnotations()
	if a == nil {
		a = map[string]string{}
	}
	a[TrackingAnnotation] = TrackingID(instance, KeyOf(o), destination)
	if m.Installation != "" {
		a[InstallationAnnotation] = m.Installation
	}
	o.SetAnnotations(a)
	if !m.Label {
		return
	}
	l := o.GetLabels()
	if l == nil {
		l = map[string]string{}
	}
	l[m.Name()] = m.value(instance)
	o.SetLabels(l)
}

// value is that of the label. Where the label alone says whose an object is, it is not cut: two instances would share
// it.
func (m Method) value(instance string) string {
	if m.ByLabel || len(instance) <= longestLabel {
		return instance
	}
	return strings.TrimRight(instance[:longestLabel], "-_.")
}

// Owner returns the instance that an object belongs to, "" when it belongs to none of this installation.
func (m Method) Owner(o *Object) string {
	if m.Installation != "" && o.GetAnnotations()[InstallationAnnotation] != m.Installation {
		return ""
	}
	if owner := TrackedBy(o); owner != "" || !m.ByLabel || o.GetAnnotations()[TrackingAnnotation] != "" {
		return owner
	}
	// What another object made has the labels of that.
	if len(o.GetOwnerReferences()) > 0 {
		return ""
	}
	return o.GetLabels()[m.Name()]
}

// Labelled reports whether an object without annotation has the label of an instance: it was that instance's when
// labels told, and counts as tracked until it is applied next.
func (m Method) Labelled(o *Object, instance string) bool {
	return m.Installation == "" && o.GetAnnotations()[TrackingAnnotation] == "" && len(o.GetOwnerReferences()) == 0 &&
		o.GetLabels()[m.Name()] == m.value(instance)
}

// Tracked reports whether an object may be anybody's.
func (m Method) Tracked(o *Object) bool {
	a := o.GetAnnotations()
	return a[TrackingAnnotation] != "" || a[AppliedAnnotation] != "" || m.ByLabel && o.GetLabels()[m.Name()] != ""
}
