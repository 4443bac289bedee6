package gitrepo

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// packFile writes a folder as a gzipped tar and returns its size.
func packFile(to, dir string) (int64, error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("pack a checkout: %w", err)
	}
	err = errors.Join(pack(out, dir), out.Close())
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(to)
	}
	if err != nil {
		_ = os.Remove(to) // what stays is removed at the next start
		return 0, fmt.Errorf("pack a checkout: %w", err)
	}
	return info.Size(), nil
}

// pack writes a folder as a gzipped tar whose root is the folder's name. Links that lead out of it are left out:
// whoever unpacks refuses them, and with them the rest.
func pack(w io.Writer, dir string) error {
	// The history is packed already.
	zipped, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zipped)
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(filepath.Dir(dir), file)
		if err != nil {
			return err
		}
		return packOne(archive, file, filepath.ToSlash(name), d)
	})
	return errors.Join(err, archive.Close(), zipped.Close())
}

func packOne(archive *tar.Writer, file, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
		if !inside(name, link) {
			return nil
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, header.Uname, header.Gname, header.Uid, header.Gid = name, "", "", 0, 0
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(archive, f)
	return err
}

// inside reports whether a link stays in the folder that is packed.
func inside(name, target string) bool {
	root, _, _ := strings.Cut(name, "/")
	to := path.Join(path.Dir(name), target)
	return !path.IsAbs(target) && (to == root || strings.HasPrefix(to, root+"/"))
}
