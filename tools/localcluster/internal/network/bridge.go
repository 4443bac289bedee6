package network

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
)

// wanted are the kernel settings that services need. Those with an empty value
// are set by kubelet and kube-proxy, and only noted here to be restored.
var wanted = map[string]string{
	"net/ipv4/ip_forward":                "1",
	"net/bridge/bridge-nf-call-iptables": "1",
	"net/ipv4/conf/all/route_localnet":   "",
	"kernel/panic":                       "",
	"kernel/panic_on_oops":               "",
	"vm/overcommit_memory":               "",
}

const sysctls = "/proc/sys"

// NoteSysctls returns the values, before the cluster, of every kernel setting
// that it changes.
func NoteSysctls() map[string]string {
	_ = exec.Command("modprobe", "br_netfilter").Run() //nolint:noctx // quick, and absent when built in
	before := map[string]string{}
	for name := range wanted {
		if raw, err := os.ReadFile(filepath.Join(sysctls, name)); err == nil {
			before[name] = strings.TrimSpace(string(raw))
		}
	}
	return before
}

// SetSysctls writes kernel settings; an empty value is left alone.
func SetSysctls(values map[string]string) error {
	for name, value := range values {
		if value == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(sysctls, name), []byte(value), 0o644); err != nil {
			return fmt.Errorf("set sysctl %s=%s: %w", name, value, err)
		}
	}
	return nil
}

// Up lays the bridge and the rules of a cluster. It may run again over
// what it has laid before.
func Up(ctx context.Context, c *state.Cluster) error {
	if err := SetSysctls(wanted); err != nil {
		return err
	}
	bridge := c.Network.Bridge
	if _, err := net.InterfaceByName(bridge); err != nil {
		if err := run(ctx, "", "ip", "link", "add", bridge, "type", "bridge"); err != nil {
			return err
		}
	}
	_, bits, _ := strings.Cut(c.Network.Pods, "/")
	if err := run(ctx, "", "ip", "addr", "replace", c.Network.Gateway+"/"+bits, "dev", bridge); err != nil {
		return err
	}
	if err := run(ctx, "", "ip", "link", "set", bridge, "up"); err != nil {
		return err
	}
	return rules(ctx, c)
}

// Chain is the iptables chain, in nat and filter, that holds a cluster's own rules.
func Chain(c *state.Cluster) string { return "ARGOSY-" + strings.ToUpper(c.ID()) }

// rules masquerades what leaves the pods' network and lets the bridge forward,
// also on machines whose FORWARD policy is DROP.
func rules(ctx context.Context, c *state.Cluster) error {
	chain, pods, bridge := Chain(c), c.Network.Pods, c.Network.Bridge
	script := strings.Join([]string{
		"*nat", ":" + chain + " - [0:0]",
		fmt.Sprintf("-A %s -s %s ! -d %s -j MASQUERADE", chain, pods, pods),
		"COMMIT",
		"*filter", ":" + chain + " - [0:0]",
		fmt.Sprintf("-A %s -i %s -j ACCEPT", chain, bridge),
		fmt.Sprintf("-A %s -o %s -j ACCEPT", chain, bridge),
		"COMMIT", "",
	}, "\n")
	if err := run(ctx, script, "iptables-restore", "--noflush", "--wait"); err != nil {
		return err
	}
	for _, jump := range [][]string{{"nat", "POSTROUTING"}, {"filter", "FORWARD"}} {
		rule := []string{"-w", "-t", jump[0], "-C", jump[1], "-j", chain}
		if run(ctx, "", "iptables", rule...) == nil {
			continue
		}
		rule[3] = "-A"
		if err := run(ctx, "", "iptables", rule...); err != nil {
			return err
		}
	}
	return nil
}

// Down takes the bridge, the rules and the kernel settings away. What is not
// there is no error.
func Down(ctx context.Context, c *state.Cluster) error {
	if _, err := net.InterfaceByName(c.Network.Bridge); err == nil {
		removePorts(ctx, c.Network.Bridge)
		if err := run(ctx, "", "ip", "link", "delete", c.Network.Bridge); err != nil {
			return err
		}
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		if _, err := exec.LookPath(family + "-save"); err != nil {
			continue
		}
		saved, err := exec.CommandContext(ctx, family+"-save").Output()
		if err != nil {
			return fmt.Errorf("run %s-save: %w", family, err)
		}
		script := Teardown(string(saved), Chain(c), c.Network.Bridge)
		if script == "" {
			continue
		}
		if err := run(ctx, script, family+"-restore", "--noflush", "--wait"); err != nil {
			return err
		}
	}
	return SetSysctls(c.Network.Sysctls)
}

// removePorts deletes the pods' ends at the bridge. The kernel would do so itself,
// but only some seconds after their network namespaces are gone.
func removePorts(ctx context.Context, bridge string) {
	ports, err := os.ReadDir(filepath.Join("/sys/class/net", bridge, "brif"))
	if err != nil {
		return // no bridge, no ports
	}
	for _, port := range ports {
		// One that the kernel was quicker with is gone, which is what was wanted.
		_ = run(ctx, "", "ip", "link", "delete", port.Name())
	}
}

func run(ctx context.Context, stdin, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = strings.NewReader(stdin)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
