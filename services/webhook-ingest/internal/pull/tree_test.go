package pull

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreTold(t *testing.T) {
	for _, polling := range []bool{false, true} {
		r, dir := newRig(t), t.TempDir()
		c := v1alpha1.FileEventSource{
			Polling:         polling,
			EventType:       "CREATE",
			WatchPathConfig: v1alpha1.WatchPathConfig{Directory: dir, PathRegexp: `.*\.txt$`},
			Metadata:        map[string]string{"k": "v"},
		}
		stop := r.start(file(c))
		write(t, filepath.Join(dir, "x.other"), "no")
		write(t, filepath.Join(dir, "x.txt"), "yes")
		e := r.next()
		if e.get("name") != filepath.Join(dir, "x.txt") || e.get("op") != "CREATE" || e.get("metadata.k") != "v" {
			t.Errorf("polling %v: %+v", polling, e)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if !polling {
			continue
		}
		write(t, filepath.Join(dir, "y.txt"), "written while nobody looked")
		r.start(file(c))
		if e := r.next(); filepath.Base(e.get("name")) != "y.txt" {
			t.Errorf("after a restart: %+v", e)
		}
		r.quiet()
	}
}

func TestAFileThatIsRemoved(t *testing.T) {
	r, dir := newRig(t), t.TempDir()
	name := filepath.Join(dir, "a")
	write(t, name, "x")
	r.start(
		file(
			v1alpha1.FileEventSource{
				Polling:         true,
				WatchPathConfig: v1alpha1.WatchPathConfig{Directory: dir, Path: "a"},
			},
		),
	)
	write(t, name, "longer")
	if e := r.next(); e.get("op") != "WRITE" {
		t.Errorf("%+v", e)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if e := r.next(); e.get("op") != "REMOVE" {
		t.Errorf("%+v", e)
	}
}

func TestBadFolders(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]v1alpha1.WatchPathConfig{
		"none": {}, "no path": {Directory: dir}, "bad expression": {Directory: dir, PathRegexp: "("},
		"gone": {Directory: dir + "/x", Path: "y"},
	} {
		for _, polling := range []bool{true, false} {
			r := newRig(t)
			if err := file(v1alpha1.FileEventSource{Polling: polling, WatchPathConfig: c}).Run(
				t.Context(), r.env, r.emit,
			); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
}

// sftpd is a real SFTP server of this process, on the files of the machine.
func sftpd(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if c.User() == "guest" && string(password) == "guest" {
			return nil, nil
		}
		return nil, errors.New("no")
	}}
	cfg.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
			go serveSFTP(conn, cfg)
		}
	}()
	return l.Addr().String()
}

func serveSFTP(conn net.Conn, cfg *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		}()
		server, err := sftp.NewServer(channel)
		if err != nil {
			return
		}
		if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

func TestSFTP(t *testing.T) {
	address := sftpd(t)
	secretData["address"], secretData["wrong"] = address, "wrong"
	r, dir := newRig(t), t.TempDir()
	c := v1alpha1.SFTPEventSource{
		Address: ref("address"), Username: ref("user"), Password: ref("password"), PollIntervalDuration: "20ms",
		EventType: "CREATE", WatchPathConfig: v1alpha1.WatchPathConfig{Directory: dir, PathRegexp: ".*"},
	}
	stop := r.start(sftpServer(c))
	write(t, filepath.Join(dir, "a"), "x")
	if e := r.next(); e.get("name") != filepath.Join(dir, "a") || e.get("op") != "CREATE" {
		t.Errorf("%+v", e)
	}
	_ = stop()
	write(t, filepath.Join(dir, "b"), "x")
	r.start(sftpServer(c))
	if e := r.next(); filepath.Base(e.get("name")) != "b" {
		t.Errorf("after a restart: %+v", e)
	}
	c.Password = ref("wrong")
	if err := sftpServer(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("let in with a wrong password")
	}
	for _, bad := range []string{"0s", "soon"} {
		c.PollIntervalDuration = bad
		if err := sftpServer(c).Run(t.Context(), r.env, r.emit); err == nil {
			t.Errorf("interval %q: no error", bad)
		}
	}
}
