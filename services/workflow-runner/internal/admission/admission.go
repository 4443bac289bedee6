// Package admission judges workflows before the API server takes them: what `argosy workflow lint` calls an error is
// refused, what it calls a warning is said to whoever applies it. It decides from the object alone.
//
// Whether a cluster asks it is up to a ValidatingWebhookConfiguration. The runner refuses the same workflows when it
// begins them, so that nothing depends on being asked.
package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	flowlint "github.com/argosy-mesh/argosy/libs/flow/lint"
	"github.com/argosy-mesh/argosy/schemas/argoproj/lint"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Path is where reviews are sent.
const Path = "/validate-workflows"

// Limits of an answer: people read it in a terminal. Source for the second: Kubernetes cuts warnings at 256 characters.
const (
	saidLimit    = 20
	warningLimit = 250
)

// judge answers one review.
func judge(_ context.Context, r admission.Request) admission.Response {
	if !slices.Contains(flowlint.Kinds, r.Kind.Kind) || r.Operation == admissionv1.Delete ||
		r.Operation == admissionv1.Connect {
		return admission.Allowed("")
	}
	if r.Operation == admissionv1.Update && sameSpec(r.Object.Raw, r.OldObject.Raw) {
		// One that is wrong since before must remain free to end, to be labelled and to go.
		return admission.Allowed("")
	}
	var wrong, odd []string
	for _, f := range flowlint.Manifest(r.Object.Raw) {
		text := f.Message
		if f.Path != "" {
			text = f.Path + ": " + f.Message
		}
		if f.Severity == lint.Error {
			wrong = append(wrong, text)
			continue
		}
		odd = append(odd, clip(text, warningLimit))
	}
	answer := admission.Allowed("")
	if len(wrong) > 0 {
		answer.Allowed = false
		answer.Result = &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity,
			Reason:  metav1.StatusReasonInvalid,
			Message: fmt.Sprintf("%s %s is not valid: %s", r.Kind.Kind, nameOf(r), strings.Join(few(wrong), "; "))}
	}
	answer.Warnings = few(odd)
	return answer
}

// nameOf is the name of an object, which may be made only later.
func nameOf(r admission.Request) string {
	var object struct {
		metav1.ObjectMeta `json:"metadata"`
	}
	name := r.Name
	if name == "" && json.Unmarshal(r.Object.Raw, &object) == nil {
		if name = object.Name; name == "" {
			name = object.GenerateName + "*"
		}
	}
	if r.Namespace != "" {
		return r.Namespace + "/" + name
	}
	return name
}

func sameSpec(a, b []byte) bool {
	var one, other struct {
		Spec json.RawMessage `json:"spec"`
	}
	// The API server writes both, in the same way.
	return json.Unmarshal(a, &one) == nil && json.Unmarshal(b, &other) == nil && bytes.Equal(one.Spec, other.Spec)
}

// few are the first of many, and how many more there are.
func few(all []string) []string {
	if len(all) <= saidLimit {
		return all
	}
	return append(slices.Clone(all[:saidLimit]), fmt.Sprintf("and %d more", len(all)-saidLimit))
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
