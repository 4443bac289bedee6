package task

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// firstFile reads an artifact that holds one file: as it is, or packed by tar and gzip as artifacts are by default.
func firstFile(r io.Reader) ([]byte, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return io.ReadAll(buffered)
	}
	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	files := tar.NewReader(io.LimitReader(unzipped, 2*manifestLimit))
	for {
		head, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("unpack: no file is in it: %w", err)
		}
		if head.Typeflag == tar.TypeReg {
			return io.ReadAll(io.LimitReader(files, manifestLimit+1))
		}
	}
}
