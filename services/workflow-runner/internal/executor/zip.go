package executor

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// packZip writes the file or folder at path as a zip whose root entry has the base name of path. Source: Argo
// Workflows.
func packZip(w io.Writer, path string) error {
	archive := zip.NewWriter(w)
	path = filepath.Clean(path)
	base := filepath.Dir(path)
	err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() && !d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, file)
		if err != nil {
			return err
		}
		return zipOne(archive, info, file, filepath.ToSlash(name))
	})
	return errors.Join(err, archive.Close())
}

func zipOne(archive *zip.Writer, info fs.FileInfo, file, name string) error {
	header, err := zip.FileInfoHeader(info)
	if err != nil {
		return err
	}
	if header.Name = name; info.IsDir() {
		header.Name += "/"
	} else {
		header.Method = zip.Deflate
	}
	w, err := archive.CreateHeader(header)
	if err != nil || info.IsDir() {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("pack %s: %w", file, err)
	}
	return nil
}

// unzip brings what a zip holds to target, as unpack does. A zip is read from its end, so that it lies beside its
// target first.
func unzip(body io.Reader, target string) error {
	f, err := os.OpenFile(target+".zip", os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return errors.Join(errGone, err)
	}
	defer os.Remove(target + ".zip") //nolint:errcheck // only what is left over
	defer f.Close()
	size, err := io.Copy(f, body)
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return errors.Join(errGone, err)
	}
	return unpackWith(target, func(root *os.Root) error { return extractZip(archive, root) })
}

func extractZip(archive *zip.Reader, root *os.Root) error {
	if len(archive.File) > unpackFiles {
		return errors.Join(errGone, fmt.Errorf("the archive holds more than %d files", unpackFiles))
	}
	left := int64(unpackBytes)
	for _, file := range archive.File {
		n, err := extractFile(file, root, left)
		if err != nil {
			return errors.Join(errGone, fmt.Errorf("unpack %q: %w", file.Name, err))
		}
		left -= n
	}
	return nil
}

// extractFile unpacks one entry; what it claims of its size does not count.
func extractFile(file *zip.File, root *os.Root, limit int64) (int64, error) {
	name := filepath.Clean(filepath.FromSlash(file.Name))
	if !filepath.IsLocal(name) {
		return 0, errors.New("it leads out of the archive")
	}
	if file.FileInfo().IsDir() {
		return 0, root.MkdirAll(name, 0o777)
	}
	if !file.Mode().IsRegular() {
		return 0, nil // links and devices are not content
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return 0, err
	}
	in, err := file.Open()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, file.Mode().Perm()|0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(in, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("the archive holds more than %d bytes", int64(unpackBytes))
	}
	return n, errors.Join(err, out.Close())
}
