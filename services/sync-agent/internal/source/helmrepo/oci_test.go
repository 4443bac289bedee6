package helmrepo

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// registries are those that charts are pulled from: one as a library, and the CNCF's where `make third-party` built it.
func registries(t *testing.T) map[string]string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	out := map[string]string{"library": strings.TrimPrefix(s.URL, "http://")}
	program := os.Getenv("ARGOSY_REGISTRY")
	if program == "" {
		program, _ = filepath.Abs("../../../../../bin/registry")
	}
	if _, err := os.Stat(program); err == nil {
		out["distribution"] = distribution(t, program)
	}
	return out
}

// distribution starts the registry of the CNCF.
func distribution(t *testing.T, program string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	config := filepath.Join(t.TempDir(), "config.yml")
	text := "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: '" + address + "'}\nlog: {level: error}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		conn, err := (&net.Dialer{Timeout: 50 * time.Millisecond}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("the registry does not answer")
	return ""
}

// push puts layers into a registry under a tag.
func push(t *testing.T, ref string, media types.MediaType, layers ...[]byte) v1.Hash {
	t.Helper()
	image := mutate.MediaType(
		mutate.ConfigMediaType(empty.Image, "application/vnd.cncf.helm.config.v1+json"),
		types.OCIManifestSchema1,
	)
	for _, data := range layers {
		var err error
		if image, err = mutate.Append(
			image, mutate.Addendum{Layer: static.NewLayer(data, media), MediaType: media},
		); err != nil {
			t.Fatal(err)
		}
	}
	at, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestChartsFromRegistries(t *testing.T) {
	for kind, host := range registries(t) {
		t.Run(kind, func(t *testing.T) {
			for _, v := range []string{"1.0.0", "1.2.0", "1.10.0_build", "2.0.0-rc.1"} {
				push(t, host+"/charts/web:"+v, chartLayer, packed(t, "web", v))
			}
			c := newClient(t)
			access := Access{PlainHTTP: true}
			for constraint, want := range map[string]string{
				"": "1.10.0_build", "1.2.0": "1.2.0", "~1.0": "1.0.0", "1.10.0+build": "1.10.0_build",
				">=2.0.0-0": "2.0.0-rc.1",
			} {
				data, version, err := c.Fetch(
					t.Context(),
					"oci://"+host+"/charts",
					"web",
					constraint,
					time.Time{},
					access,
				)
				if err != nil || version != strings.ReplaceAll(want, "_", "+") ||
					!bytes.Equal(data, packed(t, "web", want)) {
					t.Errorf("%q: %s, %d bytes, %v", constraint, version, len(data), err)
				}
			}
			for _, version := range []string{"9.*", "3.0.0"} {
				_, _, err := c.Fetch(t.Context(), "oci://"+host+"/charts", "web", version, time.Time{}, access)
				if !errors.Is(err, ErrNoVersion) {
					t.Errorf("%s: %v", version, err)
				}
			}
			if _, _, err := c.Fetch(t.Context(), "oci://"+host+"/charts", "none", "", time.Time{}, access); !errors.Is(
				err,
				ErrNoVersion,
			) {
				t.Errorf("a chart that there is not: %v", err)
			}
		})
	}
}

func TestArtifacts(t *testing.T) {
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "app/a.yaml", Mode: 0o644, Size: 4}), second(w.Write([]byte("a: 1"))),
		w.Close(),
	); err != nil {
		t.Fatal(err)
	}
	for kind, host := range registries(t) {
		t.Run(kind, func(t *testing.T) {
			digest := push(t, host+"/app:1.0.0", types.OCIUncompressedLayer, files.Bytes())
			push(t, host+"/app:two", types.OCIUncompressedLayer, files.Bytes(), []byte("x"))
			push(t, host+"/app:other", "application/x-other", files.Bytes())
			c := newClient(t)
			access := Access{PlainHTTP: true}
			for _, revision := range []string{"1.0.0", "1.*", digest.String()} {
				got, err := c.Artifact(t.Context(), host+"/app", revision, time.Time{}, access)
				if err != nil || got.Digest != digest.String() || got.Zipped || !bytes.Equal(got.Data, files.Bytes()) {
					t.Errorf("%s: %s %d bytes, %v", revision, got.Digest, len(got.Data), err)
				}
			}
			for _, revision := range []string{"two", "other"} {
				if _, err := c.Artifact(t.Context(), host+"/app", revision, time.Time{}, access); err == nil ||
					!strings.Contains(err.Error(), "exactly one") {
					t.Errorf("%s: %v", revision, err)
				}
			}
		})
	}
}
