package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Lint compares what rollout-analyzer says of the files of a folder with their names: those that begin with "valid"
// hold nothing wrong, those that begin with "invalid" do.
func Lint(ctx context.Context, c Config) (*Report, error) {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	for _, e := range entries {
		invalid := strings.HasPrefix(e.Name(), "invalid")
		if e.IsDir() || !invalid && !strings.HasPrefix(e.Name(), "valid") || !chosen(e.Name(), c.Only) {
			continue
		}
		said, err := exec.CommandContext(
			ctx, filepath.Join(c.Bin, "rollout-analyzer"), "lint", filepath.Join(c.Dir, e.Name()),
		).CombinedOutput()
		code := 0
		if exit, is := errors.AsType[*exec.ExitError](err); is {
			code = exit.ExitCode()
		} else if err != nil {
			return nil, err
		}
		switch {
		case code > 1 || invalid && code == 0 || !invalid && code == 1:
			report.Failf(e.Name(), "exit code %d: %.200s", code, said)
		default:
			report.Pass(e.Name())
		}
	}
	if len(report.Results) == 0 {
		return nil, fmt.Errorf("no file of %s begins with valid or invalid and with %q", c.Dir, c.Only)
	}
	return report, nil
}
