package trigger

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/sensing"
)

func TestHTTPSendsWhatTheManifestSays(t *testing.T) {
	x := newTarget(t)
	_, err := fire(t, world(t), `
template:
  name: t
  http:
    url: `+x.URL+`/path
    method: PUT
    payload: [{src: {dependencyName: d, dataKey: body}, dest: a.b}, {src: {dependencyName: d, dataKey: num, useRawData: true}, dest: num}]
    headers: {X-Plain: p}
    secureHeaders: [{name: X-Secret, valueFrom: {secretKeyRef: {name: s, key: token}}}, {name: X-Map, valueFrom: {configMapKeyRef: {name: c, key: k}}}]
    dynamicHeaders: [{src: {dependencyName: d, dataKey: body}, dest: X-Body}, {src: {dependencyName: none, dataKey: body}, dest: X-None}]
    basicAuth: {username: {name: s, key: user}, password: {name: s, key: password}}
    parameters: [{src: {dependencyName: d, dataKey: body}, dest: url, operation: append}]
    host: other.example
`)
	if err != nil {
		t.Fatal(err)
	}
	r := x.got[0]
	if r.Method != http.MethodPut || r.URL.Path != "/pathhello" || r.Host != "other.example" ||
		x.bodies[0] != `{"a":{"b":"hello"},"num":5}` {
		t.Errorf("%s %s %s %s", r.Method, r.URL, r.Host, x.bodies[0])
	}
	user, password, _ := r.BasicAuth()
	for _, c := range [][2]string{
		{r.Header.Get("X-Plain"), "p"}, {r.Header.Get("X-Secret"), "t0ken"}, {r.Header.Get("X-Map"), "v"},
		{r.Header.Get("X-Body"), "hello"},
		{r.Header.Get("X-None"), ""}, {user, "joe"}, {password, "s3cret"}, {r.Header.Get("Idempotency-Key"), key},
		{r.Header.Get("Content-Type"), "application/json"},
		{r.Header.Get("Traceparent")[:5], "00-0a"}} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
}

func TestAnswersOfHTTP(t *testing.T) {
	for _, c := range []struct {
		status int
		policy string
		want   fault.Class
	}{
		{200, "", fault.None}, {302, "", fault.None}, {400, "", fault.Poison}, {401, "", fault.Poison},
		{404, "", fault.Retry}, {409, "", fault.Retry}, {429, "", fault.Retry},
		{500, "", fault.Retry}, {503, "", fault.Retry}, {200, "policy: {status: {allow: [201]}}", fault.Poison},
		{400, "policy: {status: {allow: [200, 400]}}", fault.None},
		{503, "policy: {status: {allow: [200]}}", fault.Retry}, {204, "policy: {status: {allow: []}}", fault.None},
	} {
		x := newTarget(t)
		x.status = c.status
		_, err := fire(t, world(t), c.policy+"\ntemplate: {name: t, http: {url: \""+x.URL+"\"}}")
		if fault.Of(err) != c.want {
			t.Errorf("%d with %q: %v", c.status, c.policy, err)
		}
	}
}

func TestMistakesInHTTPArePoison(t *testing.T) {
	x := newTarget(t)
	for _, rest := range []string{
		`url: "::"`, `url: "` + x.URL + `", method: "A B"`,
		`url: "` + x.URL + `", payload: [{src: {dependencyName: none}, dest: a}]`,
		`url: "` + x.URL + `", parameters: [{src: {dependencyName: d, dataKey: gone}, dest: url}]`,
		`url: "` + x.URL + `", dynamicHeaders: [{src: {dependencyName: d, dataKey: gone}, dest: x}]`,
		`url: "` + x.URL + `", tls: {caCertSecret: {name: s, key: pem}}`,
		`url: "` + x.URL + `", tls: {clientCertSecret: {name: s, key: pem}, clientKeySecret: {name: s, key: pem}}`,
	} {
		_, err := fire(t, world(t), "template: {name: t, http: {"+rest+"}}")
		if fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", rest, err)
		}
		if err != nil && strings.Contains(err.Error(), "junk") {
			t.Errorf("a secret is told: %v", err)
		}
	}
	for _, rest := range []string{
		`secureHeaders: [{name: x, valueFrom: {secretKeyRef: {name: late, key: x}}}]`,
		`secureHeaders: [{name: x, valueFrom: {secretKeyRef: {name: s, key: late}}}]`,
		`basicAuth: {username: {name: late, key: x}}`} {
		if _, err := fire(
			t, world(t), "template: {name: t, http: {url: \""+x.URL+"\", "+rest+"}}",
		); fault.Of(err) != fault.Retry {
			t.Errorf("%s: a secret may come later: %v", rest, err)
		}
	}
	if len(x.got) != 0 {
		t.Errorf("%d requests were sent", len(x.got))
	}
}

func TestHTTPKeepsToItsTimeout(t *testing.T) {
	stuck := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer s.Close()
	defer close(stuck)
	began := time.Now()
	_, err := fire(t, world(t), `template: {name: t, http: {url: "`+s.URL+`", timeout: 1}}`)
	if took := time.Since(began); fault.Of(err) != fault.Retry || took > 10*time.Second ||
		!strings.Contains(err.Error(), "no answer within 1s") {
		t.Errorf("after %s: %v", took, err)
	}
}

func TestHTTPVerifiesCertificates(t *testing.T) {
	x := &target{answers: map[string]string{}}
	s := httptest.NewTLSServer(x.handler())
	defer s.Close()
	secrets["ca"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	for _, c := range []struct {
		rest string
		ok   bool
	}{{"", false}, {", tls: {caCertSecret: {name: s, key: ca}}", true}, {", tls: {insecureSkipVerify: true}", true}} {
		if _, err := fire(
			t, world(t), fmt.Sprintf("template: {name: t, http: {url: %q%s}}", s.URL, c.rest),
		); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.rest, err)
		}
	}
}

func TestOneOfManyKinds(t *testing.T) {
	for _, name := range sensing.Kinds() {
		if registry[name] == nil {
			t.Errorf("no adapter for %s", name)
		}
	}
	if len(registry) != len(sensing.Kinds()) {
		t.Errorf("%d adapters for %v", len(registry), sensing.Kinds())
	}
	for _, bad := range []string{`{name: t}`, `{name: t, log: {}, http: {}}`} {
		if _, err := New(callOf(t, "template: "+bad).Template, world(t)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestPoolsAreBounded(t *testing.T) {
	closed := 0
	p := newPool(func(int) error { closed++; return nil })
	for i := range maxOpen + 5 {
		for range 2 {
			if v, err := p.get(i, func() (int, error) { return i, nil }); err != nil || v != i {
				t.Fatal(v, err)
			}
		}
	}
	if closed != 5 {
		t.Errorf("%d closed", closed)
	}
	if err := p.Close(); err != nil || closed != maxOpen+5 {
		t.Errorf("%d closed: %v", closed, err)
	}
	if _, err := p.get("x", func() (int, error) { return 0, fault.Poisonf("no") }); err == nil || len(p.open) != 0 {
		t.Error("a failure was kept")
	}
}
