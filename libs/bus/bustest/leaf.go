package bustest

import (
	"net"
	"net/url"
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
