// Package remote decides what the control cluster and an agent in another cluster say to each other of an Application:
// what is handed over, what the agent makes of it, and what is taken back.
package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Label marks what an agent keeps for the control cluster; its value is the name of the agent.
const Label = "argosy.dev/agent"

// Annotations of Applications. Those of the copy are the memory of the agent: they are written together with what they
// tell of.
const (
	// OperationAnnotation is on the Application of the control cluster: the id of the operation that is asked for.
	OperationAnnotation = "argosy.dev/agent-operation"

	takenAnnotation     = "argosy.dev/agent-operation-taken"
	refreshedAnnotation = "argosy.dev/agent-refreshed"
	uidAnnotation       = "argosy.dev/agent-uid"
	clusterAnnotation   = "argosy.dev/agent-cluster"
)

const (
	refresh      = "argocd.argoproj.io/refresh"
	lastApplied  = "kubectl.kubernetes.io/last-applied-configuration"
	ownNamespace = "_" // in keys; no namespace has this name
	finalizer    = "resources-finalizer.argocd.argoproj.io"
)

// scheme is how a cluster Secret names an agent in place of the address of an API server.
const scheme = "argosy-agent://"

// Bounds on what crosses the bus, whose messages hold a mebibyte.
const (
	MaxAssignment = 768 << 10
	MaxReport     = 512 << 10
)

var agentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckAgent says why a name is none of an agent.
func CheckAgent(name string) error {
	if !agentName.MatchString(name) {
		return fmt.Errorf("%q is no name of an agent: at most 63 lower-case letters, digits and dashes", name)
	}
	return nil
}

// Server is how Applications and projects name the cluster of an agent.
func Server(agent string) string { return scheme + agent }

// AgentOf reads the name of the agent from the server of a cluster, and tells whether that is one rather than an API
// server.
func AgentOf(server string) (agent string, is bool, err error) {
	agent, is = strings.CutPrefix(strings.TrimSpace(server), scheme)
	if !is {
		return "", false, nil
	}
	agent = strings.TrimSuffix(agent, "/")
	return agent, true, CheckAgent(agent)
}

// Prefixes of keys: what the control cluster says, and what the agent does. A user of an agent may write the second
// alone.
const (
	Down = "down."
	Up   = "up."
	// Alive is the key of the heartbeat of an agent.
	Alive = Up + "alive"
	// Hello is the key by which an agent asks for all that is said to it, with a value that is repeated after it.
	Hello = Up + "hello"

	appPart     = "app."
	projectPart = "project."
)

// Key names an Application on the bus. Its own control namespace is "" to either side.
type Key struct{ Namespace, Name string }

// KeyOf is the key of an Application of an installation.
func KeyOf(namespace, name, control string) Key {
	if namespace == control {
		namespace = ""
	}
	return Key{Namespace: namespace, Name: name}
}

// In is the name of the Application in an installation.
func (k Key) In(control string) types.NamespacedName {
	n := types.NamespacedName{Namespace: k.Namespace, Name: k.Name}
	if n.Namespace == "" {
		n.Namespace = control
	}
	return n
}

func (k Key) path() string {
	if k.Namespace == "" {
		return appPart + ownNamespace + "." + k.Name
	}
	return appPart + k.Namespace + "." + k.Name
}

// Down is the key of the assignment.
func (k Key) Down() string { return Down + k.path() }

// Up is the key of the report.
func (k Key) Up() string { return Up + k.path() }

// ProjectKey is the key of a project.
func ProjectKey(name string) string { return Down + projectPart + name }

// ParseApp reads the key of an Application after Down or Up.
func ParseApp(key, prefix string) (Key, bool) {
	rest, is := strings.CutPrefix(key, prefix+appPart)
	namespace, name, cut := strings.Cut(rest, ".")
	if !is || !cut || namespace == "" || name == "" {
		return Key{}, false
	}
	if namespace == ownNamespace {
		namespace = ""
	}
	return Key{Namespace: namespace, Name: name}, true
}

// ParseProject reads the key of a project.
func ParseProject(key string) (name string, is bool) {
	name, is = strings.CutPrefix(key, Down+projectPart)
	return name, is && name != ""
}

// Assignment is what an agent shall do about an Application.
type Assignment struct {
	UID string `json:"uid"` // of the Application
	// Withdrawn has the copy go while its objects stay.
	Withdrawn bool `json:"withdrawn,omitempty"`
	// Delete, a finalizer of Argo CD, has the copy go and its objects with it.
	Delete      string            `json:"delete,omitempty"`
	Cluster     string            `json:"cluster,omitempty"` // its name
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Spec        map[string]any    `json:"spec,omitempty"`
	Operation   *Order            `json:"operation,omitempty"`
	Refresh     *Refresh          `json:"refresh,omitempty"`
	Terminate   string            `json:"terminate,omitempty"` // when the operation began that shall end
}

