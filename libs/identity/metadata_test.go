package identity

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

func TestManifestsDoNotReachWhereIdentitiesAreGivenOut(t *testing.T) {
	for text, want := range map[string]bool{
		"169.254.169.254": true, "169.254.170.23": true, "::ffff:169.254.169.254": true, "fe80::1%eth0": true,
		"fd00:ec2::254": true, "fd00:ec2::23": true, "fd20:ce::254": true, "168.63.129.16": true,
		"100.100.100.200": true,
		"127.0.0.1":       false, "10.0.0.1": false, "100.100.100.201": false, "fd00::1": false, "168.63.129.17": false,
		"192.0.2.1": false,
	} {
		at := netip.MustParseAddr(text)
		if got := Metadata(at); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if !want {
			continue
		}
		_, err := Dial(t.Context(), "tcp", net.JoinHostPort(text, "80"))
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "identities") {
			t.Errorf("dial %s: %v", text, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conn, err := Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
