// Package githubtest gives tests the payloads that GitHub's own library for webhooks
// is tested with.
package githubtest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// examplesVersion is the release of the examples that is fetched.
const examplesVersion = "7.6.1"

// Examples returns payloads by the kind of event. They are fetched with npm once
// and kept in the user's cache; without npm the test is skipped.
func Examples(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "argosy", "webhooks-examples-"+examplesVersion)
	index := filepath.Join(dir, "package", "api.github.com", "index.json")
	if _, err := os.Stat(index); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		pack := exec.CommandContext(ctx, "npm", "pack", "--silent", "@octokit/webhooks-examples@"+examplesVersion)
		pack.Dir = dir
		if out, err := pack.CombinedOutput(); err != nil {
			t.Skipf("the examples cannot be fetched here, npm is needed: %v\n%s", err, out)
		}
		unpack := exec.CommandContext(ctx, "sh", "-c", "tar xzf *.tgz")
		unpack.Dir = dir
		if out, err := unpack.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(text, &kinds); err != nil {
		t.Fatal(err)
	}
	out := map[string][]json.RawMessage{}
	for _, k := range kinds {
		out[k.Name] = k.Examples
	}
	return out
}
