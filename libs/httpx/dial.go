// Package httpx is how services reach what manifests name: names of hosts mean what they mean in a pod of the
// namespace.
package httpx

import (
	"context"
	"errors"
	"net"
	"strings"
)

// Dial connects, as [net.Dialer.DialContext] does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Within has names of hosts mean what they mean in a pod of a namespace: a service beside the workflow goes by its bare
// name. What the namespace does not have is never looked for in the namespace of this process. nil connects as usual.
func Within(namespace string, dial Dial) Dial {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	if namespace == "" {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return dial(ctx, network, address)
		}
		var conn net.Conn
		for _, name := range candidates(namespace, host) {
			conn, err = dial(ctx, network, net.JoinHostPort(name, port))
			// Only a name that there is not lets the next be tried: another server must not answer for one that is
			// away.
			if of, is := errors.AsType[*net.DNSError](err); !is || !of.IsNotFound {
				return conn, err
			}
		}
		return nil, err
	}
}

// Short reports whether a host, with or without a port, depends on the namespace that it is looked up in.
func Short(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return net.ParseIP(strings.Trim(host, "[]")) == nil && host != "localhost" && !strings.HasSuffix(host, ".") &&
		strings.Count(host, ".") < 2
}

// candidates are the names that a pod of a namespace would look for, in order. The domain of the cluster is completed
// by whoever resolves them; longer names are the same in all namespaces.
func candidates(namespace, host string) []string {
	switch dots := strings.Count(host, "."); {
	case !Short(host):
		return []string{host}
	case dots == 0:
		return []string{host + "." + namespace + ".svc", host + "."}
	default: // the pod of a service, a service of another namespace, or a public name
		return []string{host + "." + namespace + ".svc", host + ".svc", host + "."}
	}
}
