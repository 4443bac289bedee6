// Package toolchain finds the programs that a cluster is made of, and builds
// those that are missing from the repository's own modules. Nothing is
// downloaded but Go modules.
package toolchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Program is one that can be built from this repository.
type Program struct {
	Name    string // file name
	Module  string // directory of the module, below the repository's root
	Package string // within the module
	Ldflags string
	Cold    string // how long a first build takes
}

const kubeVersion = "v1.36.3"

// Kube holds etcd, every Kubernetes component and kubectl. Without a version
// in its flags it would call itself v0.0.0, which clients cannot parse.
var Kube = Program{
	Name: "kube", Module: "tools/localcluster", Package: "./cmd/kube", Cold: "about 4 minutes on 2 cores",
	Ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=" + kubeVersion +
		" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36" +
		" -X k8s.io/component-base/version.gitCommit=unknown -X k8s.io/component-base/version.gitTreeState=clean",
}

// CoreDNS answers the cluster's DNS.
var CoreDNS = Program{
	Name: "coredns", Module: "tools/thirdparty/coredns", Package: ".", Ldflags: "-s -w", Cold: "about 1 minute",
}

// Pause is the program of a pod's sandbox.
var Pause = Program{
	Name: "pause", Module: "tools/localcluster", Package: "./cmd/pause", Ldflags: "-s -w", Cold: "seconds",
}

// Finder looks for programs in Dirs, in order, and builds into the first.
type Finder struct {
	Dirs     []string
	Progress io.Writer
}

// Find returns the path of a program, built when it is nowhere.
func (f Finder) Find(ctx context.Context, p Program) (string, error) {
	for _, dir := range f.Dirs {
		path := filepath.Join(dir, p.Name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	root, err := repository(f.Dirs)
	if err != nil {
		return "", fmt.Errorf("%s is in none of %q and cannot be built: %w", p.Name, f.Dirs, err)
	}
	path := filepath.Join(f.Dirs[0], p.Name)
	return path, f.build(ctx, p, root, path)
}

func (f Finder) build(ctx context.Context, p Program, root, path string) error {
	fmt.Fprintf(f.Progress, "building %s (first time: %s)\n", p.Name, p.Cold)
	next := path + ".next"
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", p.Ldflags, "-o", next, p.Package)
	command.Dir = filepath.Join(root, p.Module)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	start := time.Now()
	if err := command.Start(); err != nil {
		return fmt.Errorf("start go build (is Go installed?): %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("build %s: %w\n%s", p.Name, err, out.Bytes())
			}
			fmt.Fprintf(f.Progress, "built %s in %s\n", p.Name, time.Since(start).Round(time.Second))
			return os.Rename(next, path)
		case <-ticker.C:
			fmt.Fprintf(f.Progress, "  still building %s, %s\n", p.Name, time.Since(start).Round(time.Second))
		}
	}
}

// repository is the root of the source tree that one of the directories, or
// the working directory, lies in.
func repository(dirs []string) (string, error) {
	if wd, err := os.Getwd(); err == nil {
		dirs = append(slices.Clip(dirs), wd)
	}
	for _, dir := range dirs {
		for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
			if _, err := os.Stat(filepath.Join(at, Kube.Module, "go.mod")); err == nil {
				return at, nil
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return "", errors.New(
		"the source tree is not around; run from within the repository, or name the binary with --kube or ARGOSY_KUBE",
	)
}
