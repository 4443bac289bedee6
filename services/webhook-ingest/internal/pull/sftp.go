package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// pollSFTP is how often a server is asked when the manifest does not say.
const pollSFTP = 10 * time.Second

// sftpPatience bounds the connecting.
const sftpPatience = 10 * time.Second

// sftpServer looks at a folder of an SFTP server.
func sftpServer(c v1alpha1.SFTPEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		every := pollSFTP
		if c.PollIntervalDuration != "" {
			var err error
			if every, err = time.ParseDuration(c.PollIntervalDuration); err != nil || every <= 0 {
				return fmt.Errorf("pollIntervalDuration: %q is not a duration above zero", c.PollIntervalDuration)
			}
		}
		match, err := matcher(c.WatchPathConfig)
		if err != nil {
			return err
		}
		client, err := dialSFTP(ctx, env, c)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		t := tree{
			match:    match,
			op:       c.EventType,
			metadata: c.Metadata,
			every:    every,
			list: func(context.Context) (map[string]entry, error) {
				return listSFTP(client, c.WatchPathConfig.Directory)
			},
		}
		return t.run(ctx, env, emit)
	}}
}

func dialSFTP(ctx context.Context, env Env, c v1alpha1.SFTPEventSource) (*sftp.Client, error) {
	address, err := env.secretOf(ctx, c.Address)
	if err != nil {
		return nil, err
	}
	user, err := env.secretOf(ctx, c.Username)
	if err != nil {
		return nil, err
	}
	method, err := sftpMethod(ctx, env, c)
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "22")
	}
	conn, err := (&net.Dialer{Timeout: sftpPatience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	// The manifest has no place for a host key, as upstream; the server is trusted.
	over, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User:            user,
		Auth:            []ssh.AuthMethod{method},
		Timeout:         sftpPatience,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // said above
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log in to %s: %w", address, err), conn.Close())
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := sftp.NewClient(ssh.NewClient(over, channels, requests))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open sftp at %s: %w", address, err), conn.Close())
	}
	return client, nil
}

func sftpMethod(ctx context.Context, env Env, c v1alpha1.SFTPEventSource) (ssh.AuthMethod, error) {
	if c.SshKeySecret != nil {
		raw, err := env.Secrets.Bytes(ctx, env.Namespace, c.SshKeySecret)
		if err != nil {
			return nil, err
		}
		key, err := ssh.ParsePrivateKey(raw)
		if err != nil {
			return nil, fmt.Errorf("sshKeySecret: %w", err)
		}
		return ssh.PublicKeys(key), nil
	}
	password, err := env.secretOf(ctx, c.Password)
	return ssh.Password(password), err
}

func listSFTP(client *sftp.Client, folder string) (map[string]entry, error) {
	out := map[string]entry{}
	walker := client.Walk(folder)
	for walker.Step() {
		if err := walker.Err(); err != nil {
			if errors.Is(err, fs.ErrNotExist) && walker.Path() != folder {
				continue
			}
			return nil, fmt.Errorf("read folder %s: %w", folder, err)
		}
		if walker.Path() == folder {
			continue
		}
		info := walker.Stat()
		if info.Mode()&fs.ModeSymlink != 0 {
			if behind, err := client.Stat(walker.Path()); err == nil && behind.Mode().IsRegular() {
				info = behind
			}
		}
		out[walker.Path()] = entryOf(info)
	}
	return out, nil
}

func entryOf(info os.FileInfo) entry {
	return entry{Size: info.Size(), Time: info.ModTime().UnixNano(), Mode: uint32(info.Mode())}
}
