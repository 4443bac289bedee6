package store

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// meshFolder are the artifacts of the built-in store whose keys have a folder in common.
type meshFolder struct {
	objects bus.Objects
	name    string // of the folder, with a slash at its end
}

// open streams the artifacts as one folder, in the form that folders have in this store.
func (f meshFolder) open(ctx context.Context, names []string) io.ReadCloser {
	ctx, stop := context.WithCancel(ctx)
	r, w := io.Pipe()
	go func() {
		defer stop()
		w.CloseWithError(f.pack(ctx, names, w))
	}()
	return packing{r, stop}
}

// packing ends the packing with the reading.
type packing struct {
	*io.PipeReader
	stop func()
}

// Close ends both.
func (p packing) Close() error {
	p.stop()
	return p.PipeReader.Close()
}

func (f meshFolder) pack(ctx context.Context, names []string, to io.Writer) error {
	zipped, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	zipped.Comment = protocol.FolderMark
	out := tar.NewWriter(zipped)
	root := path.Base(f.name)
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: root + "/", Mode: 0o755}); err != nil {
		return err
	}
	for _, name := range names {
		if err := f.packOne(ctx, name, path.Join(root, strings.TrimPrefix(name, f.name)), out); err != nil {
			return fmt.Errorf("object %s: %w", name, err)
		}
	}
	return errors.Join(out.Close(), zipped.Close())
}

func (f meshFolder) packOne(ctx context.Context, name, as string, out *tar.Writer) error {
	size, err := f.objects.Size(ctx, name)
	if errors.Is(err, bus.ErrNotFound) {
		return nil // it was taken away meanwhile
	}
	if err != nil {
		return err
	}
	object, err := f.objects.Open(ctx, name)
	if err != nil {
		return err
	}
	defer object.Close()
	body := bufio.NewReader(object)
	if head, _ := body.Peek(markEnd); len(head) == markEnd && bytes.HasSuffix(head, []byte(protocol.FolderMark)) {
		return graft(body, as, out)
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: as, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err = io.Copy(out, body)
	return err
}

// markEnd is where the comment of a gzip stream ends that bears the mark of a folder. Source: RFC 1952, 2.3.
const markEnd = 10 + len(protocol.FolderMark)

// graft puts what a folder holds that is kept as one object in its place.
func graft(packed io.Reader, as string, out *tar.Writer) error {
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	for in := tar.NewReader(unzipped); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(header.Name, "/") // its root has the name that it had in its pod
		if header.Name = path.Join(as, rest); header.Typeflag == tar.TypeDir {
			header.Name += "/"
		}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		// As much as the entry says it has; whoever unpacks it has bounds.
		if _, err := io.CopyN(out, in, header.Size); err != nil {
			return err
		}
	}
}
