package identity

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// metadata are the addresses, beside the link-local ones, where clouds tell a machine who it is. Sources: AWS (IPv6,
// EKS Pod Identity), Google (IPv6), Azure (host of the machine), Alibaba Cloud.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::254/128"),
	netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("100.100.100.200/32"),
}

// Metadata reports whether clouds tell a machine at this address who it is: whoever reaches it gets the identity of the
// service's pod, or of its node.
func Metadata(at netip.Addr) bool {
	at = at.Unmap().WithZone("")
	return at.IsLinkLocalUnicast() || slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(at) })
}

// dialTime bounds connecting.
const dialTime = 30 * time.Second

// Dial connects to what manifests name, and not where clouds give out identities. The address is looked at after the
// name was resolved: a name may point anywhere.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime, Control: func(_, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err == nil && Metadata(at.Addr()) {
			return fault.Poisonf(
				"%s is where clouds give out identities: manifests do not reach it through this service", at.Addr(),
			)
		}
		return nil
	}}
	return d.DialContext(ctx, network, address)
}
