package runner

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/admission"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// offer gives a workflow to the API server.
func (c *cluster) offer(text string) error {
	c.t.Helper()
	wf := object.Workflow()
	if err := yaml.Unmarshal([]byte(text), &wf.Object); err != nil {
		c.t.Fatal(err)
	}
	wf.SetNamespace("ci")
	return c.kube.Create(c.t.Context(), wf)
}

func manifest(name, entrypoint string) string {
	return `{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: ` + name + `}, spec: {entrypoint: ` + entrypoint + `, suspend: true, templates: [{name: main, container: {image: i, command: [x]}}]}}`
}

// deployed is the configuration that is in deploy/optional.
func deployed(t *testing.T) *admissionregistrationv1.ValidatingWebhookConfiguration {
	t.Helper()
	text, err := os.ReadFile("../../../../deploy/optional/workflow-admission.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for one := range strings.SplitSeq(string(text), "\n---\n") {
		config := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := yaml.Unmarshal([]byte(one), config); err == nil && config.Kind == "ValidatingWebhookConfiguration" {
			return config
		}
	}
	t.Fatal("there is no ValidatingWebhookConfiguration")
	return nil
}

func TestTheAPIServerRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := start(t)
	if err := c.offer(manifest("before", "gone")); err != nil {
		t.Fatal(err)
	}
	at := address(t)
	url := "https://" + at + admission.Path
	config := deployed(t)
	config.Webhooks[0].ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: &url}
	if err := c.kube.Create(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	stop := c.runner("a", "--admission-address", at, "--admission-host", "127.0.0.1", "--admission-secret",
		"ci/authority")
	c.await("the API server knows who vouches for us", func() error {
		err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(config), config)
		if err == nil && len(config.Webhooks[0].ClientConfig.CABundle) == 0 {
			err = fmt.Errorf("it does not")
		}
		return err
	})
	tries := 0
	var refused error
	c.await("it refuses", func() error {
		tries++
		if refused = c.offer(manifest(fmt.Sprintf("bad-%d", tries), "gone")); refused == nil {
			return fmt.Errorf("it takes one that is wrong")
		}
		return nil
	})
	for _, want := range []string{"Workflow ci/bad-", "spec.entrypoint", `"gone"`} {
		if !apierrors.IsInvalid(refused) || !strings.Contains(refused.Error(), want) {
			t.Errorf("%v does not say %s", refused, want)
		}
	}
	if err := c.offer(manifest("good", "main")); err != nil {
		t.Errorf("one that is right: %v", err)
	}
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`))
	before := object.Workflow()
	before.SetNamespace("ci")
	before.SetName("before")
	if err := c.kube.Patch(t.Context(), before, label); err != nil {
		t.Errorf("one that is wrong since before is labelled: %v", err)
	}
	stop()
	if err := c.offer(manifest("unjudged", "gone")); err != nil {
		t.Errorf("nobody judges: %v", err)
	}
}

func TestFlagsOfAdmissionAreChecked(t *testing.T) {
	for _, args := range [][]string{{"--admission-cert", "c"},
		{"--admission-address", ":8443", "--admission-secret", "noslash"}} {
		if _, err := parse(args, func(string) string { return "" }, &strings.Builder{}); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
