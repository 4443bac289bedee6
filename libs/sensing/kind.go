package sensing

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// kinds are those of triggers, by the name that manifests give them.
var kinds = map[string]func(t *v1alpha1.TriggerTemplate) bool{
	"argoWorkflow":    func(t *v1alpha1.TriggerTemplate) bool { return t.ArgoWorkflow != nil },
	"awsLambda":       func(t *v1alpha1.TriggerTemplate) bool { return t.AWSLambda != nil },
	"azureEventHubs":  func(t *v1alpha1.TriggerTemplate) bool { return t.AzureEventHubs != nil },
	"azureServiceBus": func(t *v1alpha1.TriggerTemplate) bool { return t.AzureServiceBus != nil },
	"custom":          func(t *v1alpha1.TriggerTemplate) bool { return t.Custom != nil },
	"email":           func(t *v1alpha1.TriggerTemplate) bool { return t.Email != nil },
	"http":            func(t *v1alpha1.TriggerTemplate) bool { return t.HTTP != nil },
	"jetstream":       func(t *v1alpha1.TriggerTemplate) bool { return t.JetStream != nil },
	"k8s":             func(t *v1alpha1.TriggerTemplate) bool { return t.K8s != nil },
	"kafka":           func(t *v1alpha1.TriggerTemplate) bool { return t.Kafka != nil },
	"log":             func(t *v1alpha1.TriggerTemplate) bool { return t.Log != nil },
	"nats":            func(t *v1alpha1.TriggerTemplate) bool { return t.NATS != nil },
	"openWhisk":       func(t *v1alpha1.TriggerTemplate) bool { return t.OpenWhisk != nil },
	"pulsar":          func(t *v1alpha1.TriggerTemplate) bool { return t.Pulsar != nil },
	"slack":           func(t *v1alpha1.TriggerTemplate) bool { return t.Slack != nil },
}

// Kinds lists the names of all kinds of triggers.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// KindOf names the kind of a template; exactly one must be given.
func KindOf(t *v1alpha1.TriggerTemplate) (string, error) {
	var found []string
	for _, name := range Kinds() {
		if kinds[name](t) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("exactly one of %v is needed, %d are given", Kinds(), len(found))
	}
	return found[0], nil
}

// IsDuration reports whether a text is a duration of a manifest: as Go writes it, or a number of nanoseconds.
func IsDuration(text string) bool {
	if _, err := time.ParseDuration(text); err == nil {
		return true
	}
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}
