package source

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/discovery"
)

// clusterMemory is how long what a cluster serves is remembered: charts see a new kind a little later.
const clusterMemory = 3 * time.Minute

// ownCluster is what the agent's cluster serves.
type ownCluster struct {
	discovery discovery.DiscoveryInterface

	mu      sync.Mutex
	at      time.Time
	version string
	apis    []string
}

// versions are those of Kubernetes and of the APIs, as group/version and group/version/Kind.
func (c *ownCluster) versions() (kubernetes string, apis []string, err error) {
	if c.discovery == nil {
		return "", nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < clusterMemory {
		return c.version, c.apis, nil
	}
	info, err := c.discovery.ServerVersion()
	if err != nil {
		return "", nil, fmt.Errorf("ask the cluster for its version: %w", err)
	}
	_, lists, err := c.discovery.ServerGroupsAndResources()
	// An aggregated API that is away hides its kinds, not those of all others.
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return "", nil, fmt.Errorf("ask the cluster for its APIs: %w", err)
	}
	found := map[string]bool{}
	for _, l := range lists {
		found[l.GroupVersion] = true
		for _, r := range l.APIResources {
			found[l.GroupVersion+"/"+r.Kind] = true
		}
	}
	apis = make([]string, 0, len(found))
	for name := range found {
		apis = append(apis, name)
	}
	slices.Sort(apis)
	c.version, c.apis, c.at = info.GitVersion, apis, time.Now()
	return c.version, c.apis, nil
}
