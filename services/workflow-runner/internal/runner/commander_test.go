package runner

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// told publishes a command of a Sensor to a subject, and returns its key.
func (c *cluster) told(key, subject, kind string, command any) {
	c.t.Helper()
	e, err := bus.NewEvent(key, events.ServiceSensor, kind, command)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.bus.Publish(c.t.Context(), subject, e); err != nil {
		c.t.Fatal(err)
	}
}

// refusals awaits as many dead commands, and returns what they say by event id.
func (c *cluster) refusals(n int) map[string]string {
	c.t.Helper()
	said := map[string]string{}
	c.await("commands are refused", func() error {
		letters, err := c.bus.DeadLetters(c.t.Context(), bus.Commands, ">", 0)
		if err != nil {
			return err
		}
		for _, l := range letters {
			said[l.Event.ID()] = l.Reason
		}
		if len(said) < n {
			return fmt.Errorf("%d of %d: %v", len(said), n, said)
		}
		return nil
	})
	return said
}

func TestASensorSteersNoWorkflowThatItsAccountMayNot(t *testing.T) {
	t.Parallel()
	c := start(t)
	if err := c.kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}}); err != nil {
		t.Fatal(err)
	}
	c.create(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: submit, namespace: ci}
rules: [{apiGroups: [argoproj.io], resources: [workflows], verbs: [create]}]
`)
	c.create(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: submit, namespace: ci}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: submit}
subjects: [{kind: ServiceAccount, name: builder, namespace: ci}]
`)
	c.runner("a")
	manifest := func(more string) json.RawMessage {
		return json.RawMessage(`{"metadata":{"generateName":"w-"` + more + `},"spec":{"entrypoint":"m","templates":[{"name":"m","suspend":{}}]}}`)
	}
	submit := func(key, account, namespace string, more string) events.SubmitWorkflow {
		return events.SubmitWorkflow{Key: key + "-abcdefghij", Namespace: namespace, Workflow: manifest(more),
			Sensor:         "s",
			ServiceAccount: account, AccountNamespace: "ci"}
	}
	// The account may: of a command that comes twice one workflow is made, though the account cannot look.
	for i := range 2 {
		c.told(fmt.Sprint("may", i), events.SubmitSubject("ci"), events.TypeSubmitWorkflow,
			submit("may", "builder", "ci", ""))
	}
	c.told("no rights", events.SubmitSubject("ci"), events.TypeSubmitWorkflow, submit("norights", "default", "ci", ""))
	c.told("elsewhere", events.SubmitSubject("other"), events.TypeSubmitWorkflow,
		submit("elsewhere", "builder", "other", ""))
	c.told("by another subject", events.SubmitSubject("ci"), events.TypeSubmitWorkflow,
		submit("subject", "builder", "other", ""))
	c.told("by another manifest", events.SubmitSubject("ci"), events.TypeSubmitWorkflow,
		submit("manifest", "builder", "ci", `,"namespace":"other"`))
	c.told("a stop", events.CommandSubject(events.ServiceWorkflowRunner, "stop", "ci"), events.TypeOperateWorkflow,
		events.OperateWorkflow{Key: "stop", Operation: "stop", Namespace: "ci", Kind: "Workflow", Name: "w-may-abcdef",
			Sensor: "s", ServiceAccount: "builder", AccountNamespace: "ci"})
	c.told("a stop by the subject of another", events.CommandSubject(events.ServiceWorkflowRunner, "resume", "ci"),
		events.TypeOperateWorkflow,
		events.OperateWorkflow{Key: "stop2", Operation: "stop", Namespace: "ci", Kind: "Workflow",
			Name: "w-may-abcdef"})
	said := c.refusals(6)
	for id, want := range map[string]string{
		"no rights": "system:serviceaccount:ci:default", "elsewhere": "system:serviceaccount:ci:builder",
		"by another subject":  "by subject",
		"by another manifest": "metadata.namespace", "a stop": "system:serviceaccount:ci:builder",
		"a stop by the subject of another": "by subject",
	} {
		if !strings.Contains(said[id], want) {
			t.Errorf("%s: %s", id, said[id])
		}
	}
	list := object.WorkflowList()
	if err := c.kube.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].GetNamespace() != "ci" ||
		!strings.HasPrefix(list.Items[0].GetName(), "w-may") {
		t.Errorf("%d workflows", len(list.Items))
	}
}

func TestAWorkflowOfAnotherCommandIsNotTakenForDone(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.runner("a")
	manifest := json.RawMessage(`{"metadata":{"name":"fixed"},"spec":{"entrypoint":"m","templates":[{"name":"m","suspend":{}}]}}`)
	for _, key := range []string{"first", "first", "second"} {
		c.told(key+fmt.Sprint(len(c.workflows())), events.SubmitSubject("ci"), events.TypeSubmitWorkflow,
			events.SubmitWorkflow{Key: key + "-abcdefghij", Namespace: "ci", Workflow: manifest})
		c.await("the workflow is there", func() error {
			return c.kube.Get(t.Context(), client.ObjectKey{Namespace: "ci", Name: "fixed"}, object.Workflow())
		})
	}
	said := c.refusals(1)
	if text := fmt.Sprint(said); len(said) != 1 || !strings.Contains(text, "use generateName") ||
		!strings.Contains(text, "second") {
		t.Errorf("%s", text)
	}
}
