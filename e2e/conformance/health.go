package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// healthFile is the name of the files that say how objects are.
const healthFile = "health_test.yaml"

// healthCase says how the object of one file is.
type healthCase struct {
	InputPath    string    `json:"inputPath"` // beside the health_test.yaml; the case of letters does not matter
	HealthStatus healthSay `json:"healthStatus"`
}

// healthSay is what is said of an object.
type healthSay struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Health compares what sync-agent says of the objects of a folder with the health_test.yaml files in it: lists of
// inputPath and healthStatus. The status counts; messages are advice. The data speaks of the rules of kinds alone, so
// that objects which are being deleted are judged as if they were not.
func Health(ctx context.Context, c Config) (*Report, error) {
	report := &Report{}
	err := filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != healthFile {
			return err
		}
		return healthOf(ctx, c, filepath.Dir(path), report)
	})
	if err != nil {
		return nil, err
	}
	if len(report.Results) == 0 {
		return nil, fmt.Errorf("no case of a %s in %s begins with %q", healthFile, c.Dir, c.Only)
	}
	return report, nil
}

func healthOf(ctx context.Context, c Config, dir string, report *Report) error {
	text, err := os.ReadFile(filepath.Join(dir, healthFile))
	if err != nil {
		return err
	}
	var list struct {
		Tests []healthCase `json:"tests"`
	}
	if err := yaml.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, healthFile), err)
	}
	kind, err := filepath.Rel(c.Dir, dir)
	if err != nil {
		return err
	}
	for _, t := range list.Tests {
		name := filepath.ToSlash(filepath.Join(kind, t.InputPath))
		if !chosen(name, c.Only) {
			continue
		}
		status, message, err := healthSaid(ctx, c.Bin, dir, t.InputPath)
		switch {
		case err != nil:
			report.Failf(name, "%v", err)
		case status != t.HealthStatus.Status:
			report.Failf(name, "expected %s (%.80q), got %s (%.80q)", t.HealthStatus.Status, t.HealthStatus.Message,
				status, message)
		default:
			report.Pass(name)
		}
	}
	return nil
}

// healthSaid asks the program about the first object of a file.
func healthSaid(ctx context.Context, bin, dir, input string) (status, message string, err error) {
	file, err := anyCase(dir, input)
	if err != nil {
		return "", "", err
	}
	var problems bytes.Buffer
	command := exec.CommandContext(ctx, filepath.Join(bin, "sync-agent"), "health", "--rule", "-o", "json", file)
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", "", fmt.Errorf("%w: %s", err, strings.TrimSpace(problems.String()))
	}
	var said []healthSay
	if err := json.Unmarshal(out, &said); err != nil {
		return "", "", err
	}
	if len(said) == 0 {
		return "", "", fmt.Errorf("%s holds no object", file)
	}
	if said[0].Status == "" {
		said[0].Status = "no health"
	}
	return said[0].Status, said[0].Message, nil
}

// anyCase finds a file whose names may be written with other letters, large or small.
func anyCase(dir, path string) (string, error) {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == part })
		if i < 0 {
			i = slices.IndexFunc(entries, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), part) })
		}
		if i < 0 {
			return "", fmt.Errorf("%s has no %s", dir, part)
		}
		dir = filepath.Join(dir, entries[i].Name())
	}
	return dir, nil
}
