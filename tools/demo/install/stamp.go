package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// StampAnnotation says of the pods of a service what its image holds. Our images keep their names from build to build,
// and without it the cluster would go on with pods of the older ones.
const StampAnnotation = "argosy.dev/images"

// Stamp is the mark of the image of a program, "" where no archive of it is in the folder: it came another way.
func Stamp(archives, name string) (string, error) {
	f, err := os.Open(filepath.Join(archives, name+".tar"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the archive of image %s: %w", name, err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read the archive of image %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}