// Order is an operation that somebody asked for, with an id of its own: it is done once.
type Order struct {
	ID        string         `json:"id"`
	Operation map[string]any `json:"operation"`
}

// Refresh is a refresh that somebody asked for.
type Refresh struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

// Report is what an agent says of an Application.
type Report struct {
	UID     string                     `json:"uid"`
	Taken   string                     `json:"taken,omitempty"` // id of the operation that was taken last
	Gone    bool                       `json:"gone,omitempty"`
	Problem string                     `json:"problem,omitempty"` // why there is no copy
	Status  v1alpha1.ApplicationStatus `json:"status"`
}

// Beat is the heartbeat of an agent.
type Beat struct {
	Instance string `json:"instance"`
	Count    uint64 `json:"count"`
}

// ErrTooLarge is wrapped by the error about what the bus cannot carry.
var ErrTooLarge = errors.New("too large to hand over")

// Encode writes an assignment; the same one is the same bytes.
func (a Assignment) Encode() ([]byte, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode an assignment: %w", err)
	}
	if len(text) > MaxAssignment {
		return nil, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, len(text), MaxAssignment)
	}
	return text, nil
}

// told leaves out the annotations that say nothing to the agent.
func told(all map[string]string) map[string]string {
	out := maps.Clone(all)
	for _, name := range []string{
		refresh, lastApplied, OperationAnnotation, takenAnnotation, refreshedAnnotation, uidAnnotation,
		clusterAnnotation, "notified.notifications.argoproj.io", "argosy.dev/promoted",
	} {
		delete(out, name)
	}
	for _, name := range push.Hydrations {
		delete(out, name) // the control cluster hydrates
	}
	maps.DeleteFunc(out, func(name, _ string) bool {
		return strings.HasPrefix(name, "notifications.argoproj.io/") ||
			strings.HasPrefix(name, "argocd-image-updater.argoproj.io/")
	})
	return out
}

// Assign is what is handed over of an Application to the cluster of a name.
func Assign(raw *unstructured.Unstructured, cluster string) Assignment {
	a := Assignment{
		UID: string(raw.GetUID()), Cluster: cluster, Labels: maps.Clone(raw.GetLabels()),
		Annotations: told(raw.GetAnnotations()),
	}
	delete(a.Labels, Label)
	a.Spec, _, _ = unstructured.NestedMap(raw.Object, "spec")
	id := raw.GetAnnotations()[OperationAnnotation]
	if o, _, _ := unstructured.NestedMap(raw.Object, "operation"); o != nil && id != "" {
		a.Operation = &Order{ID: id, Operation: o}
	}
	if kind := raw.GetAnnotations()[refresh]; kind != "" {
		a.Refresh = &Refresh{ID: raw.GetResourceVersion(), Kind: kind}
	}
	phase, _, _ := unstructured.NestedString(raw.Object, "status", "operationState", "phase")
	if phase == string(v1alpha1.OperationTerminating) {
		a.Terminate, _, _ = unstructured.NestedString(raw.Object, "status", "operationState", "startedAt")
	}
	return a
}

// After completes an assignment by what the one before it asked for: a refresh that was handed over stays, since the
// agent knows by its id whether it did it.
func (a Assignment) After(before *Assignment) Assignment {
	if before != nil && a.Refresh == nil && before.UID == a.UID {
		a.Refresh = before.Refresh
	}
	return a
}

// Paused is an assignment under which the agent does nothing.
func (a Assignment) Paused() Assignment {
	a.Annotations = maps.Clone(a.Annotations)
	if a.Annotations == nil {
		a.Annotations = map[string]string{}
	}
	a.Annotations["argocd.argoproj.io/skip-reconcile"] = "true"
	return a
}

// IsGone reports whether a report says that nothing is left of the Application of a uid.
func IsGone(r *Report, uid string) bool { return r != nil && r.Gone && r.UID == uid }

// Finalizer is the one of an Application that takes its objects along, "" when it has none.
func Finalizer(raw *unstructured.Unstructured) string {
	for _, f := range raw.GetFinalizers() {
		if strings.HasPrefix(f, finalizer) {
			return f
		}
	}
	return ""
}

// Away says that an agent was not heard of for a while.
func Away(agent string, heard time.Time) string {
	if heard.IsZero() {
		return fmt.Sprintf("agent %s was not heard of yet", agent)
	}
	return fmt.Sprintf(
		"agent %s is away: it was last heard of at %s, and goes on by itself meanwhile", agent,
		heard.UTC().Format(time.RFC3339),
	)
}
