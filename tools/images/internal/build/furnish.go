package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/argosy-mesh/argosy/tools/images/internal/recipe"
)

// architecture is that of this machine: its binaries are what goes in.
const architecture = runtime.GOARCH

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/bin/false\nnonroot:x:65532:65532:nonroot:/home/nonroot:/bin/false\n"
	group    = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\nnonroot:x:65532:\n"
	nsswitch = "passwd: files\ngroup: files\nhosts: files dns\n"
)

// furnish adds what every image has and what the recipe gives by itself.
func furnish(root string, image recipe.Image) error {
	base := map[string]recipe.File{
		"/etc/passwd": {Content: passwd}, "/etc/group": {Content: group}, "/etc/nsswitch.conf": {Content: nsswitch},
	}
	for _, files := range []map[string]recipe.File{base, image.Files} {
		for path, file := range files {
			if err := writeFile(root, path, file); err != nil {
				return err
			}
		}
	}
	for from, to := range image.Binaries {
		if err := copyBinary(root, from, to); err != nil {
			return err
		}
	}
	for path, to := range image.Links {
		target, err := inRoot(root, path)
		if err != nil {
			return err
		}
		if err := os.Symlink(to, target); err != nil {
			return fmt.Errorf("link %s: %w", path, err)
		}
	}
	for dir, mode := range map[string]fs.FileMode{
		// Those that every distribution has: programs write below them.
		"mnt": 0o755, "media": 0o755, "opt": 0o755, "srv": 0o755,
		"tmp": 0o777 | fs.ModeSticky, "var/tmp": 0o777 | fs.ModeSticky, "root": 0o700, "home/nonroot": 0o777,
		"run": 0o755,
	} {
		path := filepath.Join(root, dir)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
			return fmt.Errorf("make /%s: %w", dir, err)
		}
	}
	return nil
}

func writeFile(root, path string, file recipe.File) error {
	target, err := inRoot(root, path)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if file.Executable {
		mode = 0o755
	}
	if err := os.WriteFile(target, []byte(file.Content), mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func copyBinary(root, from, to string) error {
	target, err := inRoot(root, to)
	if err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("open binary: %w", err)
	}
	defer source.Close()
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("create %s: %w", to, err)
	}
	_, err = io.Copy(file, source)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// applets gives busybox the names of its commands, except where a package has
// brought the real one.
func applets(ctx context.Context, root string) error {
	busybox := filepath.Join(root, "usr/bin/busybox")
	out, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("list applets (the package busybox or busybox-static must be in the image): %w", err)
	}
	for applet := range strings.FieldsSeq(string(out)) {
		if applet == "busybox" || present(root, applet) {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(root, "usr/bin", applet)); err != nil {
			return fmt.Errorf("link applet: %w", err)
		}
	}
	return nil
}

func present(root, command string) bool {
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/local/bin"} {
		if _, err := os.Lstat(filepath.Join(root, dir, command)); err == nil {
			return true
		}
	}
	return false
}
