package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// lookEvery is how often certificates and the configuration of the cluster are looked at.
const lookEvery = time.Minute

// Config says how reviews are served.
type Config struct {
	Address string // host and port to listen on
	// Cert and Key are files of a certificate that somebody else takes care of, and puts into the cluster's
	// configuration. Without them the server vouches for itself.
	Cert, Key string
	Hosts     []string             // names and addresses that the API server reaches us by
	Secret    types.NamespacedName // where the authority is kept that replicas share
	Webhook   string               // name of the ValidatingWebhookConfiguration that is told of the authority
	Client    client.Client
	Reader    client.Reader // not cached
	Log       *slog.Logger
}

// Server serves reviews.
type Server struct {
	config Config
	host   string
	port   int
	cert   atomic.Pointer[tls.Certificate]
	ca     *authority
}

// New makes a server. Its certificate is made, or read, before it listens.
func New(c Config) (*Server, error) {
	host, text, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("--admission-address: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("--admission-address: %q has no port", c.Address)
	}
	if c.Cert == "" && len(c.Hosts) == 0 {
		return nil, errors.New("--admission-host: at least one is needed")
	}
	return &Server{config: c, host: host, port: int(port)}, nil
}

// Run serves until ctx ends. That it cannot vouch for itself yet is no reason to stop: without it workflows are judged
// when they begin.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := s.prepare(ctx, time.Now())
		if err == nil {
			break
		}
		s.config.Log.WarnContext(ctx, "workflows are not judged before they are taken; it will be tried again", "error",
			err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	web := webhook.NewServer(webhook.Options{Host: s.host, Port: s.port,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS12
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.Load(), nil }
		}}})
	web.Register(Path, &admission.Webhook{Handler: admission.HandlerFunc(judge)})
	ended := make(chan error, 1)
	go func() { ended <- web.Start(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			if err := s.prepare(ctx, time.Now()); err != nil && ctx.Err() == nil {
				s.config.Log.WarnContext(ctx, "the certificate for admission was not looked after; it will be tried again", "error", err)
			}
		}
	}
}

// prepare makes or renews the certificate, and tells the cluster who vouches for it.
func (s *Server) prepare(ctx context.Context, now time.Time) error {
	if s.config.Cert != "" {
		return s.read()
	}
	ca, err := loadAuthority(ctx, s.config.Client, s.config.Reader, s.config.Secret, now)
	if err != nil {
		return err
	}
	known := s.cert.Load()
	if known == nil || s.ca == nil || !bytes.Equal(s.ca.pem, ca.pem) || now.Add(leafLife/2).After(known.Leaf.NotAfter) {
		fresh, err := ca.leaf(s.config.Hosts, now)
		if err != nil {
			return err
		}
		s.ca = ca
		s.cert.Store(fresh)
	}
	return s.introduce(ctx)
}

// read takes the certificate from its files, which may have changed.
func (s *Server) read() error {
	cert, err := os.ReadFile(s.config.Cert)
	if err != nil {
		return fmt.Errorf("--admission-cert: %w", err)
	}
	key, err := os.ReadFile(s.config.Key)
	if err != nil {
		return fmt.Errorf("--admission-key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("--admission-cert and --admission-key: %w", err)
	}
	s.cert.Store(&pair)
	return nil
}

// introduce puts the authority into the configuration of the cluster. Where there is none nobody asks, and nothing is
// to do.
func (s *Server) introduce(ctx context.Context) error {
	var config admissionregistrationv1.ValidatingWebhookConfiguration
	err := s.config.Reader.Get(ctx, types.NamespacedName{Name: s.config.Webhook}, &config)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", s.config.Webhook, err)
	}
	changed := false
	for i := range config.Webhooks {
		if of := &config.Webhooks[i].ClientConfig; !bytes.Equal(of.CABundle, s.ca.pem) {
			of.CABundle, changed = s.ca.pem, true
		}
	}
	if !changed {
		return nil
	}
	if err := s.config.Client.Update(ctx, &config); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("tell ValidatingWebhookConfiguration %s who vouches for us: %w", s.config.Webhook, err)
	}
	return nil
}
