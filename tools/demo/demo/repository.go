package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Address is that of a repository of the Git server, as the cluster reaches it.
func Address(name string) string { return "http://git.argosy-demo.svc:8080/demo/" + name + ".git" }

// Commit changes a repository of the Git server by edit, which is given a checkout of main, and returns the commit. The
// first commit makes the repository.
func (c Config) Commit(
	ctx context.Context, name, message string, edit func(dir string) error,
) (commit string, err error) {
	dir, err := os.MkdirTemp("", "argosy-demo-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	url := c.at(gitPort, "/demo/"+name+".git")
	out, err := git(ctx, "", "ls-remote", url, "refs/heads/main")
	if err != nil {
		return "", err
	}
	begin := []string{"clone", "--quiet", "--branch", "main", url, dir}
	if strings.TrimSpace(out) == "" {
		begin = []string{"init", "--quiet", "--initial-branch=main", dir}
	}
	if _, err := git(ctx, "", begin...); err != nil {
		return "", err
	}
	if err := edit(dir); err != nil {
		return "", fmt.Errorf("edit repository %s: %w", name, err)
	}
	for _, args := range [][]string{
		{"add", "-A"}, {"commit", "--quiet", "-m", message}, {"push", "--quiet", url, "HEAD:refs/heads/main"},
	} {
		if _, err := git(ctx, dir, args...); err != nil {
			return "", err
		}
	}
	head, err := git(ctx, dir, "rev-parse", "HEAD")
	return strings.TrimSpace(head), err
}

// Write is an edit that writes files by their path; one that is empty is removed.
func Write(files map[string]string) func(dir string) error {
	return func(dir string) error {
		for path, text := range files {
			full := filepath.Join(dir, path)
			if text == "" {
				if err := os.RemoveAll(full); err != nil {
					return err
				}
				continue
			}
			if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
				return err
			}
			if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}
