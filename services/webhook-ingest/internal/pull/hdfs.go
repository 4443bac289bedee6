package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/argosy-mesh/argosy/libs/hdfs"
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
			return errors.New(
				"krbKeytabSecret and krbCCacheSecret are not supported by this version: name nodes that want Kerberos cannot be read",
			)
		case c.HdfsUser == "":
			return errors.New("hdfsUser is needed")
		case len(c.Addresses) == 0:
			return errors.New("addresses is empty")
		}
		client := hdfs.New(hdfs.Config{Addresses: c.Addresses, User: c.HdfsUser})
		defer client.Close()
		t := tree{
			match:    match,
			op:       c.Type,
			metadata: c.Metadata,
			every:    every,
			list: func(ctx context.Context) (map[string]entry, error) {
				return hdfsTree(ctx, client, path.Clean(c.Directory))
			},
		}
		if err := t.run(ctx, env, emit); err != nil && !over(ctx) {
			return err
		}
		return nil
	}}
}

// hdfsTree reads a folder and all below it.
func hdfsTree(ctx context.Context, client *hdfs.Client, root string) (map[string]entry, error) {
	out := map[string]entry{}
	// Folders are looked into one after the other, not while another is being listed: each page of a listing is old at
	// once.
	for todo := []string{root}; len(todo) > 0; {
		folder := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := client.List(ctx, folder, "", func(info hdfs.Info) error {
			if len(out) >= hdfsMost {
				return fmt.Errorf("it holds more than %d files", hdfsMost)
			}
			name, mode := path.Join(folder, info.Name), info.Mode
			if info.Folder {
				mode |= fs.ModeDir
				todo = append(todo, name)
			}
			out[name] = entry{Size: info.Size, Time: info.Modified.UnixNano(), Mode: uint32(mode)}
			return nil
		})
		if err != nil && (folder == root || !errors.Is(err, fs.ErrNotExist)) {
			// what is gone since it was listed is told with the next look
			return nil, fmt.Errorf("read folder %s: %w", folder, err)
		}
	}
	return out, nil
}
