// Package signaturetest makes people who sign commits.
package signaturetest

import (
	"bytes"
	"os/exec"
	"regexp"
	"testing"
)

// Person is somebody with a key of gpg.
type Person struct {
	Home        string // the folder of the key, for GNUPGHOME
	Fingerprint string
	Public      string // the key that others may have, armored
}

// NewPerson makes a key with gpg, in a folder of its own.
func NewPerson(t *testing.T, name string) Person {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("needs gpg (Debian: gpg, gpg-agent)")
	}
	p := Person{Home: t.TempDir()}
	gpg := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "gpg", append([]string{
			"--homedir", p.Home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback",
		}, args...)...)
		var problem bytes.Buffer
		cmd.Stderr = &problem
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v\n%s", args, err, problem.String())
		}
		return string(out)
	}
	gpg("--quick-generate-key", name+" <"+name+"@example.org>", "default", "default", "never")
	m := regexp.MustCompile(`fpr:+([0-9A-F]{40}):`).FindStringSubmatch(gpg("--with-colons", "--list-keys"))
	if m == nil {
		t.Fatal("gpg lists no key")
	}
	p.Fingerprint, p.Public = m[1], gpg("--armor", "--export")
	return p
}
