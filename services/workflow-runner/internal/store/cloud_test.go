package store

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// sky is a store of one kind, and what a manifest says of it.
type sky struct {
	*storetest.Cloud
	t      *testing.T
	stores *Stores
	form   string // of a location, with the key, and more fields behind it
	secret string // the field with its Secret
}

func skies(t *testing.T) map[string]sky {
	t.Helper()
	out := map[string]sky{}
	gcs, azure := storetest.StartGCS(t), storetest.StartAzure(t)
	for name, c := range map[string]sky{
		"gcs": {Cloud: gcs, form: "gcs: {bucket: art, key: %q, %s}",
			secret: "serviceAccountKeySecret: {name: keys, key: cloud}"},
		"azure": {Cloud: azure, form: "azure: {endpoint: '" + azure.URL + "', container: art, blob: %q, %s}",
			secret: "accountKeySecret: {name: keys, key: cloud}"},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "keys"},
			Data: map[string][]byte{"cloud": []byte(c.Secret), "junk": []byte("ju:nk"), "other": []byte("b3RoZXI=")}}
		c.t, c.stores = t, &Stores{Secrets: fake.NewClientBuilder().WithObjects(secret).Build(), GCS: gcs.URL}
		out[name] = c
	}
	return out
}

func placed(t *testing.T, text string) v1alpha1.ArtifactLocation {
	t.Helper()
	var l v1alpha1.ArtifactLocation
	if err := yaml.UnmarshalStrict([]byte(text), &l); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return l
}

func (s sky) at(key string) v1alpha1.ArtifactLocation {
	return placed(s.t, fmt.Sprintf(s.form, key, s.secret))
}

