package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// pollHDFS is how often a folder is read when the manifest does not say. Source: Argo
// Events.
const pollHDFS = time.Minute

// hdfsMost is how many files a folder may hold with all below it.
const hdfsMost = 1 << 20

// hdfsFolder looks at a folder of HDFS, as sftpServer does at one of an SFTP server.
func hdfsFolder(c v1alpha1.HDFSEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		every := pollHDFS
		if c.CheckInterval != "" {
			var err error
			if every, err = time.ParseDuration(c.CheckInterval); err != nil || every <= 0 {
				return fmt.Errorf("checkInterval: %q is not a duration above zero", c.CheckInterval)
			}
		}
		match, err := matcher(v1alpha1.WatchPathConfig{Directory: c.Directory, Path: c.Path, PathRegexp: c.PathRegexp})
		if err != nil {
			return err
		}
		switch {
		case c.KrbKeytabSecret != nil, c.KrbCCacheSecret != nil:
			return errors.New("krbKeytabSecret and krbCCacheSecret are not supported by this version: name nodes that want Kerberos cannot be read")
		case c.HdfsUser == "":
			return errors.New("hdfsUser is needed")
		case len(c.Addresses) == 0:
			return errors.New("addresses is empty")
		}
		nodes := &nameNodes{addresses: c.Addresses, user: c.HdfsUser}
		defer nodes.close()
		t := tree{match: match, op: c.Type, metadata: c.Metadata, every: every, list: func(ctx context.Context) (map[string]entry, error) {
			out := map[string]entry{}
			return out, nodes.list(ctx, path.Clean(c.Directory), out)
		}}
		if err := t.run(ctx, env, emit); err != nil && !over(ctx) {
			return err
		}
		return nil
	}}
}

// list reads a folder and all below it.
func (n *nameNodes) list(ctx context.Context, folder string, out map[string]entry) error {
	last, more := "", true
	for more {
		question := putNum(putBytes(putBytes(nil, 1, folder), 2, last), 3, 0)
		answer, err := n.call(ctx, "getListing", question)
		if err != nil {
			return fmt.Errorf("read folder %s: %w", folder, err)
		}
		if !answer.has(1) {
			return fmt.Errorf("read folder %s: %w", folder, fs.ErrNotExist)
		}
		page, err := answer.sub(1)
		if err != nil {
			return err
		}
		more = page.num(2) > 0 && len(page[1]) > 0
		for _, raw := range page[1] {
			if last, err = n.add(ctx, folder, raw.b, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// add notes one file of a folder, and what is below it when it is one itself.
func (n *nameNodes) add(ctx context.Context, folder string, raw []byte, out map[string]entry) (name string, err error) {
	status, err := readWire(raw)
	if err != nil {
		return "", err
	}
	rights, err := status.sub(4)
	if err != nil {
		return "", err
	}
	name = status.str(2)
	mode := fs.FileMode(rights.num(1)) & fs.ModePerm
	isFolder := status.num(1) == 1
	if isFolder {
		mode |= fs.ModeDir
	}
	full := path.Join(folder, name)
	if full == folder {
		return "", fmt.Errorf("read folder %s: it is a file", folder)
	}
	if len(out) >= hdfsMost {
		return "", fmt.Errorf("read folder %s: it holds more than %d files", folder, hdfsMost)
	}
	out[full] = entry{Size: int64(status.num(3)), Time: int64(status.num(7)) * int64(time.Millisecond), Mode: uint32(mode)}
	if !isFolder {
		return name, nil
	}
	if err := n.list(ctx, full, out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err // what is gone since it was listed is told with the next look
	}
	return name, nil
}
