// Package debian unpacks Debian packages, and those they depend on, into a
// directory, without installing anything: no script of a package runs.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// unwanted are what packages depend on only to be installed or to log people in.
var unwanted = []string{
	"adduser", "cdebconf", "debconf", "debconf-2.0", "dpkg", "init-system-helpers", "install-info", "iproute2",
	"login", "lsb-base", "passwd", "perl", "perl-base", "sysvinit-utils", "tzdata",
}

// ignoreInstalled hides what is installed on this machine, which may be of
// sources that cannot be reached any more.
const ignoreInstalled = "Dir::State::status=/dev/null"

// weight are directories that no program in an image needs.
var weight = []string{
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug",
}

// Closure lists the packages and all they depend on, sorted.
func Closure(ctx context.Context, packages, without []string) ([]string, error) {
	args := []string{
		"--option", ignoreInstalled, "--no-suggests", "--no-recommends", "--no-conflicts",
		"--no-breaks", "--no-replaces", "--no-enhances",
	}
	skip := slices.Concat(unwanted, without)
	closure := map[string]bool{}
	pending := slices.Clone(packages)
	for len(pending) > 0 {
		next := pending
		pending = nil
		out, err := exec.CommandContext(ctx, "apt-cache", slices.Concat([]string{"depends"}, args, next)...).Output()
		if err != nil {
			return nil, fmt.Errorf("ask apt for dependencies of %v (run apt-get update?): %w", next, err)
		}
		for _, name := range next {
			closure[name] = true
		}
		for _, name := range dependencies(string(out)) {
			if !closure[name] && !slices.Contains(skip, name) && !slices.Contains(pending, name) {
				pending = append(pending, name)
			}
		}
	}
	names := make([]string, 0, len(closure))
	for name := range closure {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// dependencies reads the output of apt-cache depends: of alternatives, which
// are marked |, the last is without the mark; virtual packages are in <> and
// followed by who provides them.
func dependencies(out string) []string {
	var names []string
	alternative, virtual := false, false
	for line := range strings.Lines(out) {
		trimmed := strings.TrimSpace(line)
		depends := strings.Contains(trimmed, "Depends: ")
		switch {
		case depends:
			settled := alternative // an earlier alternative was taken
			alternative = strings.HasPrefix(trimmed, "|")
			_, name, _ := strings.Cut(trimmed, "Depends: ")
			virtual = strings.HasPrefix(name, "<") && !settled
			if !strings.HasPrefix(name, "<") && !settled {
				names = append(names, name)
			}
		case virtual && strings.HasPrefix(line, "    "):
			names, virtual = append(names, trimmed), false
		}
	}
	return names
}

// Unpack downloads the packages into cache, unless they are there, and unpacks
// them into root.
func Unpack(ctx context.Context, packages []string, cache, root string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("make package cache: %w", err)
	}
	if err := mergeUsr(root); err != nil {
		return err
	}
	if err := fetch(ctx, packages, cache); err != nil {
		return err
	}
	for _, name := range packages {
		script := `set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner`
		if err := run(ctx, root, "bash", "-c", script, "unpack", cached(name, cache), root); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	for _, dir := range weight {
		if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
			return fmt.Errorf("drop %s: %w", dir, err)
		}
	}
	return bundle(root)
}

// fetch downloads, at once, the packages that are not in the cache.
func fetch(ctx context.Context, packages []string, cache string) error {
	var missing []string
	for _, name := range packages {
		if cached(name, cache) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// The _apt user may not write into the cache; downloading as root is fine.
	args := append([]string{"-o", ignoreInstalled, "-o", "APT::Sandbox::User=root", "download"}, missing...)
	if err := run(ctx, cache, "apt-get", args...); err != nil {
		return fmt.Errorf("download %v: %w", missing, err)
	}
	for _, name := range missing {
		if cached(name, cache) == "" {
			return fmt.Errorf("download %s: no file came", name)
		}
	}
	return nil
}

// cached is the file of a package, empty when it is not in the cache.
func cached(name, cache string) string {
	found, _ := filepath.Glob(filepath.Join(cache, name+"_*.deb"))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// mergeUsr makes /bin and its like links into /usr, as Debian's installer does.
func mergeUsr(root string) error {
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", dir), 0o755); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			return fmt.Errorf("merge usr: %w", err)
		}
	}
	return nil
}

// bundle writes the file of all CA certificates, which the package's script
// would make.
func bundle(root string) error {
	files, _ := filepath.Glob(filepath.Join(root, "usr/share/ca-certificates/mozilla/*.crt"))
	if len(files) == 0 {
		return nil
	}
	var all bytes.Buffer
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read CA: %w", err)
		}
		all.Write(raw)
	}
	dir := filepath.Join(root, "etc/ssl/certs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "ca-certificates.crt"), all.Bytes(), 0o644)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
