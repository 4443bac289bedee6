// Package state is what a cluster remembers between two calls of the command:
// its ports, subnets and names. It is written before anything is started, so
// that whatever a crash leaves behind can be found again and taken down.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mode says how much of a cluster runs.
type Mode string

const (
	// ControlPlane is etcd and the API server, nothing that needs root.
	ControlPlane Mode = "control-plane"
	// Full is a control plane and a node that runs pods.
	Full Mode = "full"
)

// Ports are the TCP ports of one cluster. Those of the node stay zero in a
// control plane.
type Ports struct {
	API               int `json:"api"`
	Etcd              int `json:"etcd"`
	EtcdPeer          int `json:"etcdPeer"`
	ControllerManager int `json:"controllerManager,omitempty"`
	Scheduler         int `json:"scheduler,omitempty"`
	Kubelet           int `json:"kubelet,omitempty"`
	KubeletHealth     int `json:"kubeletHealth,omitempty"`
	ProxyHealth       int `json:"proxyHealth,omitempty"`
	ProxyMetrics      int `json:"proxyMetrics,omitempty"`
	DNS               int `json:"dns,omitempty"`
	DNSHealth         int `json:"dnsHealth,omitempty"`
}

// Network is where the pods of a full cluster live.
type Network struct {
	Bridge  string `json:"bridge"`
	Pods    string `json:"pods"`    // CIDR of the pods
	Gateway string `json:"gateway"` // address of the bridge: the node, as pods see it
	// Sysctls are the kernel settings that were changed, with the values to restore.
	Sysctls map[string]string `json:"sysctls,omitempty"`
}

// Cluster is one cluster on this machine.
type Cluster struct {
	Name        string            `json:"name"`
	Mode        Mode              `json:"mode"`
	Controllers bool              `json:"controllers"` // kube-controller-manager runs
	Services    string            `json:"services"`    // CIDR of the services
	Ports       Ports             `json:"ports"`
	Network     Network           `json:"network,omitzero"`
	Registries  map[string]string `json:"registries,omitempty"` // host in an image reference -> URL the node pulls from
	Aliases     map[string]string `json:"aliases,omitempty"`    // name in pods -> DNS name it stands for
	// AlwaysPull keeps the pull policy Always as written.
	AlwaysPull bool `json:"alwaysPull,omitempty"`

	// Made are the empty directories that private mounts needed, to be removed.
	Made []string `json:"made,omitempty"`

	// Dir is where the cluster lives; not stored, because directories move.
	Dir string `json:"-"`
}

// ErrNone is returned by Load when the directory holds no cluster.
var ErrNone = errors.New("no cluster here")

const file = "state.json"

// Load reads the cluster of a directory.
func Load(dir string) (*Cluster, error) {
	raw, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	c := &Cluster{Dir: dir}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf(
			"parse %s (delete the directory when no cluster runs from it): %w", filepath.Join(dir, file), err,
		)
	}
	return c, nil
}

// Save writes the cluster down, all or nothing.
func (c *Cluster) Save() error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("make cluster directory: %w", err)
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	next := c.Path(file + ".next")
	if err := os.WriteFile(next, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return os.Rename(next, c.Path(file))
}

// Path joins elements under the cluster's directory.
func (c *Cluster) Path(elements ...string) string {
	return filepath.Join(append([]string{c.Dir}, elements...)...)
}

// ID is short and differs between directories; it names what is global to a
// machine: bridges, cgroups, iptables chains.
func (c *Cluster) ID() string {
	sum := sha256.Sum256([]byte(c.Dir))
	return hex.EncodeToString(sum[:4])
}

// NodeName is the name of the only node.
func (c *Cluster) NodeName() string { return c.Name }

// CgroupRoot is the cgroup, relative to each hierarchy, that holds all pods.
func (c *Cluster) CgroupRoot() string { return "argosy-" + c.ID() }

// APIServer is the URL the API server is reached at from this machine.
func (c *Cluster) APIServer() string { return fmt.Sprintf("https://127.0.0.1:%d", c.Ports.API) }

// Full tells whether the cluster runs pods.
func (c *Cluster) Full() bool { return c.Mode == Full }
