package render

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	sigsyaml "sigs.k8s.io/yaml"
)

// The files in testdata/sops were encrypted by the program sops, 3.13.3, for the key beside them.
func testKeys(t *testing.T) Keys {
	t.Helper()
	text, err := os.ReadFile("testdata/sops/key.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sealedFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/sops", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSOPS(t *testing.T) {
	keys := testKeys(t)
	for _, name := range []string{"secret.yaml", "all.yaml", "all.json", "comments.yaml", "mac-only.yaml"} {
		got, err := keys.open(name, []byte(sealedFile(t, name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := sigsyaml.YAMLToJSON([]byte(sealedFile(t, "plain-"+name)))
		if err != nil {
			t.Fatal(err)
		}
		have, err := sigsyaml.YAMLToJSON(got)
		if err != nil || !bytes.Equal(want, have) {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, have, want)
		}
	}
}

func TestSOPSRefuses(t *testing.T) {
	keys := testKeys(t)
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := ParseKeys(other.String())
	if err != nil {
		t.Fatal(err)
	}
	text := sealedFile(t, "secret.yaml")
	for name, c := range map[string]struct {
		keys Keys
		text string
		want string
	}{
		"other key": {strangers, text, "sops-age"},
		"moved":     {keys, strings.Replace(text, "password:", "other:", 1), "changed or moved"},
		"added":     {keys, text + "added: x\n", "mac"},
		"broken":    {keys, "a: [ENC[AES256_GCM, sops", "sops"},
	} {
		if _, err := c.keys.open("secret.yaml", []byte(c.text)); !errors.Is(err, ErrSource) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseKeys("no key"); err == nil {
		t.Error("no key was taken for one")
	}
}

// What is opened for one project is not remembered for another.
func TestSealedManifestsAreOfTheirKeys(t *testing.T) {
	r := newRig(t)
	files := map[string]string{"app/secret.yaml": sealedFile(t, "secret.yaml")}
	in := input(t, repository(files), v1alpha1.ApplicationSource{Path: "app"})
	in.Keys = testKeys(t)
	got, err := r.Render(t.Context(), in)
	if err != nil || len(got.Objects) != 1 {
		t.Fatalf("%v, %v", namesOf(got.Objects), err)
	}
	data, _ := got.Objects[0].Object["stringData"].(map[string]any)
	if data["password"] != "s3cret" {
		t.Errorf("%v", data)
	}
	in.Keys = Keys{}
	got, err = r.Render(t.Context(), in)
	if text, _ := got.Objects[0].MarshalJSON(); err != nil || strings.Contains(string(text), "s3cret") {
		t.Errorf("%v: %s", err, text)
	}
}

// What sops encrypts now is opened, too.
func TestParityOfSOPS(t *testing.T) {
	tools := os.Getenv("RENDER_PARITY_TOOLS")
	if tools == "" {
		t.Skip("make render-parity runs it: it builds sops")
	}
	dir := toDisk(t, map[string]string{
		"a.yaml": "a: {b: [1, 1.50, true, text, \"\"], c: null}\nd: 0644\ne: 2020-01-02\nf: 12345678901\n",
	})
	key, err := filepath.Abs("testdata/sops/key.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, recipient, _ := strings.Cut(sealedFile(t, "key.txt"), "public key: ")
	recipient, _, _ = strings.Cut(recipient, "\n")
	sops := func(args ...string) []byte {
		cmd := exec.Command(filepath.Join(tools, "sops"), args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SOPS_AGE_KEY_FILE="+key)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("sops %v: %v", args, err)
		}
		return out
	}
	text := sops("encrypt", "--age", recipient, "a.yaml")
	if err := os.WriteFile(filepath.Join(dir, "sealed.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := sigsyaml.YAMLToJSON(sops("decrypt", "sealed.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := testKeys(t).open("sealed.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	have, err := sigsyaml.YAMLToJSON(plain)
	if err != nil || !bytes.Equal(want, have) {
		t.Errorf("%v\n%s\nwant\n%s", err, have, want)
	}
}

func FuzzSOPS(f *testing.F) {
	text, err := os.ReadFile("testdata/sops/secret.yaml")
	if err != nil {
		f.Fatal(err)
	}
	key, err := os.ReadFile("testdata/sops/key.txt")
	if err != nil {
		f.Fatal(err)
	}
	keys, err := ParseKeys(string(key))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(text), "sops: {age: [{enc: x}]}\na: ENC[AES256_GCM,data:,iv:AA==,tag:AA==,type:str]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := keys.open("a.yaml", text); err != nil && !errors.Is(err, ErrSource) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
