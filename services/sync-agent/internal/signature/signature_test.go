package signature

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/signature/signaturetest"
)

// repository is one whose commits somebody signs.
type repository struct {
	*testing.T
	dir, home string
}

func (r repository) git(args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(
		cmd.Environ(),
		"GNUPGHOME="+r.home,
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@b",
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestSigners(t *testing.T) {
	owner := signaturetest.NewPerson(t, "alice")
	home, fingerprint, public := owner.Home, owner.Fingerprint, owner.Public
	other := signaturetest.NewPerson(t, "bob").Public
	r := repository{T: t, dir: t.TempDir(), home: home}
	r.git("init", "--quiet", "--initial-branch=main")
	r.git("config", "user.signingkey", fingerprint)
	r.git("commit", "--quiet", "--allow-empty", "-S", "-m", "signed\n\nwith a body\n\n gpgsig of no meaning")
	r.git("tag", "-s", "-m", "v1", "v1")
	r.git("tag", "-a", "-m", "v2", "v2")
	signed := r.git("cat-file", "commit", "HEAD")
	tag, bare := r.git("cat-file", "tag", "v1"), r.git("cat-file", "tag", "v2")
	r.git("commit", "--quiet", "--allow-empty", "-m", "plain")
	plain := r.git("cat-file", "commit", "HEAD")

	alice := NewKeyring(map[string]string{"alice": public, "bob": other})
	bob := NewKeyring(map[string]string{"bob": other})
	changed := strings.Replace(signed, "with a body", "with a bodY", 1)
	bySSH := strings.ReplaceAll(signed, "PGP SIGNATURE", "SSH SIGNATURE")
	cutOff := signed[:strings.Index(signed, "gpgsig")+90] + "\n\nmessage"
	for name, c := range map[string]struct {
		keys *Keyring
		kind string
		data string
		want error
	}{
		"a commit":                    {alice, "commit", signed, nil},
		"a tag":                       {alice, "tag", tag, nil},
		"a tag without":               {alice, "tag", bare, ErrUnsigned},
		"a commit without":            {alice, "commit", plain, ErrUnsigned},
		"a commit that was changed":   {alice, "commit", changed, ErrInvalid},
		"a tag that was changed":      {alice, "tag", strings.Replace(tag, "v1", "v9", 1), ErrInvalid},
		"a key that is not trusted":   {bob, "commit", signed, ErrInvalid},
		"no keys":                     {&Keyring{}, "commit", signed, ErrInvalid},
		"a signature of ssh":          {alice, "commit", bySSH, ErrForeign},
		"a signature that is cut off": {alice, "commit", cutOff, ErrInvalid},
		"nothing":                     {alice, "commit", "", ErrUnsigned},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.keys.Signer(c.kind, []byte(c.data))
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && (!Matches(fingerprint, got) || !Matches(fingerprint[24:], got)) {
				t.Errorf("fingerprints %v are not %s", got, fingerprint)
			}
		})
	}
	for _, key := range []string{"", fingerprint[32:], "00" + fingerprint, fingerprint + "00"} {
		if Matches(key, []string{fingerprint}) {
			t.Errorf("key %q counts as %s", key, fingerprint)
		}
	}
	if !Matches("0x"+strings.ToLower(fingerprint[24:]), []string{fingerprint}) {
		t.Error("small digits are another key")
	}
}

func TestAKeyThatCannotBeReadLeavesTheOthers(t *testing.T) {
	public := signaturetest.NewPerson(t, "alice").Public
	k := NewKeyring(map[string]string{"a": "no key", "b": public, "c": strings.Repeat("x", maxKeys+1)})
	if len(k.Problems()) != 2 || len(k.keys) != 1 {
		t.Errorf("%d keys, problems %v", len(k.keys), k.Problems())
	}
	if same := NewKeyring(map[string]string{"b": public, "a": "no key"}); same.ID == k.ID {
		t.Error("another content has the same id")
	}
}

func FuzzSigner(f *testing.F) {
	k := NewKeyring(nil)
	f.Add(
		"commit",
		[]byte("tree x\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\nm"),
	)
	f.Add("tag", []byte("object x\n\nm\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		if got, err := k.Signer(kind, data); err == nil {
			t.Errorf("signed by %v without any key", got)
		}
	})
}
