package store

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/hdfs"
)

// packFolder writes a folder as a gzipped tar with one root entry, which bears the mark of a folder: the executor
// unpacks it, whatever the manifest says of archives. Its files are not compressed much: they go through the cluster's
// network.
func packFolder(ctx context.Context, client *hdfs.Client, folder string, to io.Writer) error {
	zipped, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	zipped.Comment = protocol.FolderMark
	archive := tar.NewWriter(zipped)
	root := path.Base(folder)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: root + "/", Mode: 0o755}); err != nil {
		return err
	}
	files, err := filesBelow(ctx, client, folder)
	if err != nil {
		return err
	}
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: root + strings.TrimPrefix(f.path, folder),
			Mode: int64(f.info.Mode), Size: f.info.Size}
		if f.info.Folder {
			header.Typeflag, header.Name, header.Size = tar.TypeDir, header.Name+"/", 0
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if f.info.Folder {
			continue
		}
		// A file that has other bytes than it had does not fit its header, which is an error.
		if err := client.Read(ctx, f.path, archive); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}

// entry is a file or a folder in a folder.
type entry struct {
	path string
	info hdfs.Info
}

// filesBelow lists what a folder holds: at most as many files as of any other store.
func filesBelow(ctx context.Context, client *hdfs.Client, folder string) ([]entry, error) {
	var out []entry
	err := walk(ctx, client, folder, func(name string, info hdfs.Info) (bool, error) {
		if len(out) == protocol.FolderLimit {
			return false, fault.Poisonf("it holds more than %d files", protocol.FolderLimit)
		}
		out = append(out, entry{name, info})
		return info.Folder, nil
	})
	return out, err
}