func TestCloudsKeepArtifacts(t *testing.T) {
	for name, s := range skies(t) {
		for key, text := range map[string]string{"run/a b+c~ü.txt": "one", "run/dir/x": "two", "run/dir/": "",
			"run/dir2": "three", "other": "four"} {
			s.Put(key, text)
		}
		body, err := s.stores.Open(t.Context(), "ci", s.at("run/a b+c~ü.txt"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text, err := io.ReadAll(body); string(text) != "one" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		names, err := s.stores.Names(t.Context(), "ci", s.at("run/"), 10)
		if want := []string{"run/a b+c~ü.txt", "run/dir/x", "run/dir2"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %q, %v", name, names, err)
		}
		if _, err := s.stores.Names(t.Context(), "ci", s.at("run/"), 2); fault.Of(err) != fault.Poison {
			t.Errorf("%s: more names than the limit: %v", name, err)
		}
		if _, err := s.stores.Open(t.Context(), "ci", s.at("none")); !errors.Is(err, ErrAbsent) {
			t.Errorf("%s: absent: %v", name, err)
		}
		for _, key := range []string{"run/dir", "run/dir", "none"} { // twice is no error
			if err := s.stores.Remove(t.Context(), "ci", s.at(key)); err != nil {
				t.Errorf("%s: remove %s: %v", name, key, err)
			}
		}
		if left := s.Objects(); len(left) != 3 || left["run/dir2"] == "" {
			t.Errorf("%s: %q are left", name, left)
		}
		s.Break(1)
		if _, err := s.stores.Names(t.Context(), "ci", s.at("run/"), 10); err == nil || fault.Of(err) != fault.Retry {
			t.Errorf("%s: away: %v", name, err)
		}
	}
}

func TestURLsOfCloudsAllowOneMethodOnOneObject(t *testing.T) {
	for name, s := range skies(t) {
		at, err := s.stores.At(t.Context(), "ci", s.at(""))
		if err != nil {
			t.Fatal(err)
		}
		direct := at.(Direct)
		send := func(method, to string, headers map[string]string) int {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader("text"))
			if err != nil {
				t.Fatal(err)
			}
			for header, value := range headers {
				req.Header.Set(header, value)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			return res.StatusCode
		}
		put, headers, err := direct.Sign(t.Context(), http.MethodPut, "a/b c.txt", time.Minute)
		if err != nil || direct.Ready(t.Context()) != nil || direct.Authority() != "" {
			t.Fatal(err)
		}
		if code := send(http.MethodPut, put, headers); code != http.StatusOK || s.Objects()["a/b c.txt"] != "text" {
			t.Errorf("%s: put: %d, %q", name, code, s.Objects())
		}
		get, headers, err := direct.Sign(t.Context(), http.MethodGet, "a/b c.txt", time.Minute)
		if code := send(http.MethodGet, get, headers); err != nil || code != http.StatusOK {
			t.Errorf("%s: get: %d, %v", name, code, err)
		}
		for what, code := range map[string]int{
			"another method":    send(http.MethodDelete, put, nil),
			"reading to write":  send(http.MethodPut, get, headers),
			"another object":    send(http.MethodGet, strings.Replace(get, "b%20c.txt", "other", 1), nil),
			"without signature": send(http.MethodGet, strings.Split(get, "?")[0], nil),
		} {
			if code != http.StatusForbidden {
				t.Errorf("%s: %s: %d", name, what, code)
			}
		}
		old, _, err := direct.Sign(t.Context(), http.MethodGet, "a/b c.txt", -time.Minute)
		if code := send(http.MethodGet, old, nil); err != nil || code != http.StatusForbidden {
			t.Errorf("%s: an old one: %d, %v", name, code, err)
		}
		for key, want := range map[string]bool{"a/b c.txt": true, "a": false, "a/": false, "": false} {
			if there, err := direct.Has(t.Context(), key); there != want || err != nil {
				t.Errorf("%s: has %q: %v, %v", name, key, there, err)
			}
		}
		if anonymous, err := s.stores.At(t.Context(), "ci", placed(t, fmt.Sprintf(s.form, "k", ""))); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if to, _, err := anonymous.(Direct).Sign(t.Context(), http.MethodGet, "a/b c",
			time.Minute); err != nil || to != s.URL+"/art/a/b%20c" {
			t.Errorf("%s: open to all: %s, %v", name, to, err)
		}
	}
}

func TestWhatCloudsRefuseIsSaid(t *testing.T) {
	all := skies(t)
	gcs, azure := all["gcs"], all["azure"]
	for name, c := range map[string]struct {
		s          sky
		text, says string
	}{
		"gcs without a bucket": {gcs, "gcs: {key: k}", "bucket"},
		"gcs, another bucket":  {gcs, "gcs: {bucket: none, key: k, " + gcs.secret + "}", "NoSuchBucket"},
		"gcs, no key":          {gcs, "gcs: {bucket: art, key: k}", "AccessDenied"},
		"gcs, no Secret": {gcs, "gcs: {bucket: art, key: k, serviceAccountKeySecret: {name: gone, key: x}}",
			`"gone"`},
		"gcs, junk": {gcs, "gcs: {bucket: art, key: k, serviceAccountKeySecret: {name: keys, key: junk}}",
			"key file"},
		"azure without a container": {azure, "azure: {endpoint: '" + azure.URL + "', blob: k, container: ''}",
			"container"},
		"azure, no endpoint": {azure, "azure: {endpoint: here, container: art, blob: k}", "endpoint"},
		"azure, another key": {azure,
			"azure: {endpoint: '" + azure.URL + "', container: art, blob: k, accountKeySecret: {name: keys, key: other}}", "AuthenticationFailed"},
		"azure, junk": {azure,
			"azure: {endpoint: '" + azure.URL + "', container: art, blob: k, accountKeySecret: {name: keys, key: junk}}", "base64"},
		"azure, an identity": {azure,
			"azure: {endpoint: '" + azure.URL + "', container: art, blob: k, useSDKCreds: true}", "useSDKCreds"},
		"azure, another container": {azure,
			"azure: {endpoint: '" + azure.URL + "', container: none, blob: k, " + azure.secret + "}", "NoSuchBucket"},
		"oss without a bucket": {gcs, "oss: {endpoint: e, key: k}", "bucket"},
		"oss, no endpoint":     {gcs, "oss: {bucket: b, key: k}", "endpoint"},
		"oss, an identity": {gcs, "oss: {endpoint: e, bucket: b, key: k, useSDKCreds: true}",
			"useSDKCreds"},
		"oss, half of the keys":        {gcs, "oss: {endpoint: e, bucket: b, key: k, accessKeySecret: {name: keys, key: junk}}", "come together"},
		"oss, a rule":                  {gcs, "oss: {endpoint: e, bucket: b, key: k, lifecycleRule: {markDeletionAfterDays: 1}}", "lifecycleRule"},
		"artifactory, no URL":          {gcs, "artifactory: {url: here}", "no URL"},
		"artifactory, half a password": {gcs, "artifactory: {url: 'http://x/y', usernameSecret: {name: keys, key: junk}}", "come together"},
		"git without a repository":     {gcs, "git: {repo: ''}", "git"},
	} {
		_, err := c.s.stores.Names(t.Context(), "ci", placed(t, c.text), 10)
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: class %s, %v, want %q", name, fault.Of(err), err, c.says)
		}
		if err != nil && (strings.Contains(err.Error(), "sig=") || strings.Contains(err.Error(), "ju:nk") ||
			strings.Contains(err.Error(), "Signature=")) {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

// Source: the conformance tests of Google Cloud Storage for signed URLs, "Simple GET" and "Emulator host".
func TestURLsAreSignedAsGoogleSays(t *testing.T) {
	now := time.Date(2019, 2, 1, 9, 0, 0, 0, time.UTC)
	at, scope := stamps(now)
	values := url.Values{"X-Goog-Algorithm": {"GOOG4-RSA-SHA256"},
		"X-Goog-Credential": {"test-iam-credentials@dummy-project-id.iam.gserviceaccount.com/" + scope},
		"X-Goog-Date":       {at}, "X-Goog-Expires": {"10"}, "X-Goog-SignedHeaders": {"host"}}
	for host, want := range map[string]string{
		"storage.googleapis.com": "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320",
		"xyz.googleapis.com":     "4f6f519cc03e25d19fcd476d7a45bffcccdba33d10e00214a0f2debc204e2386",
	} {
		got := toSign(at, scope, canonicalGCS(http.MethodGet, host, "/test-bucket/test-object", queryOf(values)))
		if got != "GOOG4-RSA-SHA256\n20190201T090000Z\n20190201/auto/storage/goog4_request\n"+want {
			t.Errorf("%s: %s", host, got)
		}
	}
}

func TestWhoseAccountAnEndpointIs(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://acme.blob.core.windows.net": "acme", "https://acme.blob.core.windows.net/sub": "acme",
		"http://127.0.0.1:10000/devstoreaccount1": "devstoreaccount1",
		"http://azurite:10000/dev":                "dev", "http://azurite.storage.svc:10000/dev": "dev",
		"https://acme.privatelink.blob.example": "acme",
	} {
		u, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := accountOf(u); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}

func TestOSSSpeaksAsS3Does(t *testing.T) {
	server := storetest.Start(t, "art")
	server.Put("art", "k", "one")
	l := placed(t, "oss: {endpoint: 'http://"+server.Endpoint+"', bucket: art, key: k, "+keys+"}")
	body, err := stores(t).Open(t.Context(), "ci", l)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(body); string(text) != "one" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	made := placed(t, "oss: {endpoint: 'http://"+server.Endpoint+"', bucket: fresh, key: k, createBucketIfNotPresent: true, "+keys+"}")
	at, err := stores(t).At(t.Context(), "ci", made)
	if err != nil {
		t.Fatal(err)
	}
	if err := at.(Direct).Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnArtifactoryIsAskedAsItsUser(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != storetest.ID || password != storetest.Secret {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "one "+r.URL.Path)
	}))
	t.Cleanup(web.Close)
	l := placed(t, "artifactory: {url: '"+web.URL+"/repo/a.tgz', usernameSecret: {name: keys, key: id}, passwordSecret: {name: keys, key: secret}}")
	body, err := stores(t).Open(t.Context(), "ci", l)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(body); string(text) != "one /repo/a.tgz" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if err := stores(t).Remove(t.Context(), "ci", l); fault.Of(err) != fault.Poison {
		t.Errorf("what is there is not ours: %v", err)
	}
	l.Artifactory.UsernameSecret, l.Artifactory.PasswordSecret = nil, nil
	if _, err := stores(t).Open(t.Context(), "ci", l); err == nil {
		t.Error("without a user")
	}
}
