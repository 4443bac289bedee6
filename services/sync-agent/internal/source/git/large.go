package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Pointer stands in a repository for a file that Git LFS keeps. Source: the specification of Git LFS, version 1.
type Pointer struct {
	OID  string // sha256 in hexadecimal digits
	Size int
}

// maxPointer bounds the bytes of a pointer. Source: Git LFS.
const maxPointer = 1024

var pointer = regexp.MustCompile(
	`\Aversion https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n(?:ext-[^\n]*\n)*` +
		`oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n?\z`,
)

// PointerOf reads a file that may be a pointer.
func PointerOf(text []byte) (Pointer, bool) {
	if len(text) >= maxPointer {
		return Pointer{}, false
	}
	found := pointer.FindSubmatch(text)
	if found == nil {
		return Pointer{}, false
	}
	size, err := strconv.Atoi(string(found[2]))
	return Pointer{string(found[1]), size}, err == nil
}

// ErrLarge is wrapped by errors about a large file that is not what its pointer says.
var ErrLarge = errors.New("it is not the file that the pointer names")

// Large returns a file that Git LFS keeps: from beside the mirror, whose quota it counts in, else by fetch, whose
// answer is believed when its digest is right.
func (m *Mirror) Large(
	ctx context.Context, p Pointer, fetch func(context.Context) (io.ReadCloser, error),
) ([]byte, error) {
	if p.Size > MaxBytes {
		return nil, fmt.Errorf("%w: a file of Git LFS has %d bytes, over %d", ErrLimit, p.Size, MaxBytes)
	}
	dir := filepath.Join(m.dir, "argosy-lfs")
	name := filepath.Join(dir, p.OID)
	if text, err := os.ReadFile(name); err == nil && p.is(text) {
		return text, nil
	}
	body, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, int64(p.Size)+1))
	if err != nil {
		return nil, fmt.Errorf("read the large file %s: %w", p.OID, err)
	}
	if !p.is(text) {
		return nil, fmt.Errorf("large file %s: %w", p.OID, ErrLarge)
	}
	// What is kept saves a fetch; it is whole or not there, and one that cannot be kept is fetched again.
	if os.MkdirAll(dir, 0o700) == nil {
		if scratch, err := os.CreateTemp(dir, "fetched-*.lock"); err == nil {
			_, err = io.Copy(scratch, bytes.NewReader(text))
			if err = errors.Join(err, scratch.Close()); err == nil {
				err = os.Rename(scratch.Name(), name)
			}
			if err != nil {
				_ = os.Remove(scratch.Name())
			}
		}
	}
	return text, nil
}

func (p Pointer) is(text []byte) bool {
	sum := sha256.Sum256(text)
	return len(text) == p.Size && hex.EncodeToString(sum[:]) == p.OID
}
