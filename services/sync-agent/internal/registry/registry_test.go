package registry

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestReferencesAreOfNames(t *testing.T) {
	if got, err := Reference("r:5000", "a/b", "1.2"); err != nil || got != "r:5000/a/b:1.2" {
		t.Error(got, err)
	}
	for _, c := range [][3]string{
		{"r", "a/../../token", "1"}, {"r/x", "a", "1"}, {"r", "a", "1/manifests"}, {"r", "a?x=", "1"}, {"r",
			"a", "x@sha256:1"},
		{"r", "a%2f..", "1"}, {"", "a", "1"}, {"r", "", "1"}, {"r", "a", ""}, {"user@r", "a", "1"}, {"r", "a:5", "1"},
	} {
		if got, err := Reference(c[0], c[1], c[2]); fault.Of(err) != fault.Poison {
			t.Errorf("%q: %q, %v", c, got, err)
		}
	}
}

func TestDockerConfigs(t *testing.T) {
	const auth = "dTpwOnc=" // u:p:w
	for name, c := range map[string][4]string{
		"by host":            {`{"auths":{"r:5000":{"auth":"` + auth + `"}}}`, "r:5000", "a/b", "{u p:w}"},
		"by path":            {`{"auths":{"r":{"username":"x"},"r/a":{"username":"y","password":"z"}}}`, "r", "a/b", "{y z}"},
		"not by half a name": {`{"auths":{"r/a":{"username":"y"},"r":{"username":"x","password":"p"}}}`, "r", "ab", "{x p}"},
		"old form":           {`{"https://r/v1/":{"auth":"` + auth + `"}}`, "r", "a", "{u p:w}"},
		"Docker Hub":         {`{"auths":{"https://index.docker.io/v1/":{"auth":"` + auth + `"}}}`, "docker.io", "library/a", "{u p:w}"},
		"another":            {`{"auths":{"other":{"auth":"` + auth + `"}}}`, "r", "a", "no entry"},
		"no JSON":            {`secret`, "r", "a", "no JSON"},
		"no base64":          {`{"auths":{"r":{"auth":"???"}}}`, "r", "a", "not user:password"},
	} {
		got, err := DockerConfig([]byte(c[0]), c[1], c[2])
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c[3]) || err != nil && strings.Contains(text, c[0]) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A registry that wants a password gets it; without one it says nothing, and nothing of the password is in the error.
func TestAccess(t *testing.T) {
	plain := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		plain.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	access := Access{"u", "s3cret"}
	made, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Variant = "linux", "arm64", "v8"
	if made, err = mutate.ConfigFile(made, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(host+"/team/web:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, made, access.option()); err != nil {
		t.Fatal(err)
	}
	c := New(host)
	seen, err := c.Look(t.Context(), ref.String(), access)
	if digest, _ := made.Digest(); err != nil || seen.Digest != digest.String() ||
		fmt.Sprint(seen.Platforms) != "[linux/arm64/v8]" {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := c.Look(t.Context(), ref.String(), Access{}); err == nil {
		t.Error("a stranger is let in")
	}
	if _, err := c.Look(t.Context(), ref.String(), Access{"u", "wr0ng"}); err == nil ||
		strings.Contains(err.Error(), "wr0ng") {
		t.Error(err)
	}
	if _, err := c.Look(t.Context(), host+"/team/web:2", access); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
}

func FuzzDockerConfig(f *testing.F) {
	f.Add(`{"auths":{"r":{"auth":"dTpw"}}}`, "r", "a")
	f.Add(`{"r":{"username":"u"}}`, "r", "a")
	f.Fuzz(func(t *testing.T, text, host, repository string) {
		if a, err := DockerConfig([]byte(text), host, repository); err != nil && a != (Access{}) {
			t.Error(a)
		}
	})
}
