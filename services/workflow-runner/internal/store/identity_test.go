package store

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/alibaba/alibabatest"
	"github.com/argosy-mesh/argosy/libs/identity/amazon/amazontest"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
	"golang.org/x/crypto/argon2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// send makes a request with headers, and returns the code of the answer and its body.
func send(t *testing.T, method, to string, headers map[string]string, text string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

func TestABucketIsReachedByTheIdentityOfTheService(t *testing.T) {
	keys := amazontest.Keys{ID: storetest.ID, Secret: storetest.Secret, Token: "session"}
	base := amazontest.Keys{ID: "BASE", Secret: "base", Token: "first"}
	for name, c := range map[string]struct {
		environment  func(*amazontest.Services)
		keys         amazontest.Keys // of the pod
		fields, want string
	}{
		"web identity": {(*amazontest.Services).WebIdentity, keys, "useSDKCreds: true", "web identity"},
		"container":    {(*amazontest.Services).Container, keys, "useSDKCreds: true", "container"},
		"machine":      {(*amazontest.Services).Machine, keys, "useSDKCreds: true", "machine"},
		"a role": {(*amazontest.Services).WebIdentity, base, "roleARN: 'arn:r', region: eu-west-1",
			"web identity, role arn:r as argosy by BASE first"},
		"a role, by keys": {func(*amazontest.Services) {}, base,
			"roleARN: 'arn:r', accessKeySecret: {name: keys, key: junk}, secretKeySecret: {name: keys, key: junk}",
			"role arn:r as argosy by junk "},
		"both, and a role": {(*amazontest.Services).Container, base, "useSDKCreds: true, roleARN: 'arn:r'",
			"container, role arn:r as argosy by BASE first"},
	} {
		t.Run(name, func(t *testing.T) {
			services := amazontest.Start(t, c.keys, keys)
			c.environment(services)
			server := storetest.Start(t, "art")
			server.Token = "session"
			server.Put("art", "k", "one")
			s := stores(t)
			s.Own = identity.For("ci")
			l := place(t, server, "art", "key: k, "+c.fields)
			body, err := s.Open(t.Context(), "ci", l)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(body); string(text) != "one" || err != nil || services.Asked() != c.want {
				t.Errorf("%q, %v; asked %q", text, err, services.Asked())
			}
			at, err := s.At(t.Context(), "ci", l)
			if err != nil {
				t.Fatal(err)
			}
			to, headers, err := at.(Direct).Sign(t.Context(), http.MethodPut, "new", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if code, _ := send(t, http.MethodPut, to, headers, "two"); code != http.StatusOK ||
				server.Objects("art")["new"] != "two" {
				t.Errorf("a pod's URL: %d", code)
			}
		})
	}
}

// A tenant must not get at what the service may: see docs/identities.md.
func TestOnlyNamedNamespacesUseTheIdentityOfTheService(t *testing.T) {
	services := amazontest.Start(t, amazontest.Keys{ID: storetest.ID, Secret: storetest.Secret},
		amazontest.Keys{ID: storetest.ID, Secret: storetest.Secret})
	services.WebIdentity()
	server := storetest.Start(t, "art")
	s := stores(t)
	s.Own = identity.For("argosy")
	for _, l := range []v1alpha1.ArtifactLocation{
		place(t, server, "art", "key: k, useSDKCreds: true"),
		place(t, server, "art", "key: k, roleARN: 'arn:r'"),
		placed(t, "oss: {endpoint: 'http://"+server.Endpoint+"', bucket: art, key: k, useSDKCreds: true}"),
		placed(t, "azure: {endpoint: 'https://acme.blob.core.windows.net', container: art, blob: k, useSDKCreds: true}"),
	} {
		for _, namespace := range []string{"ci", "argosy-2", ""} {
			_, err := s.At(t.Context(), namespace, l)
			if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "--"+identity.Flag) ||
				!strings.Contains(err.Error(), namespace) {
				t.Errorf("%+v of %q: %v", l, namespace, err)
			}
		}
	}
	if asked := services.Asked(); asked != "" {
		t.Errorf("%s was asked for a tenant", asked)
	}
	if _, err := s.Names(t.Context(), "argosy", place(t, server, "art", "key: k, useSDKCreds: true"), 1); err != nil {
		t.Errorf("the namespace that may: %v", err)
	}
}

func TestObjectsAreEncryptedAsTheManifestSays(t *testing.T) {
	server := storetest.Start(t, "art")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "keys"},
		Data: map[string][]byte{"id": []byte(storetest.ID), "secret": []byte(storetest.Secret), "key": []byte("mine"),
			"none": nil}}
	s := &Stores{Secrets: fake.NewClientBuilder().WithObjects(secret).Build()}
	for name, c := range map[string]struct{ options, stored string }{
		"not":    {"{enableEncryption: false, kmsKeyId: k}", ""},
		"by S3":  {"{enableEncryption: true}", "=AES256"},
		"by KMS": {"{enableEncryption: true, kmsKeyId: 'arn:k'}", "=aws:kms -Aws-Kms-Key-Id=arn:k"},
		"with": {"{enableEncryption: true, kmsKeyId: 'arn:k', kmsEncryptionContext: '{\"a\":\"b\"}'}",
			"=aws:kms -Aws-Kms-Key-Id=arn:k -Context=eyJhIjoiYiJ9"},
		"by a key": {"{enableEncryption: true, serverSideCustomerKeySecret: {name: keys, key: key}}",
			"-Customer-Algorithm=AES256 "},
	} {
		l := place(t, server, "art", "key: k, "+keys+", encryptionOptions: "+c.options)
		at, err := s.At(t.Context(), "ci", l)
		if err != nil {
			t.Fatal(name, err)
		}
		direct := at.(Direct)
		to, headers, err := direct.Sign(t.Context(), http.MethodPut, "k", time.Minute)
		if err != nil {
			t.Fatal(name, err)
		}
		if code, text := send(t, http.MethodPut, to, headers, name); code != http.StatusOK {
			t.Errorf("%s: put: %d %s", name, code, text)
		}
		if got := server.Encrypted("art", "k"); got != c.stored &&
			(c.stored == "" || !strings.HasPrefix(got, c.stored)) {
			t.Errorf("%s: stored with %q, want %q", name, got, c.stored)
		}
		if len(headers) > 0 {
			if code, _ := send(t, http.MethodPut, to, nil, name); code != http.StatusForbidden {
				t.Errorf("%s: without what is signed: %d", name, code)
			}
		}
		to, headers, err = direct.Sign(t.Context(), http.MethodGet, "k", time.Minute)
		if code, text := send(t, http.MethodGet, to, headers, ""); err != nil || code != http.StatusOK || text != name {
			t.Errorf("%s: get: %d %s, %v", name, code, text, err)
		}
		if there, err := direct.Has(t.Context(), "k"); !there || err != nil {
			t.Errorf("%s: %v, %v", name, there, err)
		}
		if body, err := s.Open(t.Context(), "ci", l); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if text, err := io.ReadAll(body); !bytes.Equal(text, []byte(name)) || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if err := s.Remove(t.Context(), "ci", l); err != nil || len(server.Objects("art")) != 0 {
			t.Errorf("%s: remove: %v", name, err)
		}
	}
	for options, says := range map[string]string{
		"{enableEncryption: true, kmsKeyId: k, serverSideCustomerKeySecret: {name: keys, key: key}}": "one is named",
		"{enableEncryption: true, kmsKeyId: k, kmsEncryptionContext: '['}":                           "JSON",
		"{enableEncryption: true, serverSideCustomerKeySecret: {name: keys, key: gone}}":             `"gone"`,
		"{enableEncryption: true, serverSideCustomerKeySecret: {name: keys, key: none}}":             "empty",
	} {
		if _, err := s.At(t.Context(), "ci", place(t, server, "art",
			"key: k, "+keys+", encryptionOptions: "+options)); fault.Of(err) != fault.Poison ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", options, err)
		}
	}
}

