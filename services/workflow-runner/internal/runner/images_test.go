package runner

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// What an image runs is asked of its registry; where nobody knows it, the step ends and says so, and others go on.
func TestWhatAnImageRunsIsAskedOfItsRegistry(t *testing.T) {
	web := httptest.NewServer(registry.New())
	t.Cleanup(web.Close)
	host := strings.TrimPrefix(web.URL, "http://")
	ref, err := name.NewTag(host+"/team/say:v1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.Config(empty.Image, v1.Config{Entrypoint: []string{"/say"}, Cmd: []string{"default"}})
	if err == nil {
		err = remote.Write(ref, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	c := start(t)
	c.runner("a", "--insecure-registry", host)
	const outputs = `outputs: {parameters: [{name: o, valueFrom: {path: /o, default: none}}]}`
	c.create(`
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      failFast: false
      tasks: [{name: known, template: known}, {name: gone, template: gone}, {name: patched, template: patched}, {name: invalid, template: invalid}]
  - {name: known, container: {image: "` + host + `/team/say:v1", args: [own]}, ` + outputs + `}
  - {name: gone, container: {image: "` + host + `/team/gone:v1"}, ` + outputs + `}
  - {name: patched, podSpecPatch: "{containers: 5}", container: {image: busybox, command: [x]}}
  - {name: invalid, container: {image: busybox, command: [x], volumeMounts: [{name: none, mountPath: /x}]}}
`)
	c.await("the pod of the image that is known", func() error {
		pods := c.pods()
		if len(pods) != 1 {
			return fmt.Errorf("%d pods", len(pods))
		}
		if got := pods[0].Spec.Containers[0].Args; !slices.Equal(got, []string{"run", "--", "/say", "own"}) {
			t.Errorf("it runs %q", got)
		}
		return c.end(&pods[0], 1)
	})
	wf := c.awaitPhase(v1alpha1.WorkflowError)
	want := map[string]string{"gone": host + "/team/gone:v1", "patched": "podSpecPatch", "invalid": "volumeMounts"}
	for _, n := range wf.Status.Nodes {
		says, ok := want[n.DisplayName]
		if ok && (n.Phase != v1alpha1.NodeError || !strings.Contains(n.Message, says)) {
			t.Errorf("%s: %s, %s", n.DisplayName, n.Phase, n.Message)
		}
		if n.DisplayName == "gone" && (!strings.Contains(n.Message, `template "gone"`) ||
			!strings.Contains(n.Message, "set command") || !strings.Contains(n.Message, "no such image")) {
			t.Errorf("the message does not help: %s", n.Message)
		}
		if n.DisplayName == "known" && n.Phase != v1alpha1.NodeFailed {
			t.Errorf("known: %s %s", n.Phase, n.Message)
		}
		delete(want, n.DisplayName)
	}
	if len(want) > 0 {
		t.Errorf("no nodes for %v", want)
	}
}
