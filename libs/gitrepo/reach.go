package gitrepo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"
)

// sshTime bounds an SSH connection: a server that falls silent must not hold a fetch for ever.
const sshTime = 15 * time.Minute

type dialKey struct{}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// withDial has HTTP requests under ctx connect by dial: go-git has one client for a whole process.
func withDial(ctx context.Context, dial dialer) context.Context {
	return context.WithValue(ctx, dialKey{}, dial)
}

// direct is the proxy of SSH connections, which go-git gives neither a context nor a deadline.
const direct = "argosy-direct"

// installed guards what go-git and its dialer keep in tables of the process. Nothing of a fetcher is in there.
var installed sync.Once

// install replaces how go-git reaches servers, and takes away how it reads folders and runs programs of this machine.
func install() {
	installed.Do(func() {
		web := githttp.NewClient(&http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if dial, ok := ctx.Value(dialKey{}).(dialer); ok && dial != nil {
					return dial(ctx, network, address)
				}
				return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, address)
			},
			// Connections are not shared: each belongs to the fetch that made it.
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    30 * time.Second,
			ResponseHeaderTimeout:  2 * time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		}})
		client.InstallProtocol("http", web)
		client.InstallProtocol("https", web)
		client.InstallProtocol("ssh", secureShell{})
		client.InstallProtocol("file", nil)
		client.InstallProtocol("git", nil)
		proxy.RegisterDialerType(direct, func(*url.URL, proxy.Dialer) (proxy.Dialer, error) { return mortal{}, nil })
	})
}

// secureShell has SSH connections end.
type secureShell struct{}

// NewUploadPackSession begins a fetch.
func (secureShell) NewUploadPackSession(
	e *transport.Endpoint, auth transport.AuthMethod,
) (transport.UploadPackSession, error) {
	e.Proxy = transport.ProxyOptions{URL: direct + "://"}
	return ssh.DefaultClient.NewUploadPackSession(e, auth)
}

// NewReceivePackSession is never needed: nothing is pushed.
func (secureShell) NewReceivePackSession(
	*transport.Endpoint, transport.AuthMethod,
) (transport.ReceivePackSession, error) {
	return nil, errors.New("nothing is pushed")
}

// mortal makes connections that live no longer than a fetch may.
type mortal struct{}

// Dial connects.
func (m mortal) Dial(network, address string) (net.Conn, error) {
	return m.DialContext(context.Background(), network, address)
}

// DialContext connects.
func (mortal) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(sshTime))
}

// auth is how a repository lets us in. Source: Argo Workflows, where a key goes before a password.
func (f *Fetcher) auth(end *transport.Endpoint, s Source) (transport.AuthMethod, error) {
	switch {
	case end.Protocol == "ssh":
		return f.sshAuth(end, s)
	case s.Key != "":
		return nil, fault.Poisonf("git: sshPrivateKeySecret needs an address of ssh, such as git@host:path")
	case s.User != "" || s.Password != "":
		return &githttp.BasicAuth{Username: s.User, Password: s.Password}, nil
	}
	return nil, nil
}

func (f *Fetcher) sshAuth(end *transport.Endpoint, s Source) (transport.AuthMethod, error) {
	user := end.User
	if user == "" {
		user = ssh.DefaultUsername
	}
	hosts := gossh.InsecureIgnoreHostKey() //nolint:gosec // only where the manifest asks for it
	if !s.SkipHostKey {
		if f.config.KnownHosts == "" {
			return nil, fault.Poisonf(
				"git: the host key of %s is not known; give --git-known-hosts, or insecureIgnoreHostKey", end.Host,
			)
		}
		var err error
		if hosts, err = ssh.NewKnownHostsCallback(f.config.KnownHosts); err != nil {
			return nil, fault.Poisonf("git: read --git-known-hosts: %w", err)
		}
	}
	if s.Key == "" {
		if s.Password == "" {
			return nil, fault.Poisonf("git: an address of ssh needs sshPrivateKeySecret, or passwordSecret")
		}
		if s.User != "" {
			user = s.User
		}
		return &ssh.Password{
			User:                  user,
			Password:              s.Password,
			HostKeyCallbackHelper: ssh.HostKeyCallbackHelper{HostKeyCallback: hosts},
		}, nil
	}
	keys, err := ssh.NewPublicKeys(user, []byte(s.Key), "")
	if err != nil {
		// The cause may quote the key.
		return nil, fault.Poisonf("git: sshPrivateKeySecret holds no private key that can be read")
	}
	keys.HostKeyCallback = hosts
	return keys, nil
}
