package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/network"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
)

// services is the service network. No packet with such an address leaves the
// machine's own iptables, so that control planes may share it.
const services = "10.96.0.0/16"

// socketLimit is what the kernel allows for the path of a unix socket.
const socketLimit = 107

// plan is the cluster that the options ask for: the one of the directory, or a
// new one with ports and networks that are free now.
func plan(o Options) (*state.Cluster, error) {
	c, err := state.Load(o.Dir)
	if err == nil {
		return c, fits(c, o)
	}
	if !errors.Is(err, state.ErrNone) {
		return nil, err
	}
	c = &state.Cluster{
		Dir: o.Dir, Name: o.Name, Mode: o.Mode, Services: services,
		Controllers: o.Controllers || o.Mode == state.Full,
		Registries:  o.Registries, Aliases: o.Aliases, AlwaysPull: o.AlwaysPull,
	}
	if c.Full() {
		if err := planNetwork(c); err != nil {
			return nil, err
		}
	}
	return c, planPorts(c)
}

// fits refuses to turn a running cluster into another one.
func fits(c *state.Cluster, o Options) error {
	if c.Mode != o.Mode || (o.Controllers && !c.Controllers) || !maps.Equal(c.Registries, o.Registries) ||
		!maps.Equal(c.Aliases, o.Aliases) || c.AlwaysPull != o.AlwaysPull {
		return fmt.Errorf(
			"%s holds a %s cluster made with other flags; take it down first: localcluster down --dir %s", c.Dir,
			c.Mode, c.Dir,
		)
	}
	return nil
}

func planPorts(c *state.Cluster) error {
	free := network.NewPorts(c.Dir)
	// Many control planes may start at once; the well-known ports are the node's.
	api, controllers := 0, 0
	if c.Full() {
		api, controllers = 6443, 10257
	}
	wanted := []struct {
		port      *int
		preferred int
		needed    bool
	}{
		{&c.Ports.API, api, true},
		{&c.Ports.Etcd, 0, true},
		{&c.Ports.EtcdPeer, 0, true},
		{&c.Ports.ControllerManager, controllers, c.Controllers},
		{&c.Ports.Scheduler, 10259, c.Full()},
		{&c.Ports.Kubelet, 10250, c.Full()},
		{&c.Ports.KubeletHealth, 10248, c.Full()},
		{&c.Ports.ProxyHealth, 10256, c.Full()},
		{&c.Ports.ProxyMetrics, 10249, c.Full()},
		{&c.Ports.DNS, 0, c.Full()},
		{&c.Ports.DNSHealth, 0, c.Full()},
	}
	for _, w := range wanted {
		if !w.needed {
			continue
		}
		port, err := free.Take(w.preferred)
		if err != nil {
			return err
		}
		*w.port = port
	}
	return nil
}

func planNetwork(c *state.Cluster) error {
	used, err := network.UsedSubnets()
	if err != nil {
		return err
	}
	for _, subnet := range used {
		if subnet.Overlaps(netip.MustParsePrefix(services)) {
			return fmt.Errorf("this machine is in %s, which overlaps the cluster's services %s", subnet, services)
		}
	}
	pods, err := network.PodSubnet(used)
	if err != nil {
		return err
	}
	c.Network = state.Network{
		Bridge:  "argosy-" + c.ID(),
		Pods:    pods.String(),
		Gateway: network.Host(pods, 1).String(),
		Sysctls: network.NoteSysctls(),
	}
	return nil
}

// claimFile says which directory's full node this machine runs.
const claimFile = "/run/argosy-localcluster"

// claim makes the cluster the machine's only full node: kube-proxy's chains
// are called the same in every cluster.
func claim(c *state.Cluster) error {
	release, err := lockFile(claimFile + ".lock")
	if err != nil {
		return err
	}
	defer release()
	raw, err := os.ReadFile(claimFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read claim: %w", err)
	}
	other := strings.TrimSpace(string(raw))
	if other != "" && other != c.Dir {
		if _, err := state.Load(other); err == nil {
			return fmt.Errorf(
				"this machine runs a full node already, from %s: use that one, take it down (localcluster down --dir %s), "+
					"or start just a control plane with --control-plane-only",
				other,
				other,
			)
		}
	}
	return os.WriteFile(claimFile, []byte(c.Dir+"\n"), 0o644)
}

// unclaim gives the machine free again.
func unclaim(c *state.Cluster) error {
	raw, err := os.ReadFile(claimFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(raw)) != c.Dir {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read who has the machine: %w", err)
	}
	_ = os.Remove(claimFile + ".lock")
	return os.Remove(claimFile)
}

// required are the programs of the distribution that a node needs.
var required = map[string]string{
	"containerd": "containerd", "ctr": "containerd", "runc": "runc",
	"iptables": "iptables", "ip": "iproute2", "conntrack": "conntrack",
	"nsenter": "util-linux", "mount": "mount",
}

// checkMachine says everything at once that a full node lacks here.
func checkMachine(c *state.Cluster) error {
	if os.Geteuid() != 0 {
		return errors.New("a full node needs root; without it, start a control plane with --control-plane-only")
	}
	if socket := c.Path("run", "containerd.sock"); len(socket) > socketLimit {
		return fmt.Errorf(
			"the directory's path is too long for a unix socket by %d bytes; choose a shorter --dir",
			len(socket)-socketLimit,
		)
	}
	missing := map[string]bool{}
	for program, debian := range required {
		if _, err := exec.LookPath(program); err != nil {
			missing[debian] = true
		}
	}
	if _, err := os.Stat(filepath.Join("/usr/lib/cni", "bridge")); err != nil {
		missing["containernetworking-plugins"] = true
	}
	if len(missing) == 0 {
		return nil
	}
	var packages []string
	for debian := range missing {
		packages = append(packages, debian)
	}
	return fmt.Errorf(
		"programs are missing; install them: apt-get install --no-install-recommends %s", strings.Join(packages, " "),
	)
}
