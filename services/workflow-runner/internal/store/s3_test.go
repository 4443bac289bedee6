package store

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"
)

// stores read the Secret "keys" of the namespace ci.
func stores(t *testing.T) *Stores {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "keys"},
		Data: map[string][]byte{"id": []byte(storetest.ID), "secret": []byte(storetest.Secret), "junk": []byte("junk")}}
	return &Stores{Secrets: fake.NewClientBuilder().WithObjects(secret).Build()}
}

const keys = "accessKeySecret: {name: keys, key: id}, secretKeySecret: {name: keys, key: secret}"

// location is one of a bucket of the server, with more fields.
func place(t *testing.T, s *storetest.Server, bucket, more string) v1alpha1.ArtifactLocation {
	t.Helper()
	var l v1alpha1.ArtifactLocation
	text := "s3: {endpoint: '" + s.Endpoint + "', insecure: true, bucket: " + bucket + ", " + more + "}"
	if err := yaml.UnmarshalStrict([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestABucketKeepsArtifacts(t *testing.T) {
	server := storetest.Start(t, "art")
	for key, text := range map[string]string{"run/a b+c.txt": "one", "run/dir/x": "two", "run/dir/": "",
		"run/dir2": "three", "other": "four"} {
		server.Put("art", key, text)
	}
	s := stores(t)
	body, err := s.Open(t.Context(), "ci", place(t, server, "art", "key: 'run/a b+c.txt', "+keys))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(body); string(text) != "one" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	names, err := s.Names(t.Context(), "ci", place(t, server, "art", "key: run/, "+keys), 10)
	if want := []string{"run/a b+c.txt", "run/dir/x", "run/dir2"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := s.Names(t.Context(), "ci", place(t, server, "art", "key: run/, "+keys), 2); err == nil {
		t.Error("more names than the limit")
	}
	if _, err := s.Open(t.Context(), "ci", place(t, server, "art", "key: none, "+keys)); !errors.Is(err, ErrAbsent) {
		t.Errorf("absent: %v", err)
	}
	for _, key := range []string{"run/dir", "run/dir", "none"} { // twice is no error
		if err := s.Remove(t.Context(), "ci", place(t, server, "art", "key: "+key+", "+keys)); err != nil {
			t.Errorf("remove %s: %v", key, err)
		}
	}
	if left := server.Objects("art"); len(left) != 3 || left["run/dir2"] == "" {
		t.Errorf("%q are left", left)
	}
	if err := s.Remove(t.Context(), "ci", place(t, server, "art", keys)); fault.Of(err) != fault.Poison ||
		len(server.Objects("art")) != 3 {
		t.Errorf("remove without a key: %v", err)
	}
}

func TestWhatCannotBeReachedIsSaid(t *testing.T) {
	server := storetest.Start(t, "art")
	s := stores(t)
	for name, c := range map[string]struct{ bucket, more, says string }{
		"no such Secret":    {"art", "accessKeySecret: {name: gone, key: id}, secretKeySecret: {name: keys, key: secret}", `"gone"`},
		"no such key of it": {"art", "accessKeySecret: {name: keys, key: gone}, secretKeySecret: {name: keys, key: secret}", `no key "gone"`},
		"half of the keys":  {"art", "accessKeySecret: {name: keys, key: id}", "come together"},
		"other keys":        {"art", "accessKeySecret: {name: keys, key: junk}, secretKeySecret: {name: keys, key: secret}", "InvalidAccessKeyId"},
		"a wrong secret": {"art", "accessKeySecret: {name: keys, key: id}, secretKeySecret: {name: keys, key: junk}",
			"SignatureDoesNotMatch"},
		"no keys":         {"art", "region: us-east-1", "AccessDenied"},
		"no such bucket":  {"none", keys, "NoSuchBucket"},
		"SDK credentials": {"art", "useSDKCreds: true", "useSDKCreds"},
		"a role":          {"art", "roleARN: arn", "roleARN"},
		"encryption":      {"art", "encryptionOptions: {enableEncryption: true, kmsKeyId: k, kmsEncryptionContext: x}, " + keys, "encryptionOptions"},
		"addressing":      {"art", "addressingStyle: odd, " + keys, `"odd"`},
		"an authority":    {"art", "caSecret: {name: keys, key: junk}, " + keys, "certificate"},
	} {
		_, err := s.Names(t.Context(), "ci", place(t, server, c.bucket, "key: a, "+c.more), 10)
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if err != nil && (strings.Contains(err.Error(), storetest.Secret) ||
			strings.Contains(err.Error(), storetest.ID)) {
			t.Errorf("%s: the error tells a key: %v", name, err)
		}
	}
	if _, err := s.At(t.Context(), "other", place(t, server, "art", keys)); fault.Of(err) != fault.Poison {
		t.Errorf("secrets of another namespace: %v", err)
	}
	elsewhere := v1alpha1.ArtifactLocation{GCS: &v1alpha1.GCSArtifact{}}
	if _, err := s.At(t.Context(), "ci", elsewhere); fault.Of(err) != fault.Poison {
		t.Errorf("another kind: %v", err)
	}
}

func TestASignedURLAllowsOneMethodOnOneObject(t *testing.T) {
	server := storetest.Start(t)
	at, err := stores(t).At(t.Context(), "ci", place(t, server, "fresh", "createBucketIfNotPresent: {}, "+keys))
	if err != nil {
		t.Fatal(err)
	}
	direct := at.(Direct)
	for range 2 {
		if err := direct.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put, _, err := direct.Sign(t.Context(), http.MethodPut, "a/b c.txt", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, url string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if code := do(http.MethodPut, put); code != http.StatusOK || server.Objects("fresh")["a/b c.txt"] != "text" {
		t.Errorf("put: %d, %q", code, server.Objects("fresh"))
	}
	if code := do(http.MethodDelete, put); code != http.StatusForbidden {
		t.Errorf("another method: %d", code)
	}
	if code := do(http.MethodPut, strings.Replace(put, "b%20c.txt", "other", 1)); code != http.StatusForbidden {
		t.Errorf("another object: %d", code)
	}
	if there, err := direct.Has(t.Context(), "a/b c.txt"); !there || err != nil {
		t.Errorf("%v, %v", there, err)
	}
	if there, err := direct.Has(t.Context(), "a"); there || err != nil {
		t.Errorf("a folder: %v, %v", there, err)
	}
	public, err := stores(t).At(t.Context(), "ci", place(t, server, "fresh", "region: us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	if url, _, err := public.(Direct).Sign(t.Context(), http.MethodGet, "a/b", time.Minute); err != nil ||
		url != "http://"+server.Endpoint+"/fresh/a/b" {
		t.Errorf("without keys: %s, %v", url, err)
	}
}
