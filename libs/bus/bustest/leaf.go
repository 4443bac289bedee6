package bustest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// StartConfigured is Start with options of a server's own: users, leaf nodes, domains.
func StartConfigured(t testing.TB, configure ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, options: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	}}
	for _, c := range configure {
		c(&s.options)
	}
	s.Resume()
	t.Cleanup(s.Stop)
	return s
}

// Leaves lets leaf nodes connect to a server.
func Leaves(o *server.Options) {
	o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT
	o.LeafNode.NoAdvertise = true // leaf nodes come by the ways that they were told, which tests cut
}

// LeafAddress is where leaf nodes connect.
func (s *Server) LeafAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.LeafNode.Port))
}

// LeafOf has a server be a leaf of the one at an address, as a user of that.
func LeafOf(address, user, password string) func(*server.Options) {
	return func(o *server.Options) {
		u := &url.URL{Scheme: "nats-leaf", Host: address}
		if user != "" {
			u.User = url.UserPassword(user, password)
		}
		o.LeafNode.ReconnectInterval = reconnect
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{u}}}
	}
}

// reconnect is short: tests wait for it.
const reconnect = 200 * time.Millisecond

// NoStreams has a server keep nothing.
func NoStreams(o *server.Options) { o.JetStream, o.StoreDir = false, "" }

// Configured has a server be as a text of configuration says, on ports and in folders of the test.
func Configured(t testing.TB, text string) func(*server.Options) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := server.ProcessConfigFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *server.Options) {
		o.Users, o.Nkeys, o.LeafNode = read.Users, read.Nkeys, read.LeafNode
		o.JetStream, o.JetStreamDomain = read.JetStream, read.JetStreamDomain
		if o.LeafNode.Port != 0 {
			Leaves(o)
		}
	}
}
