package registry

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// shop is a registry in memory. Its repositories below private/ want a user and a password.
type shop struct {
	t      *testing.T
	host   string
	asked  atomic.Int64 // manifests that were asked for
	broken atomic.Bool
}

func open(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t}
	inner := registry.New()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.broken.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		if strings.Contains(r.URL.Path, "/manifests/") && r.Method == http.MethodGet {
			s.asked.Add(1)
		}
		user, password, _ := r.BasicAuth()
		if private := strings.HasPrefix(
			r.URL.Path, "/v2/private/",
		); r.Method != http.MethodPut && r.Method != http.MethodPost && r.Method != http.MethodPatch &&
			(private || r.URL.Path == "/v2/") && (user != "who" || password != "pass") &&
			r.Header.Get("User-Agent") != "pusher" {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			if private {
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	s.host = strings.TrimPrefix(web.URL, "http://")
	return s
}

func program(t *testing.T, platform v1.Platform, entrypoint ...string) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(
		empty.Image,
		&v1.ConfigFile{
			OS:           platform.OS,
			Architecture: platform.Architecture,
			Config:       v1.Config{Entrypoint: entrypoint, Cmd: []string{"say", "it"}},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (s *shop) put(repository string, what remote.Taggable) string {
	s.t.Helper()
	ref, err := name.NewTag(s.host+"/"+repository, name.Insecure)
	if err != nil {
		s.t.Fatal(err)
	}
	options := []remote.Option{remote.WithTransport(pusher{})}
	switch x := what.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, x, options...)
	case v1.Image:
		err = remote.Write(ref, x, options...)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return ref.Name()
}

// pusher is let in everywhere.
type pusher struct{}

func (pusher) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "pusher")
	return http.DefaultTransport.RoundTrip(r)
}

func (s *shop) client(objects ...client.Object) *Client {
	c := New(Config{Reader: fake.NewClientBuilder().WithObjects(objects...).Build(), Insecure: []string{s.host}})
	c.glance = time.Minute // these tests are about answers, not about who waits for them
	return c
}

var linux = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

func index(t *testing.T, platforms ...v1.Platform) v1.ImageIndex {
	t.Helper()
	out := v1.ImageIndex(empty.Index)
	for _, p := range platforms {
		out = mutate.AppendManifests(
			out, mutate.IndexAddendum{Add: program(t, p, "/"+p.Architecture), Descriptor: v1.Descriptor{Platform: &p}},
		)
	}
	return out
}

func TestWhatAnImageRuns(t *testing.T) {
	s := open(t)
	one := program(t, linux, "/run", "-v")
	digest, err := one.Digest()
	if err != nil {
		t.Fatal(err)
	}
	other := v1.Platform{OS: "linux", Architecture: "other"}
	windows := v1.Platform{OS: "windows", Architecture: runtime.GOARCH}
	for image, want := range map[string][]string{
		s.put("team/one:v1", one):                               {"/run", "-v"},
		s.host + "/team/one@" + digest.String():                 {"/run", "-v"},
		s.put("team/many:v1", index(t, windows, other, linux)):  {"/" + runtime.GOARCH},
		s.put("team/other:v1", index(t, windows, other)):        {"/other"},
		s.put("team/none:v1", program(t, linux)):                nil,
		s.put("team/nested:v1", nested(index(t, other), linux)): {"/other"},
	} {
		got, err := s.client().Program(t.Context(), Puller{Namespace: "ci"}, image)
		if err != nil || !slices.Equal(got.Entrypoint, want) || !slices.Equal(got.Cmd, []string{"say", "it"}) {
			t.Errorf("%s runs %+v, %v; want %v", image, got, err, want)
		}
	}
}

func nested(inner v1.ImageIndex, p v1.Platform) v1.ImageIndex {
	return mutate.AppendManifests(
		empty.Index, mutate.IndexAddendum{Add: inner, Descriptor: v1.Descriptor{Platform: &p}},
	)
}

