package events

import (
	"encoding/json"
	"regexp"
	"time"
)

// The values of [ImagePushed.Verified]: who vouches for the push.
const (
	// VerifiedBySender means that the sender's signature was good.
	VerifiedBySender = "sender"
	// VerifiedByRegistry means that the registry was asked and has the image.
	VerifiedByRegistry = "registry"
	// VerifiedByNone means that the push is only a hint.
	VerifiedByNone = "none"
)

// ImagePushed says that an image was pushed to a registry.
type ImagePushed struct {
	// Registry is the host, with its port unless it is the default.
	Registry string `json:"registry"`
	// Repository is the path below the host.
	Repository string `json:"repository"`
	// Tag is empty for a push by digest.
	Tag string `json:"tag,omitempty"`
	// Digest is empty when the sender did not say it and nobody asked the registry yet.
	Digest string `json:"digest,omitempty"`
	// MediaType is that of the manifest.
	MediaType string `json:"mediaType,omitempty"`
	// PushedAt is the sender's time.
	PushedAt *time.Time `json:"pushedAt,omitempty"`
	// Actor is who pushed.
	Actor string `json:"actor,omitempty"`
	// Verified is one of the constants above.
	Verified string `json:"verified"`
	// Annotations are those of the image's manifest, as far as known.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Raw is what the sender sent.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// Reference returns registry/repository with the digest, or with the tag when there is none.
func (p ImagePushed) Reference() string {
	name := p.Registry + "/" + p.Repository
	switch {
	case p.Digest != "":
		return name + "@" + p.Digest
	case p.Tag != "":
		return name + ":" + p.Tag
	default:
		return name
	}
}

// attachmentTag is a tag that names what is attached to an image by that image's digest: signatures, attestations and
// SBOMs of cosign, and the index of referrers where a registry has no interface for it. Source: OCI distribution
// spec 1.1, "Referrers Tag Schema"; cosign, "Registry Details".
var attachmentTag = regexp.MustCompile(`^(sha256|sha384|sha512|blake3)-[0-9a-f]{64,128}(\.[A-Za-z0-9_.-]+)?$`)

// Attachment reports whether what was pushed under a tag is no image that anybody runs by it: something attached to an
// image, or, without a tag, one platform's part of an index.
func Attachment(tag string) bool { return tag == "" || attachmentTag.MatchString(tag) }

// SubmitWorkflow asks workflow-runner to create one workflow.
type SubmitWorkflow struct {
	// Key makes the effect happen once: the name of the workflow ends in it.
	Key string `json:"key"`
	// Namespace is where the workflow is created.
	Namespace string `json:"namespace"`
	// Workflow is the manifest as JSON.
	Workflow json.RawMessage `json:"workflow"`
	// Sensor is who asks.
	Sensor string `json:"sensor,omitempty"`
	// Trigger is the trigger of the sensor.
	Trigger string `json:"trigger,omitempty"`
	// ServiceAccount is the account with whose rights the workflow is created; without Sensor and account it is
	// workflow-runner's own, as for commands of people who may publish them.
	ServiceAccount string `json:"serviceAccount,omitempty"`
	// AccountNamespace is where the account is: the Sensor's namespace. "" is Namespace.
	AccountNamespace string `json:"accountNamespace,omitempty"`
}

// OperateWorkflow asks workflow-runner to do something with a workflow other than to submit a new one.
type OperateWorkflow struct {
	// Key makes the effect happen once.
	Key string `json:"key"`
	// Operation is submit-from, resubmit, resume, retry, suspend, terminate or stop.
	Operation string `json:"operation"`
	// Namespace is where the workflow is.
	Namespace string `json:"namespace"`
	// Kind is what Name names: Workflow, or for submit-from WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow.
	Kind string `json:"kind"`
	// Name is the name of the object to operate on.
	Name string `json:"name"`
	// Object is the manifest of the trigger as JSON: its metadata and arguments override those of what it names.
	Object json.RawMessage `json:"object,omitempty"`
	// Args are further arguments in the form of the argo command line.
	Args []string `json:"args,omitempty"`
	// Sensor is who asks.
	Sensor string `json:"sensor,omitempty"`
	// Trigger is the trigger of the sensor.
	Trigger string `json:"trigger,omitempty"`
	// ServiceAccount is the account with whose rights it is done; see [SubmitWorkflow].
	ServiceAccount string `json:"serviceAccount,omitempty"`
	// AccountNamespace is where the account is: the Sensor's namespace. "" is Namespace.
	AccountNamespace string `json:"accountNamespace,omitempty"`
}

// FireTrigger asks the sensor service to fire one trigger of a Sensor: decided, and not yet done.
type FireTrigger struct {
	// Key makes the effect happen once.
	Key string `json:"key"`
	// Namespace is that of the Sensor.
	Namespace string `json:"namespace"`
	// Sensor is its name.
	Sensor string `json:"sensor"`
	// Trigger is the name of the trigger.
	Trigger string `json:"trigger"`
	// Events are those that contributed.
	Events []FiringEvent `json:"events"`
	// Replay names the replay that asks for it; empty when the events themselves did.
	Replay string `json:"replay,omitempty"`
}

// FiringEvent is one event that contributed to a firing.
type FiringEvent struct {
	// Dependency is what it satisfied.
	Dependency string `json:"dependency"`
	// ID is its id.
	ID string `json:"id"`
	// Sequence is its place on the stream EVENTS.
	Sequence uint64 `json:"sequence"`
}

// Object names one Kubernetes object.
type Object struct {
	// APIVersion is group/version.
	APIVersion string `json:"apiVersion"`
	// Kind is the kind.
	Kind string `json:"kind"`
	// Namespace is empty for an object of the cluster.
	Namespace string `json:"namespace,omitempty"`
	// Name is the name.
	Name string `json:"name"`
	// UID tells two objects of the same name apart.
	UID string `json:"uid,omitempty"`
}

// Fact says what a service did or saw.
type Fact struct {
	// Object is what the fact is about.
	Object Object `json:"object"`
	// Phase is the state of the object after it.
	Phase string `json:"phase,omitempty"`
	// Message is for people.
	Message string `json:"message,omitempty"`
	// Attributes are what programs may ask for, such as image, weight, step or commit.
	Attributes map[string]string `json:"attributes,omitempty"`
}
