// Package kubeapi is the little of a Kubernetes client that bringing up a
// cluster needs: is it ready, apply this object, read that one. The real
// client would be most of the command's size.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Client speaks to one TLS server with one client certificate.
type Client struct {
	base string
	http *http.Client
}

// Identity is the files a client shows and trusts.
type Identity struct {
	CA, Cert, Key string
}

// New makes a client of a server, such as https://127.0.0.1:6443.
func New(base string, id Identity) (*Client, error) {
	pair, err := tls.LoadX509KeyPair(id.Cert, id.Key)
	if err != nil {
		return nil, fmt.Errorf("load client certificate: %w", err)
	}
	ca, err := os.ReadFile(id.CA)
	if err != nil {
		return nil, fmt.Errorf("load CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", id.CA)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
	}}
	return &Client{base: base, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}, nil
}

// Get reads a path; any answer but 200 is an error that holds the answer.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// Apply creates or updates an object from its YAML.
func (c *Client) Apply(ctx context.Context, path string, yaml []byte) error {
	_, err := c.do(ctx, http.MethodPatch, path+"?fieldManager=localcluster&force=true", yaml)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", path, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, path, response.Status, answer)
	}
	return answer, nil
}
