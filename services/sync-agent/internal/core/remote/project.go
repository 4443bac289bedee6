package remote

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
)

// Narrow is what a project says of one cluster: no tokens and roles, and nothing of other clusters. It permits there
// exactly what the whole project permits.
func Narrow(spec v1alpha1.AppProjectSpec, server, name string) v1alpha1.AppProjectSpec {
	out := *spec.DeepCopy()
	out.Roles, out.Destinations, out.DestinationServiceAccounts = nil, nil, nil
	for _, d := range spec.Destinations {
		names, servers := d.Name != "" && matches(d.Name, name), matches(d.Server, server)
		switch {
		case names || servers:
			kept := v1alpha1.ApplicationDestination{Namespace: d.Namespace}
			if names {
				kept.Name = name
			}
			if servers {
				kept.Server = server
			}
			out.Destinations = append(out.Destinations, kept)
		case strings.HasPrefix(d.Name, "!"), strings.HasPrefix(d.Server, "!"):
			out.Destinations = append(out.Destinations, d) // it denies this very cluster
		}
	}
	for _, a := range spec.DestinationServiceAccounts {
		if project.Match(a.Server, server) {
			a.Server = server
			out.DestinationServiceAccounts = append(out.DestinationServiceAccounts, a)
		}
	}
	if len(spec.DestinationServiceAccounts) > 0 && len(out.DestinationServiceAccounts) == 0 {
		// A list that names no account for the cluster lets nobody write there; no list would.
		out.DestinationServiceAccounts = []v1alpha1.ApplicationDestinationServiceAccount{{}}
	}
	return out
}

// matches is a match in which a pattern that begins with ! matches what the rest of it does not.
func matches(pattern, text string) bool {
	if rest, not := strings.CutPrefix(pattern, "!"); not {
		return !project.Match(rest, text)
	}
	return project.Match(pattern, text)
}

// EncodeProject writes what an agent is told of a project.
func EncodeProject(spec v1alpha1.AppProjectSpec) ([]byte, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode a project: %w", err)
	}
	if len(text) > MaxAssignment {
		return nil, fmt.Errorf("%w: the project has %d bytes of at most %d", ErrTooLarge, len(text), MaxAssignment)
	}
	return text, nil
}
