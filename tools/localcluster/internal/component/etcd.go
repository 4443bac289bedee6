package component

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdOptions are the flags of the embedded etcd. It has one member, speaks
// TLS on every port, and takes only clients that its CA has signed.
type etcdOptions struct {
	dataDir, clientURL, peerURL string
	ca, cert, key               string
	unsafeNoSync                bool
}

func newEtcdCommand() *cobra.Command {
	var o etcdOptions
	command := &cobra.Command{
		Use:          "etcd",
		Short:        "Run a single etcd member",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         func(*cobra.Command, []string) error { return o.run() },
	}
	flags := command.Flags()
	flags.StringVar(&o.dataDir, "data-dir", "", "directory of the database")
	flags.StringVar(&o.clientURL, "client-url", "https://127.0.0.1:2379", "address for clients")
	flags.StringVar(
		&o.peerURL, "peer-url", "https://127.0.0.1:2380", "address for peers; there are none, but etcd wants one",
	)
	flags.StringVar(&o.ca, "ca", "", "CA that signs clients")
	flags.StringVar(&o.cert, "cert", "", "certificate of this server")
	flags.StringVar(&o.key, "key", "", "key of this server")
	flags.BoolVar(
		&o.unsafeNoSync, "unsafe-no-fsync", false,
		"do not wait for the disk: fast, and may lose data when the machine (not the process) dies",
	)
	return command
}

func (o etcdOptions) config() (*embed.Config, error) {
	client, err := url.Parse(o.clientURL)
	if err != nil {
		return nil, fmt.Errorf("parse client url: %w", err)
	}
	peer, err := url.Parse(o.peerURL)
	if err != nil {
		return nil, fmt.Errorf("parse peer url: %w", err)
	}
	c := embed.NewConfig()
	c.Dir = o.dataDir
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = o.ca, o.cert, o.key
	c.ClientTLSInfo.ClientCertAuth = true
	c.PeerTLSInfo = c.ClientTLSInfo
	c.UnsafeNoFsync = o.unsafeNoSync
	c.LogLevel = "warn"
	c.AutoCompactionMode, c.AutoCompactionRetention = "periodic", "10m"
	return c, nil
}

func (o etcdOptions) run() error {
	c, err := o.config()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	server, err := embed.StartEtcd(c)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(time.Minute):
		return errors.New("etcd is not ready after a minute")
	}
	select {
	case <-signals:
		return nil
	case err := <-server.Err():
		return err
	}
}
