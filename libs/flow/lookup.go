package flow

import (
	"encoding/json"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// LookupKind is a kind of thing outside of the run.
type LookupKind string

// What a decision may need to know.
const (
	LookupConfigMap       LookupKind = "ConfigMap"               // the value of a key
	LookupTemplate        LookupKind = "WorkflowTemplate"        // its spec
	LookupClusterTemplate LookupKind = "ClusterWorkflowTemplate" // its spec
	LookupMemo            LookupKind = "Memo"                    // the entry of a cache
)

// Lookup is a question to the shell. Its answer is recorded with the run, so that what is edited or removed meanwhile
// changes nothing for a run at work.
type Lookup struct {
	Kind LookupKind `json:"kind"`
	Name string     `json:"name"`
	Key  string     `json:"key,omitempty"`
	Node string     `json:"node,omitempty"` // of NeedMemo: who asks; each node asks anew
}

// Answer is what was found.
type Answer struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Missing string          `json:"missing,omitempty"` // why there is nothing; empty when there is
}

// MemoEntry is what a cache keeps under a key. Source: Argo Workflows, cache entries of ConfigMaps.
type MemoEntry struct {
	NodeID            string            `json:"nodeID"`
	Outputs           *v1alpha1.Outputs `json:"outputs"`
	CreationTimestamp time.Time         `json:"creationTimestamp"`
	LastHitTimestamp  time.Time         `json:"lastHitTimestamp"`
}
