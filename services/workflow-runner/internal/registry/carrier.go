package registry

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// answerLimit bounds each answer of a registry. Manifests may have 4 MiB; configurations are smaller.
const answerLimit = 8 << 20

// carrier takes requests to registries: over plain HTTP only to those that the operator named, and reads no answer
// without end.
type carrier struct {
	insecure []string
	others   http.RoundTripper
	named    http.RoundTripper // reaches any address: the operator named the host
}

func newCarrier(c Config) *carrier {
	by := func(dial func(context.Context, string, string) (net.Conn, error)) http.RoundTripper {
		// The host stands in a manifest: a proxy would hide the address from the check.
		return &http.Transport{
			DialContext: dial, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConns: 16,
			MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		}
	}
	return &carrier{insecure: c.Insecure, others: by(c.Dial), named: by(nil)}
}

// RoundTrip sends one request.
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	via := c.others
	if slices.Contains(c.insecure, r.URL.Host) {
		via = c.named
	} else if r.URL.Scheme != "https" {
		return nil, fault.Poisonf("%s is not asked over plain HTTP; --insecure-registry allows it", r.URL.Host)
	}
	res, err := via.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &bounded{ReadCloser: res.Body, left: answerLimit}
	return res, nil
}

// bounded is a body that may not be longer than a limit.
type bounded struct {
	io.ReadCloser

	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fault.AsPoison(fmt.Errorf("the registry's answer has more than %d bytes", answerLimit))
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
