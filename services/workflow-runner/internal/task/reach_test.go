package task

import (
	"errors"
	"net"
	"testing"
)

func TestWorkflowsDoNotReachWhatIsThisProcessesAlone(t *testing.T) {
	for _, address := range []string{"127.0.0.1:1", "[::1]:1", "0.0.0.0:1", "169.254.169.254:80", "[fe80::1]:80",
		"[fd00:ec2::254]:80", "100.100.100.200:80", "168.63.129.16:80"} {
		conn, err := Dialer(false)(t.Context(), "tcp", address)
		if !errors.Is(err, errAddress) {
			t.Errorf("%s: %v", address, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conn, err := Dialer(true)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
