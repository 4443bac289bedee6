package crdgen

import (
	"reflect"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type inner struct {
	At *metav1.Time `json:"at"`
}

type sample struct {
	inner

	Text    string                   `json:"text"`
	Many    []int32                  `json:"many,omitempty"`
	ByName  map[string]bool          `json:"byName"`
	Port    intstr.IntOrString       `json:"port"`
	Scalar  v1alpha1.AnyString       `json:"scalar"`
	Secret  corev1.SecretKeySelector `json:"secret"`
	Pod     corev1.PodSpec           `json:"pod"`
	Raw     []byte                   `json:"raw"`
	Self    *sample                  `json:"self"`
	Hidden  string                   `json:"-"`
	private string
}

func property(t *testing.T, s Schema, name string) Schema {
	t.Helper()
	p, ok := s["properties"].(Schema)[name].(Schema)
	if !ok {
		t.Fatalf("no property %s in %v", name, s)
	}
	return p
}

func TestEveryFieldHasTheTypeThatIsRead(t *testing.T) {
	_ = sample{private: ""}
	s := Of(reflect.TypeFor[sample]())
	for name, want := range map[string]Schema{
		"at":     {"type": "string", "format": "date-time"},
		"text":   {"type": "string"},
		"many":   {"type": "array", "items": Schema{"type": "integer", "format": "int32"}},
		"byName": {"type": "object", "additionalProperties": Schema{"type": "boolean"}},
		"port":   {intOrString: true},
		"scalar": {keepUnknown: true},
		"pod":    {"type": "object", keepUnknown: true},
		"raw":    {"type": "string", "format": "byte"},
		"self":   {"type": "object", keepUnknown: true},
	} {
		if got := property(t, s, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := property(t, property(t, s, "secret"), "optional"); got["type"] != "boolean" {
		t.Errorf("a small type of Kubernetes is written out: %v", got)
	}
	properties, _ := s["properties"].(Schema)
	if len(properties) != 10 {
		t.Errorf("%d properties: %v", len(properties), properties)
	}
	if s[keepUnknown] != true {
		t.Error("unknown fields would be lost")
	}
}

const frame = `
kind: CustomResourceDefinition
spec:
  names: {kind: Sensor, shortNames: [sn]}
  versions:
  - name: v1alpha1
    schema: {openAPIV3Schema: {type: object}}
`

func TestADefinitionKeepsItsFrame(t *testing.T) {
	text, err := Definition([]byte(frame), reflect.TypeFor[v1alpha1.Sensor]())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kind: Sensor", "- sn", "dependencies:", "- metadata", "- spec"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	again, err := Definition(text, reflect.TypeFor[v1alpha1.Sensor]())
	if err != nil || string(again) != string(text) {
		t.Errorf("the second time gives something else: %v", err)
	}
	if kind, err := Kind(text); kind != "Sensor" || err != nil {
		t.Errorf("kind %q, %v", kind, err)
	}
}

func TestWhatIsNoDefinitionIsRefused(t *testing.T) {
	for _, text := range []string{"", "spec: 1", "spec: {versions: []}", "spec: {versions: [1]}", "\t"} {
		if _, err := Definition([]byte(text), reflect.TypeFor[v1alpha1.Sensor]()); err == nil {
			t.Errorf("%q is taken", text)
		}
		if _, err := Kind([]byte(text)); err == nil {
			t.Errorf("%q has a kind", text)
		}
	}
}
