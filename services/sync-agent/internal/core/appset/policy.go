package appset

import (
	"cmp"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Settings are those of an installation.
type Settings struct {
	// Policy counts for all ApplicationSets; "" leaves it to each.
	Policy string
	// Override lets an ApplicationSet that says something else have it.
	Override bool
}

// Policy says what may be done to Applications that are there; missing ones are always created.
type Policy struct{ Update, Delete bool }

// policies are the values of spec.syncPolicy.applicationsSync. Source: Argo CD.
var policies = map[string]Policy{
	"create-only":   {},
	"create-update": {Update: true},
	"create-delete": {Delete: true},
	"sync":          {Update: true, Delete: true},
}

// CheckPolicy refuses a policy that there is not; "" is none.
func CheckPolicy(name string) error {
	if _, ok := policies[name]; !ok && name != "" {
		return fmt.Errorf("%q: there is create-only, create-update, create-delete and sync", name)
	}
	return nil
}

// PolicyOf is the policy of an ApplicationSet. One that cannot be read permits creation alone, and is an error.
func (s Settings) PolicyOf(spec v1alpha1.ApplicationSetSpec) (Policy, error) {
	var own string
	if spec.SyncPolicy != nil {
		own = spec.SyncPolicy.ApplicationsSync
	}
	if err := CheckPolicy(own); err != nil {
		return Policy{}, fmt.Errorf("spec.syncPolicy.applicationsSync: %w", err)
	}
	if s.Policy != "" && !s.Override {
		own = s.Policy
	}
	return policies[cmp.Or(own, s.Policy, "sync")], nil
}
