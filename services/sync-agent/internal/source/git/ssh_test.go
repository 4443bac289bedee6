package git

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshServer serves the repositories of this machine to one key. It returns its address and the line by which it is
// known.
func sshServer(t *testing.T, allowed ssh.PublicKey) (address, known string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(allowed.Marshal()) {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, nil
		},
	}
	config.AddHostKey(host)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config)
		}
	}()
	return l.Addr().String(), knownhosts.Line([]string{l.Addr().String()}, host.PublicKey())
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, in, err := c.Accept()
		if err != nil {
			return
		}
		for r := range in {
			if r.Type != "exec" {
				_ = r.Reply(r.Type == "env", nil)
				continue
			}
			_ = r.Reply(true, nil)
			// git-upload-pack '/path'
			words := strings.SplitN(string(r.Payload[4:]), " ", 2)
			cmd := exec.Command("git", strings.TrimPrefix(words[0], "git-"), strings.Trim(words[1], "'"))
			cmd.Stdin, cmd.Stdout = channel, channel
			status := byte(0)
			if cmd.Run() != nil {
				status = 1
			}
			_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, status})
			_ = channel.Close()
		}
	}
}

func sshKey(t *testing.T) (string, ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), signer.PublicKey()
}

func TestSSH(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh here")
	}
	o := newOrigin(t)
	want := o.commit("one", map[string]string{"a": "1"})
	key, public := sshKey(t)
	other, _ := sshKey(t)
	address, known := sshServer(t, public)
	location := "ssh://git@" + address + o.bare
	s, err := Open(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		creds Credentials
		fails string
	}{
		"known host":   {creds: Credentials{SSHKey: key, KnownHosts: known}},
		"any host":     {creds: Credentials{SSHKey: key, Insecure: true}},
		"unknown host": {Credentials{SSHKey: key}, "Host key verification failed"},
		"other key":    {Credentials{SSHKey: other, KnownHosts: known}, "Permission denied"},
	} {
		m, err := s.Mirror(t.Context(), location, c.creds)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Resolve(t.Context(), "main", Want{Since: time.Now()})
		if c.fails == "" && (err != nil || got != want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSCPStyle(t *testing.T) {
	for location, host := range map[string]string{
		"git@example.org:a/b.git": "example.org", "git@example.org:/a": "example.org",
		"https://h.example.org:8443/x": "h.example.org",
	} {
		if err := check(location, false); err != nil || Host(location) != host {
			t.Errorf("%s: %v, host %q", location, err, Host(location))
		}
	}
}
