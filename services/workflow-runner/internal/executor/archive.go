package executor

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// Bounds of what may come out of an archive, which is untrusted: it came from a
// pod or from outside.
const (
	unpackBytes = 20 << 30
	unpackFiles = 1_000_000
)

// folderMark is the comment of an archive that stands for a folder kept with
// archive: none. The built-in store keeps one object per artifact, where upstream's
// stores keep one per file.
const folderMark = protocol.FolderMark

// gzipHeader is the length of a gzip header before its comment, and gzipComment the
// flag that says there is one. Source: RFC 1952, 2.3.
const (
	gzipHeader  = 10
	gzipComment = 0x10
)

// marked reports whether a gzip stream begins with the mark of a folder.
func marked(head []byte) bool {
	return len(head) >= gzipHeader+len(folderMark) && head[3] == gzipComment &&
		string(head[gzipHeader:gzipHeader+len(folderMark)]) == folderMark
}

func parent(path string) string { return filepath.Dir(path) }

// pack writes the file or folder at path as a gzipped tar whose one root entry has
// the base name of path. Source: Argo Workflows packs so, and tools expect it. A
// mark goes into the header of the stream. A level of 0 to 9 says how hard to compress.
func pack(w io.Writer, path, mark string, level *int) error {
	hard := gzip.DefaultCompression
	if level != nil {
		hard = *level
	}
	zipped, err := gzip.NewWriterLevel(w, hard)
	if err != nil {
		return err
	}
	zipped.Comment = mark
	archive := tar.NewWriter(zipped)
	path = filepath.Clean(path) // of "/tmp/" the base is "/", not "/tmp/"
	base := filepath.Dir(path)
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, file)
		if err != nil {
			return err
		}
		return packOne(archive, file, name, d)
	})
	return errors.Join(err, archive.Close(), zipped.Close())
}

func packOne(archive *tar.Writer, file, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && !info.IsDir() && info.Mode()&fs.ModeSymlink == 0 {
		return nil // sockets, pipes and devices are not content
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = filepath.ToSlash(name)
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(archive, f); err != nil {
		return fmt.Errorf("pack %s: %w", file, err)
	}
	return nil
}

// unpack brings the one root entry of a tar to target.
func unpack(r io.Reader, target string) error {
	return unpackWith(target, func(root *os.Root) error { return extract(tar.NewReader(r), root) })
}

// unpackWith brings the one root entry of an archive to target, or all of several as a folder. Entries stay below
// it: names with "..", absolute names and links that lead out are refused.
func unpackWith(target string, extract func(*os.Root) error) error {
	if err := os.MkdirAll(target+".tmp", 0o777); err != nil {
		return errors.Join(errGone, err)
	}
	defer os.RemoveAll(target + ".tmp")
	root, err := os.OpenRoot(target + ".tmp")
	if err != nil {
		return errors.Join(errGone, err)
	}
	defer root.Close()
	if err := extract(root); err != nil {
		return err
	}
	entries, err := os.ReadDir(target + ".tmp")
	if err != nil {
		return errors.Join(errGone, err)
	}
	if len(entries) == 1 {
		return os.Rename(filepath.Join(target+".tmp", entries[0].Name()), target)
	}
	return os.Rename(target+".tmp", target)
}

func extract(archive *tar.Reader, root *os.Root) error {
	var total int64
	for files := 0; ; files++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if total += header.Size; total > unpackBytes || files > unpackFiles {
			return errors.Join(errGone, fmt.Errorf("the archive holds more than %d bytes or %d files",
				int64(unpackBytes), unpackFiles))
		}
		if err := extractOne(archive, header, root); err != nil {
			return errors.Join(errGone, fmt.Errorf("unpack %q: %w", header.Name, err))
		}
	}
}

func extractOne(archive *tar.Reader, header *tar.Header, root *os.Root) error {
	name := filepath.Clean(filepath.FromSlash(header.Name))
	if !filepath.IsLocal(name) {
		return errors.New("it leads out of the archive")
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, header.FileInfo().Mode().Perm()|0o700)
	case tar.TypeSymlink:
		if filepath.IsAbs(header.Linkname) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), header.Linkname)) {
			return fmt.Errorf("its target %q leads out of the archive", header.Linkname)
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, header.FileInfo().Mode().Perm()|0o600)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, archive); err != nil {
			return errors.Join(err, f.Close())
		}
		return f.Close()
	}
	return nil // devices and the like are not content
}
