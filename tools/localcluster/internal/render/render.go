// Package render turns the state of a cluster into the configuration files of
// its programs and the first objects of its API.
package render

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/network"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
)

//go:embed templates
var files embed.FS

var templates = template.Must(template.ParseFS(files, "templates/*"))

// PauseImage is the image of the container that holds a pod's namespaces.
const PauseImage = "localhost/argosy/pause:dev"

// Input is what the templates see: the cluster and what was found on the machine.
type Input struct {
	*state.Cluster
	// Nameservers resolve names outside the cluster; none is fine.
	Nameservers []string
}

// Socket is where containerd listens.
func (in Input) Socket() string { return Socket(in.Cluster) }

// PauseImage is the image of every pod's sandbox.
func (in Input) PauseImage() string { return PauseImage }

// DNSAddress is the service address of the cluster's DNS.
func (in Input) DNSAddress() string { return ServiceAddress(in.Cluster, 10) }

// RegistryHosts are the hosts of image references that are pulled from a
// registry of the cluster, in order.
func (in Input) RegistryHosts() []string { return slices.Sorted(maps.Keys(in.Registries)) }

// volumes is how many persistent volumes a cluster has. Each is a folder of the cluster, claimed once: nothing empties
// it for the next claim.
const volumes = 16

// Volume is one folder that pods can claim.
type Volume struct{ Name, Path string }

// Volumes are what claims are bound to.
func (in Input) Volumes() []Volume {
	var out []Volume
	for i := range volumes {
		name := fmt.Sprintf("local-%02d", i)
		out = append(out, Volume{Name: name, Path: in.Path("volumes", name)})
	}
	return out
}

// Socket is where the containerd of a cluster listens.
func Socket(c *state.Cluster) string { return c.Path("run", "containerd.sock") }

// ServiceAddress is the nth address of the service network.
func ServiceAddress(c *state.Cluster, n int) string {
	return network.Host(netip.MustParsePrefix(c.Services), n).String()
}

// Node writes the configuration of containerd, CNI, kubelet, kube-proxy and CoreDNS.
func Node(in Input) error {
	for name, path := range map[string]string{
		"containerd.toml": in.Path("config", "containerd.toml"),
		"cni.conflist":    in.Path("cni", "conf", "10-argosy.conflist"),
		"kubelet.yaml":    in.Path("config", "kubelet.yaml"),
		"kube-proxy.yaml": in.Path("config", "kube-proxy.yaml"),
		"Corefile":        in.Path("config", "Corefile"),
		"resolv.conf":     in.Path("config", "resolv.conf"),
	} {
		text, err := text(name, in)
		if err != nil {
			return err
		}
		if err := write(path, text); err != nil {
			return err
		}
	}
	for host, url := range in.Registries {
		if err := write(in.Path("registries", host, "hosts.toml"), hosts(url)); err != nil {
			return err
		}
	}
	return nil
}

// Object is an API object and the path it is applied to.
type Object struct {
	Path string
	YAML []byte
}

// Objects are what a full cluster's API holds from the start.
func Objects(in Input) ([]Object, error) {
	all, err := text("objects.yaml", in)
	if err != nil {
		return nil, err
	}
	var objects []Object
	for document := range strings.SplitSeq(string(all), "\n---\n") {
		path, body, found := strings.Cut(strings.TrimSpace(document), "\n")
		if !found {
			return nil, fmt.Errorf("an object without a path: %q", document)
		}
		objects = append(objects, Object{Path: strings.TrimPrefix(path, "# "), YAML: []byte(body)})
	}
	return objects, nil
}

// Nameservers reads those of a resolv.conf; loopback ones mean another
// machine in a pod, and are left out.
func Nameservers(resolvConf string) []string {
	var servers []string
	for line := range strings.Lines(resolvConf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(fields[1]); err == nil && !address.IsLoopback() {
			servers = append(servers, fields[1])
		}
	}
	return servers
}

func hosts(url string) []byte {
	return fmt.Appendf(nil, "server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\", \"push\"]\n", url, url)
}

func text(name string, in Input) ([]byte, error) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, in); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// write leaves a file that says the same alone: kube-proxy ends itself when its configuration is written.
func write(path string, content []byte) error {
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
