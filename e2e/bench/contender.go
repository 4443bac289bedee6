package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// contender is a program that takes hooks, with a bus of its own. Both run on this machine as processes.
type contender struct {
	name   string
	front  *process
	server *process // its bus
	sender *sender
	bus    *busFloor
	stream string // where its events are
	peer   bool
}

func (c *contender) stop() {
	if c.bus != nil {
		c.bus.close()
	}
	for _, p := range []*process{c.front, c.server} {
		if p != nil {
			p.stop()
		}
	}
}

// empty removes what it has stored.
func (c *contender) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	s, err := c.bus.js.Stream(ctx, c.stream)
	if err == nil {
		err = s.Purge(ctx)
	}
	if err != nil {
		return fmt.Errorf("empty the stream of %s: %w", c.name, err)
	}
	return nil
}

// startBus runs a server with the settings of the chart, and connects.
func (c *contender) startBus(ctx context.Context, program, dir, more string, options ...nats.Option) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	conf := fmt.Sprintf(
		"listen: %q\nmax_payload: 1MB\njetstream {\n  store_dir: %q\n  sync_interval: \"2m\"\n  limits { default_max_consumers: -1 }\n}\n%s",
		address, filepath.Join(dir, "store"), more,
	)
	path := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return err
	}
	if c.server, err = spawn(dir, "nats", program, nil, "--config", path); err != nil {
		return err
	}
	url := "nats://" + address
	options = append(
		options, nats.Name("bench"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(100),
		nats.ReconnectWait(100*time.Millisecond),
	)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return fmt.Errorf("connect to the bus of %s: %w", c.name, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return fmt.Errorf("open jetstream of %s: %w", c.name, err)
	}
	c.bus = &busFloor{nc: nc, js: js, url: url}
	return c.listens(ctx, address)
}

// listens waits until something listens on an address.
func (c *contender) listens(ctx context.Context, address string) error {
	return eventually(ctx, 20*time.Second, c.name+" to listen on "+address, func() (bool, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
}

// accepts waits until a hook is.
func (c *contender) accepts(ctx context.Context) error {
	post, done := c.sender.poster(pushBody(smallBody), 1)
	defer done()
	return eventually(ctx, 30*time.Second, c.name+" to accept a hook", func() (bool, error) {
		ok, err := post(ctx, 0)
		return ok && err == nil, nil
	})
}

// startOurs runs a build of webhook-ingest against an API server that has the EventSource.
func startOurs(ctx context.Context, p Peers, build Build, dir, secret string) (*contender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &contender{name: build.Name, stream: eventStream}
	err := c.startBus(ctx, p.NATS, dir, "")
	if err != nil {
		return c, err
	}
	var at [3]string // hooks, probes, profiles
	for i := range at {
		if at[i], err = freeAddress(ctx); err != nil {
			return c, err
		}
	}
	c.front, err = spawn(
		dir, "webhook-ingest", build.Path, nil, "--kubeconfig", p.Kubeconfig, "--nats-url", c.bus.url, "--listen",
		at[0], "--http-address", at[1], "--profile-address", at[2], "--local-log", filepath.Join(dir, "log"),
		"--instance", build.Name,
	)
	if err != nil {
		return c, err
	}
	c.sender = &sender{address: at[0], path: hookPath, secret: secret, run: rand.Text()[:8]}
	return c, errors.Join(
		c.listens(ctx, at[0]), c.accepts(ctx), os.WriteFile(filepath.Join(dir, "profiles"), []byte(at[2]), 0o600),
	)
}

// peerSecrets is where Argo Events looks for the secrets of its event sources, which a cluster would mount there.
const peerSecrets = "/argo-events/secrets" //nolint:gosec // a folder

// peerSettings are those of the stream in its own controller's configuration, but for the copies: there is one server.
const peerSettings = "maxMsgs: 50000\nmaxAge: 168h\nmaxBytes: -1\nreplicas: 1\nduplicates: 300s\nretention: 0\ndiscard: 0\n"

// startPeer runs the event source of Argo Events as its controller would: what it is comes by the environment. Its
// client insists on TLS, as its controller sets the bus up.
func startPeer(ctx context.Context, p Peers, dir, secret string) (*contender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &contender{name: "Argo Events", stream: "default", peer: true}
	cert, key, err := certificate(dir)
	if err != nil {
		return c, err
	}
	more := fmt.Sprintf("tls { cert_file: %q, key_file: %q }\n", cert, key)
	secure := nats.Secure(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // as the peer does
	if err := c.startBus(ctx, p.NATS, dir, more, secure); err != nil {
		return c, err
	}
	mounted := filepath.Join(peerSecrets, "hooks")
	if err := os.MkdirAll(mounted, 0o700); err != nil {
		return c, fmt.Errorf("put the secret where the peer reads it: %w", err)
	}
	if err := os.WriteFile(filepath.Join(mounted, "secret"), []byte(secret), 0o600); err != nil {
		return c, fmt.Errorf("put the secret where the peer reads it: %w", err)
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return c, err
	}
	_, port, _ := net.SplitHostPort(address)
	source := eventSource(port)
	source.SetUID("bench")
	c.front, err = spawn(dir, "argo-events", p.Program, []string{
		"EVENTSOURCE_OBJECT=" + encodedJSON(source.Object),
		"EVENTBUS_SUBJECT=bench",
		"POD_NAME=bench",
		"EVENTBUS_CONFIG=" + encodedJSON(
			map[string]any{"jetstream": map[string]any{"url": c.bus.url, "streamConfig": peerSettings}},
		),
	}, "eventsource-service")
	if err != nil {
		return c, err
	}
	c.sender = &sender{address: address, path: "/bench", secret: secret, run: rand.Text()[:8]}
	return c, errors.Join(c.listens(ctx, address), c.accepts(ctx))
}

func encodedJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}

// certificate makes one for loopback, signed by itself.
func certificate(dir string) (certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return certFile, keyFile, errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
