package track

import (
	"strings"
	"testing"
)

func object(annotations, labels map[string]string) *Object {
	o := &Object{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "d", "namespace": "ns"},
	}}
	o.SetAnnotations(annotations)
	o.SetLabels(labels)
	return o
}

func TestMethods(t *testing.T) {
	const id = "app:apps/Deployment:ns/d"
	long := strings.Repeat("a", 62) + "-long"
	for name, c := range map[string]struct {
		settings            [3]string
		instance            string
		annotation, label   string
		installation, other string // what else it is marked with, and the key of the label
	}{
		"annotation":             {[3]string{}, "app", id, "", "", ""},
		"said":                   {[3]string{"annotation"}, "app", id, "", "", ""},
		"both":                   {[3]string{"annotation+label"}, "app", id, "app", "", ""},
		"both, a name too long":  {[3]string{"annotation+label"}, long, long + id[3:], strings.Repeat("a", 62), "", ""},
		"label":                  {[3]string{"label"}, "app", id, "app", "", ""},
		"label, a name too long": {[3]string{"label"}, long, long + id[3:], long, "", ""},
		"a key":                  {[3]string{"label", "example.org/app"}, "app", id, "app", "", "example.org/app"},
		"an installation":        {[3]string{"", "", "one"}, "app", id, "", "one", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := NewMethod(c.settings[0], c.settings[1], c.settings[2])
			if err != nil {
				t.Fatal(err)
			}
			o := object(nil, nil)
			m.Mark(o, c.instance, "ns")
			key := c.other
			if key == "" {
				key = instanceLabel
			}
			if got := o.GetAnnotations()[TrackingAnnotation]; got != c.annotation {
				t.Errorf("annotation %q", got)
			}
			if got := o.GetLabels()[key]; got != c.label {
				t.Errorf("label %q, want %q", got, c.label)
			}
			if got := o.GetAnnotations()[InstallationAnnotation]; got != c.installation {
				t.Errorf("installation %q", got)
			}
			if m.Owner(o) != c.instance || !m.Tracked(o) {
				t.Errorf("what it marked is %q's", m.Owner(o))
			}
		})
	}
	if m, err := NewMethod("labels", "", ""); err == nil || m.ByLabel || m.Label {
		t.Errorf("a method nobody knows: %+v, %v", m, err)
	}
}

func TestOwners(t *testing.T) {
	tracked := map[string]string{TrackingAnnotation: "app:apps/Deployment:ns/d"}
	copied := map[string]string{TrackingAnnotation: "app:apps/Deployment:ns/other"}
	labelled := map[string]string{instanceLabel: "old"}
	annotation, both := Method{}, Method{Label: true}
	label, mine := Method{Label: true, ByLabel: true}, Method{Installation: "one"}
	child := object(nil, labelled)
	child.Object["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{
		"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u",
	}}
	for name, c := range map[string]struct {
		m    Method
		o    *Object
		want string
	}{
		"by annotation":                        {annotation, object(tracked, nil), "app"},
		"a copied annotation":                  {annotation, object(copied, labelled), ""},
		"a label tells nothing":                {annotation, object(nil, labelled), ""},
		"nor beside the annotation":            {both, object(nil, labelled), ""},
		"where it tells":                       {label, object(nil, labelled), "old"},
		"the annotation comes first":           {label, object(tracked, labelled), "app"},
		"a copied annotation is no label":      {label, object(copied, labelled), ""},
		"a child has the labels of its parent": {label, child, ""},
		"of another installation":              {mine, object(tracked, nil), ""},
	} {
		if got := c.m.Owner(c.o); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		m    Method
		o    *Object
		want bool
	}{
		"from the time of labels": {annotation, object(nil, labelled), true},
		"a child":                 {annotation, child, false},
		"tracked":                 {annotation, object(tracked, labelled), false},
		"another's":               {annotation, object(nil, map[string]string{instanceLabel: "x"}), false},
		"of an installation":      {mine, object(nil, labelled), false},
	} {
		if got := c.m.Labelled(c.o, "old"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