func TestAnAnswerIsKeptForAWhile(t *testing.T) {
	s := open(t)
	image := s.put("team/one:v1", program(t, linux, "/old"))
	c, now := s.client(), time.Now()
	c.now = func() time.Time { return now }
	ask := func(who, want string) {
		t.Helper()
		got, err := c.Program(t.Context(), Puller{Namespace: who}, image)
		if err != nil || !slices.Equal(got.Entrypoint, []string{want}) {
			t.Errorf("%+v, %v; want %s", got, err, want)
		}
	}
	ask("ci", "/old")
	before := s.asked.Load()
	s.put("team/one:v1", program(t, linux, "/new"))
	ask("ci", "/old")
	if s.asked.Load() != before {
		t.Error("the registry was asked again")
	}
	ask("other", "/new") // whose credentials may be others
	now = now.Add(tagAge + time.Second)
	ask("ci", "/new")
}

func TestTheMemoryIsBounded(t *testing.T) {
	c := New(Config{Reader: fake.NewClientBuilder().Build()})
	for i := range 3 * kept {
		c.remember([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, answer{found: true, since: time.Now()})
	}
	if len(c.known) > kept {
		t.Errorf("%d are kept", len(c.known))
	}
}

func pullSecret(name, key, auth string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{%s}}}`, key, auth)},
	}
}

func TestPullSecretsOpenARegistry(t *testing.T) {
	s := open(t)
	image := s.put("private/one:v1", program(t, linux, "/run"))
	encoded := `"auth":"` + base64.StdEncoding.EncodeToString([]byte("who:pass")) + `"`
	plain := `"username":"who","password":"pass"`
	old := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "old"}, Type: corev1.SecretTypeDockercfg,
		Data: map[string][]byte{corev1.DockerConfigKey: fmt.Appendf(nil, `{"http://%s/v2/":{%s}}`, s.host, plain)}}
	account := func(name string) *corev1.ServiceAccount {
		return &corev1.ServiceAccount{
			ObjectMeta:       metav1.ObjectMeta{Namespace: "ci", Name: name},
			ImagePullSecrets: []corev1.LocalObjectReference{{Name: "right"}},
		}
	}
	right, wrong := pullSecret("right", s.host, encoded), pullSecret(
		"wrong", s.host, `"username":"who","password":"no"`,
	)
	special := pullSecret("special", s.host+"/private", plain)
	elsewhere := pullSecret("elsewhere", "elsewhere.example", plain)
	port := s.host[strings.LastIndex(s.host, ":"):]
	glob := pullSecret("glob", "127.*.0.1"+port, plain)
	broken := pullSecret("broken", s.host, `"auth":"###"`)
	for name, c := range map[string]struct {
		who     Puller
		objects []client.Object
		opens   bool
	}{
		"of the pod":             {Puller{Secrets: []string{"right"}}, []client.Object{right}, true},
		"of its account":         {Puller{Account: "robot"}, []client.Object{right, account("robot")}, true},
		"of the default account": {Puller{}, []client.Object{right, account("default")}, true},
		"in the old form":        {Puller{Secrets: []string{"old"}}, []client.Object{old}, true},
		"for a pattern of hosts": {Puller{Secrets: []string{"glob"}}, []client.Object{glob}, true},
		"the more special first": {
			Puller{Secrets: []string{"wrong", "special"}}, []client.Object{wrong, special}, true,
		},
		"one that is not there": {Puller{Secrets: []string{"gone", "right"}}, []client.Object{right}, true},
		"none":                  {Puller{}, nil, false},
		"a wrong one":           {Puller{Secrets: []string{"wrong"}}, []client.Object{wrong}, false},
		"for another host":      {Puller{Secrets: []string{"elsewhere"}}, []client.Object{elsewhere}, false},
		"that cannot be read":   {Puller{Secrets: []string{"broken"}}, []client.Object{broken}, false},
		"of another namespace": {
			Puller{Namespace: "other", Secrets: []string{"right"}}, []client.Object{right}, false,
		},
		"that are not named here": {Puller{}, []client.Object{right}, false},
	} {
		if c.who.Namespace == "" {
			c.who.Namespace = "ci"
		}
		_, err := s.client(c.objects...).Program(t.Context(), c.who, image)
		if (err == nil) != c.opens {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (fault.Of(err) != fault.Poison || strings.Contains(err.Error(), "pass")) {
			t.Errorf("%s: class %s, %v", name, fault.Of(err), err)
		}
	}
}

func TestWhatCannotBeLookedUpIsSaid(t *testing.T) {
	s := open(t)
	huge, err := mutate.ConfigFile(
		empty.Image,
		&v1.ConfigFile{Config: v1.Config{Labels: map[string]string{"l": strings.Repeat("x", answerLimit)}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		s.host + "/team/gone:v1":          "no such image",
		s.put("team/win:v1", windows(t)):  "no image for linux",
		s.put("team/huge:v1", huge):       "more than",
		"Not An Image":                    "no image reference",
		"localhost:1/team/plain:v1":       "plain HTTP",
		s.host + "/team/one@sha256:beef":  "no image reference",
		s.put("team/deep:v1", tooDeep(t)): "nested",
	} {
		_, err := s.client().Program(t.Context(), Puller{Namespace: "ci"}, image)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", image, err, want)
		}
	}
}

func windows(t *testing.T) v1.ImageIndex {
	t.Helper()
	return index(t, v1.Platform{OS: "windows", Architecture: runtime.GOARCH})
}

func tooDeep(t *testing.T) v1.ImageIndex {
	t.Helper()
	out := index(t, linux)
	for range depth {
		out = nested(out, linux)
	}
	return out
}

func TestARegistryThatIsAwayIsWaitedFor(t *testing.T) {
	s := open(t)
	image := s.put("team/one:v1", program(t, linux, "/run"))
	c, now := s.client(), time.Now()
	c.now = func() time.Time { return now }
	s.broken.Store(true)
	for _, step := range []struct {
		after time.Duration
		class fault.Class
	}{{0, fault.Retry}, {patience / 2, fault.Retry}, {patience, fault.Poison}} {
		now = now.Add(step.after)
		if _, err := c.Program(t.Context(), Puller{Namespace: "ci"}, image); fault.Of(err) != step.class {
			t.Errorf("after %s: %s, %v", step.after, fault.Of(err), err)
		}
	}
	s.broken.Store(false)
	if _, err := c.Program(t.Context(), Puller{Namespace: "ci"}, image); err == nil {
		t.Error("it was asked again at once")
	}
	now = now.Add(pause)
	if got, err := c.Program(t.Context(), Puller{Namespace: "ci"}, image); err != nil || len(got.Entrypoint) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzPullSecret(f *testing.F) {
	f.Add(`{"auths":{"https://index.docker.io/v1/":{"auth":"d2hvOnBhc3M="}}}`, "docker.io")
	f.Add(`{"auths":{"*.example.com/team":{"username":"a","password":"b"}}}`, "r.example.com")
	f.Add(`{"auths":{"[":{}}}`, "[")
	f.Fuzz(func(t *testing.T, text, host string) {
		k := credentials(
			corev1.Secret{
				Type: corev1.SecretTypeDockerConfigJson,
				Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(text)},
			},
		)
		registry, err := name.NewRegistry(host)
		if err != nil {
			return
		}
		got, err := k.Resolve(registry)
		if err != nil || got == nil {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

func TestWhoAsksIsNotHeldByARegistryThatIsSlow(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	c := New(Config{Reader: fake.NewClientBuilder().Build(), Insecure: []string{host}})
	c.glance = time.Millisecond
	for range 3 {
		if _, err := c.Program(
			t.Context(), Puller{Namespace: "ns"}, host+"/image",
		); err == nil || fault.Of(err) != fault.Retry ||
			!strings.Contains(err.Error(), "yet") {
			t.Fatalf("%v", err)
		}
	}
	close(release)
	c.glance = time.Minute
	if _, err := c.Program(t.Context(), Puller{Namespace: "ns"}, host+"/image"); fault.Of(err) != fault.Poison {
		t.Errorf("after its answer: %v", err)
	}
}
