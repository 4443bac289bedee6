// Package network finds free ports and subnets, lays the bridge that pods
// hang on, and takes away exactly the iptables rules that a node has added.
package network

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// Ports hands out free TCP ports, each once.
type Ports struct {
	first int
	taken map[int]bool
	free  func(port int) bool
}

// NewPorts asks the kernel which ports are free. The search begins at a place
// that the seed gives, so that clusters which start at the same moment do not
// find the same port free.
func NewPorts(seed string) *Ports {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(seed))
	return &Ports{first: int(hash.Sum32() % span), taken: map[int]bool{}, free: listens}
}

// lowest and span bound the ports that are handed out: below the kernel's
// ephemeral range, clear of the NodePort range above 30000.
const lowest, span = 20000, 10000

// Take returns the preferred port when it is free, and otherwise the first
// free one. Zero prefers none.
func (p *Ports) Take(preferred int) (int, error) {
	if preferred != 0 && p.usable(preferred) {
		p.taken[preferred] = true
		return preferred, nil
	}
	for i := range span {
		port := lowest + (p.first+i)%span
		if p.usable(port) {
			p.taken[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free TCP port between %d and %d", lowest, lowest+span-1)
}

func (p *Ports) usable(port int) bool { return !p.taken[port] && p.free(port) }

func listens(port int) bool {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port)) //nolint:noctx // it is closed at once
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

// PodSubnet returns the first /22 of 10.244.0.0/16 that overlaps none of the
// networks in use: room for a thousand pods.
func PodSubnet(used []netip.Prefix) (netip.Prefix, error) {
	for third := 0; third < 256; third += 4 {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(third), 0}), 22)
		if !overlapsAny(subnet, used) {
			return subnet, nil
		}
	}
	return netip.Prefix{}, errors.New("every /22 of 10.244.0.0/16 is in use on this machine")
}

func overlapsAny(subnet netip.Prefix, used []netip.Prefix) bool {
	return slices.ContainsFunc(used, subnet.Overlaps)
}

// UsedSubnets are the networks that this machine's interfaces are in.
func UsedSubnets() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var used []netip.Prefix
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			used = append(used, prefix.Masked())
		}
	}
	return used, nil
}

// Host returns the nth address of a network.
func Host(subnet netip.Prefix, n int) netip.Addr {
	address := subnet.Masked().Addr()
	for range n {
		address = address.Next()
	}
	return address
}
