package stories

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain brings the product up when ARGOSY_E2E is "up", as `make test` does, and
// takes it down again unless it was up before.
func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stories:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if os.Getenv("ARGOSY_E2E") != "up" {
		return m.Run(), nil
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return 1, err
	}
	before := command(
		root, filepath.Join(root, "bin/localcluster"), "status", "--dir", filepath.Join(root, ".cluster"),
	).Run() == nil
	if err := command(root, "make", "up").Run(); err != nil {
		return 1, fmt.Errorf("make up: %w", err)
	}
	if !before {
		defer func() {
			if err := command(root, "make", "down").Run(); err != nil {
				fmt.Fprintln(os.Stderr, "make down:", err)
			}
		}()
	}
	if err := os.Setenv("ARGOSY_E2E_KUBECONFIG", filepath.Join(root, ".cluster/kubeconfig")); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// command runs at the root of the repository, with its output on standard error:
// standard output belongs to the test's own report.
func command(root, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir, c.Stdout, c.Stderr = root, os.Stderr, os.Stderr
	// What a test run sets for its own builds is not for the product's.
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=", "MAKEFLAGS=", "MAKELEVEL=")
	return c
}
