package httpx

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
)

func TestNamesAreThoseOfTheNamespace(t *testing.T) {
	there := map[string]bool{
		"httpbin.ci.svc:80": true, "db-0.db.ci.svc:80": true, "api.other.svc:80": true, "example.com.:80": true,
		"10.0.0.1:80": true, "[::1]:80": true, "localhost:80": true, "a.b.svc:80": true,
		"host.:80": true, "full.name.:80": true,
	}
	for host, want := range map[string]string{
		"httpbin": "httpbin.ci.svc:80", "db-0.db": "db-0.db.ci.svc:80", "api.other": "api.other.svc:80",
		"example.com": "example.com.:80",
		"10.0.0.1":    "10.0.0.1:80", "[::1]": "[::1]:80", "localhost": "localhost:80", "a.b.svc": "a.b.svc:80",
		"host": "host.:80", "full.name.": "full.name.:80",
		"nobody": "",
	} {
		var tried []string
		_, err := Within("ci", func(_ context.Context, _, address string) (net.Conn, error) {
			tried = append(tried, address)
			if there[address] {
				return nil, nil
			}
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true, Name: address}}
		})(t.Context(), "tcp", host+":80")
		if (err == nil) != (want != "") || want != "" && tried[len(tried)-1] != want ||
			slices.Contains(tried, "nobody:80") {
			t.Errorf("%s: %v, %v; want %s", host, tried, err, want)
		}
	}
}

func TestAnotherServerNeverAnswersForOneThatIsAway(t *testing.T) {
	for name, why := range map[string]error{
		"refused": errors.New("connection refused"), "no answer of the resolver": &net.DNSError{IsTimeout: true},
	} {
		tries := 0
		_, err := Within(
			"ci",
			func(context.Context, string, string) (net.Conn, error) { tries++; return nil, why },
		)(t.Context(), "tcp", "api:80")
		if tries != 1 || !errors.Is(err, why) {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
}

func TestHostsThatDependOnTheNamespace(t *testing.T) {
	for host, want := range map[string]bool{
		"minio": true, "minio:9000": true, "minio.ci": true, "minio.ci.svc:9000": false, "1.2.3.4:9": false,
		"[::1]:9": false, "::1": false, "localhost:9": false, "s3.amazonaws.com": false,
	} {
		if got := Short(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