// Argo Workflows makes the customer's key of an object of its secret, bucket and key by Argon2: what it stored is read.
func TestACustomersKeyIsThatOfArgoWorkflows(t *testing.T) {
	want := base64.StdEncoding.EncodeToString(argon2.IDKey([]byte("secret"), []byte("bucketkey"), 1, 64<<10, 4, 32))
	if got := (encryption{customer: "secret"}).headers(http.MethodGet, "bucket",
		"key").Get("X-Amz-Server-Side-Encryption-Customer-Key"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// atWork puts, lists, reads and removes through the store, and puts and gets as a pod does.
func atWork(t *testing.T, c *storetest.Cloud, s *Stores, l v1alpha1.ArtifactLocation, client *http.Client) {
	t.Helper()
	c.Put("run/a", "one")
	body, err := s.Open(t.Context(), "ci", l)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); string(text) != "one" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if names, err := s.Names(t.Context(), "ci", l, 5); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	at, err := s.At(t.Context(), "ci", l)
	if err != nil {
		t.Fatal(err)
	}
	to, headers, err := at.(Direct).Sign(t.Context(), http.MethodPut, "run/b", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, to, strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || c.Objects()["run/b"] != "two" {
		t.Errorf("a pod's URL: %s, %v", res.Status, c.Objects())
	}
	if err := s.Remove(t.Context(), "ci", l); err != nil || len(c.Objects()) != 1 {
		t.Errorf("%v: %v are left", err, c.Objects())
	}
}

func TestGCSIsReachedByTheIdentityOfTheService(t *testing.T) {
	for name, c := range map[string]struct {
		environment func(*googletest.Services)
		asked       string
	}{
		"a machine": {func(*googletest.Services) {},
			"machine for https://www.googleapis.com/auth/cloud-platform, signature"},
		"federated as an account": {func(s *googletest.Services) { s.Federated(true) },
			"federation, as " + googletest.Email + ", signature"},
	} {
		t.Run(name, func(t *testing.T) {
			services, cloud := googletest.Start(t), storetest.StartGCS(t)
			services.Sign, cloud.Token = cloud.Sign, googletest.Token
			c.environment(services)
			s := &Stores{GCS: cloud.URL, IAM: services.URL, Own: identity.For("ci")}
			atWork(t, cloud, s, placed(t, "gcs: {bucket: art, key: run/a}"), http.DefaultClient)
			if asked := services.Asked(); asked != c.asked {
				t.Errorf("asked %q, want %q", asked, c.asked)
			}
			if _, err := s.Open(t.Context(), "tenant",
				placed(t, "gcs: {bucket: art, key: run/b}")); fault.Of(err) != fault.Poison ||
				!strings.Contains(err.Error(), "AccessDenied") {
				t.Errorf("another namespace is let in as nobody: %v", err)
			}
		})
	}
}

func TestWhereGoogleSignsNothingPodsAreRelayed(t *testing.T) {
	services, cloud := googletest.Start(t), storetest.StartGCS(t)
	services.Machines, cloud.Token = "project.svc.id.goog", googletest.Pooled
	s := &Stores{GCS: cloud.URL, IAM: services.URL, Own: identity.For("ci")}
	at, err := s.At(t.Context(), "ci", placed(t, "gcs: {bucket: art, key: k}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := at.(Direct).Sign(t.Context(), http.MethodGet, "k", time.Minute); !errors.Is(err, ErrRelay) {
		t.Errorf("%v", err)
	}
	if err := s.Put(t.Context(), "ci", placed(t, "gcs: {bucket: art, key: 'a b'}"),
		strings.NewReader("one")); err != nil || cloud.Objects()["a b"] != "one" {
		t.Errorf("%v: %v", err, cloud.Objects())
	}
}

func TestAzureIsReachedByTheIdentityOfTheService(t *testing.T) {
	for want, environment := range map[string]func(*entratest.Services){
		"web identity for https://storage.azure.com/.default": (*entratest.Services).WebIdentity,
		"machine for https://storage.azure.com":               func(*entratest.Services) {},
	} {
		t.Run(want, func(t *testing.T) {
			services := entratest.Start(t)
			environment(services)
			cloud, roots, dial := storetest.StartOwnAzure(t, entratest.Token)
			s := &Stores{Own: identity.For("ci"), Dial: dial, roots: roots}
			s.delegations.find = func() (azcore.TokenCredential, error) { return entra.Credential(services.Client()) }
			pod := &http.Client{Transport: &http.Transport{DialContext: dial,
				TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}}
			l := placed(t, "azure: {endpoint: '"+storetest.OwnAzure+"', container: art, blob: run/a, useSDKCreds: true}")
			atWork(t, cloud, s, l, pod)
			if asked := services.Asked(); asked != want || cloud.Asked != 1 {
				t.Errorf("asked %q, and %d times for a key: it is kept", asked, cloud.Asked)
			}
		})
	}
}

func TestTokensAreSentToAzureAlone(t *testing.T) {
	s := &Stores{Own: identity.For("ci")}
	s.delegations.find = func() (azcore.TokenCredential, error) { return nil, errors.New("it was looked for") }
	for _, endpoint := range []string{"http://acme.blob.core.windows.net", "https://acme.example.com",
		"https://127.0.0.1:10000/acme"} {
		_, err := s.Names(t.Context(), "ci", placed(t,
			"azure: {endpoint: '"+endpoint+"', container: art, blob: k, useSDKCreds: true}"), 1)
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), endpoint) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	cloud, roots, dial := storetest.StartOwnAzure(t, "another token")
	services := entratest.Start(t)
	s = &Stores{Own: identity.For("ci"), Dial: dial, roots: roots}
	s.delegations.find = func() (azcore.TokenCredential, error) { return entra.Credential(services.Client()) }
	_, err := s.Names(t.Context(), "ci", placed(t,
		"azure: {endpoint: '"+cloud.URL+"', container: art, blob: k, useSDKCreds: true}"), 1)
	if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "Storage Blob Delegator") {
		t.Errorf("an identity without the role: %v", err)
	}
}

func TestOSSIsReachedByTheIdentityOfTheService(t *testing.T) {
	for want, environment := range map[string]func(*alibabatest.Services){
		"web identity": (*alibabatest.Services).WebIdentity, "machine": func(*alibabatest.Services) {},
	} {
		t.Run(want, func(t *testing.T) {
			server := storetest.Start(t, "art")
			server.Token = "session"
			server.Put("art", "k", "one")
			services := alibabatest.Start(t, storetest.ID, storetest.Secret, "session")
			environment(services)
			s := &Stores{Own: identity.For("ci"), Dial: (&net.Dialer{}).DialContext}
			body, err := s.Open(t.Context(), "ci",
				placed(t, "oss: {endpoint: 'http://"+server.Endpoint+"', bucket: art, key: k, useSDKCreds: true}"))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(body); string(text) != "one" || err != nil || services.Asked() != want {
				t.Errorf("%q, %v; asked %q", text, err, services.Asked())
			}
		})
	}
}
