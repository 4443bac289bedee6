package source

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/signature/signaturetest"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// Whoever can push can have everything of an Application: what a project asks of signatures is asked before anything is
// read of a commit.
func TestVerification(t *testing.T) {
	w := newWorld(t)
	one, other := signaturetest.NewPerson(t, "alice"), signaturetest.NewPerson(t, "bob")
	home, alice, public := one.Home, one.Fingerprint, one.Public
	bobs, bob, bobsPublic := other.Home, other.Fingerprint, other.Public
	t.Setenv("GNUPGHOME", home)
	w.declared.maps[keysMap] = map[string]string{alice[24:]: public, bob[24:]: bobsPublic, "broken": "no key"}

	repo, plain := w.commit(
		"r",
		map[string]string{"a/x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"},
	)
	dir := filepath.Join(w.base, "r")
	signed := func(message string) string {
		w.git(dir, "-c", "user.signingkey="+alice, "commit", "--quiet", "--allow-empty", "-S", "-m", message)
		return w.git(dir, "rev-parse", "HEAD")
	}
	first := signed("first")
	w.git(dir, "-c", "user.signingkey="+alice, "tag", "-s", "-m", "of a plain one", "v1.0.0", plain)
	w.git(dir, "tag", "-a", "-m", "not signed", "v2.0.0", first)
	w.git(dir, "tag", "light", first)
	seal := signed("all is well\n\nArgocd-gpg-seal: looked at by two")
	after := signed("after")
	t.Setenv("GNUPGHOME", bobs)
	w.git(dir, "-c", "user.signingkey="+bob, "commit", "--quiet", "--allow-empty", "-S", "-m", "by bob")
	byBob := w.git(dir, "rev-parse", "HEAD")

	by := func(mode project.Mode, keys ...string) project.Verification {
		return project.Verification{Mode: mode, Keys: keys}
	}
	unsigned := "commit " + plain + ": it is not signed"
	for name, c := range map[string]struct {
		revision string
		asked    project.Verification
		want     string // of the error
	}{
		"a signed commit":          {first, by("head", alice), ""},
		"by the end of its key":    {first, by("head", alice[24:]), ""},
		"a plain commit":           {plain, by("head", alice), unsigned},
		"another's":                {byBob, by("head", alice), "is signed by key " + bob},
		"one of two":               {byBob, by("head", alice, bob), ""},
		"a branch":                 {"main", by("head", bob), ""},
		"a signed tag":             {"v1.0.0", by("head", alice), ""},
		"a tag that is not":        {"v2.0.0", by("head", alice), "tag v2.0.0: it is not signed"},
		"a version":                {">=1.0.0 <2.0.0", by("head", alice), ""},
		"a tag that is a name":     {"light", by("head", alice), ""},
		"no key":                   {first, by("head"), "the project demands one of the keys"},
		"a key that is not read":   {plain, by("head", alice), "ConfigMap argocd-gpg-keys-cm: key broken: "},
		"strict, a plain ancestor": {first, by("strict", alice), unsigned},
		"strict, sealed":           {after, by("strict", alice), ""},
		"strict, the seal itself":  {seal, by("strict", alice), ""},
		"strict, another's":        {byBob, by("strict", bob), "is signed by key " + alice},
		"strict, of both":          {byBob, by("strict", alice, bob), ""},
		"a mode nobody knows":      {first, by("some", alice), unsigned},
	} {
		t.Run(name, func(t *testing.T) {
			memory := NewMemory(time.Now())
			q := Request{
				Sources: []v1alpha1.ApplicationSource{{RepoURL: repo, Path: "a", TargetRevision: c.revision}},
				Want:    git.Want{Since: time.Now()},
				Verifications: func(asked string) []project.Verification {
					if asked != repo {
						t.Errorf("asked about %s", asked)
					}
					return []project.Verification{c.asked}
				},
			}
			_, err := w.Render(t.Context(), q, &memory)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil {
				return
			}
			// A key that is trusted no more: what was rendered holds no more.
			all := w.declared.maps[keysMap]
			defer func() { w.declared.maps[keysMap] = all }()
			w.declared.maps[keysMap] = nil
			w.verifier.at = time.Time{}
			if _, err := w.Render(t.Context(), q, &memory); err == nil {
				t.Error("a key that was taken away is trusted")
			}
			w.verifier.at = time.Time{}
		})
	}
}
