package remote

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hub speaks the part of GitHub's API that is used here, for one repository and one
// organization. It shows secrets to nobody, and gives 2 hooks on a page.
type hub struct {
	mu         sync.Mutex
	token      string
	key        *rsa.PublicKey
	hooks      map[string][]map[string]any // by place
	deliveries []map[string]any            // newest first
	again      []string
	next       int
}

func (h *hub) serve(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	places := map[string]string{"repos/o/r": "o/r", "orgs/o": "o"}
	for path, place := range places {
		base := "/api/v3/" + path + "/hooks"
		mux.HandleFunc("GET "+base, func(w http.ResponseWriter, r *http.Request) { h.list(w, r, place) })
		mux.HandleFunc("POST "+base, func(w http.ResponseWriter, r *http.Request) { h.create(w, r, place) })
		mux.HandleFunc("PATCH "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) { h.edit(w, r, place) })
		mux.HandleFunc("DELETE "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) { h.delete(w, r, place) })
		mux.HandleFunc("GET "+base+"/{id}/deliveries", h.attempts)
		mux.HandleFunc("POST "+base+"/{id}/deliveries/{attempt}/attempts", h.redeliver)
	}
	mux.HandleFunc("POST /api/v3/app/installations/7/access_tokens", h.grant)
	guard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+h.token && !strings.HasSuffix(r.URL.Path, "access_tokens") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
	s := httptest.NewServer(guard)
	t.Cleanup(s.Close)
	return s
}

func (h *hub) list(w http.ResponseWriter, r *http.Request, place string) {
	page := 1
	_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
	hooks := h.hooks[place]
	from, to := min(2*(page-1), len(hooks)), min(2*page, len(hooks))
	if to < len(hooks) {
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, page+1))
	}
	_ = json.NewEncoder(w).Encode(hooks[from:to])
}

func (h *hub) create(w http.ResponseWriter, r *http.Request, place string) {
	hook := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&hook)
	h.next++
	hook["id"] = h.next
	h.hooks[place] = append(h.hooks[place], hook)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(hook)
}

func (h *hub) edit(w http.ResponseWriter, r *http.Request, place string) {
	for _, hook := range h.hooks[place] {
		if fmt.Sprint(hook["id"]) == r.PathValue("id") {
			_ = json.NewDecoder(r.Body).Decode(&hook)
			hook["edited"] = true
			_ = json.NewEncoder(w).Encode(hook)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (h *hub) delete(w http.ResponseWriter, r *http.Request, place string) {
	for i, hook := range h.hooks[place] {
		if fmt.Sprint(hook["id"]) == r.PathValue("id") {
			h.hooks[place] = append(h.hooks[place][:i:i], h.hooks[place][i+1:]...)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

// attempts gives two deliveries on a page, by cursor as GitHub does.
func (h *hub) attempts(w http.ResponseWriter, r *http.Request) {
	from := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &from)
	to := min(from+2, len(h.deliveries))
	if to < len(h.deliveries) {
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?per_page=100&cursor=%d>; rel="next"`, r.Host, r.URL.Path, to))
	}
	_ = json.NewEncoder(w).Encode(h.deliveries[from:to])
}

func (h *hub) redeliver(w http.ResponseWriter, r *http.Request) {
	h.again = append(h.again, r.PathValue("attempt"))
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte("{}"))
}

func (h *hub) grant(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(
		text,
		&claims,
		func(*jwt.Token) (any, error) { return h.key, nil },
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithExpirationRequired(),
	)
	if err != nil || claims.Issuer != "5" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.token = "of the app"
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": h.token, "expires_at": time.Now().Add(time.Hour)})
}

func githubSource(server *httptest.Server) v1alpha1.GithubEventSource {
	return v1alpha1.GithubEventSource{
		Webhook:            listening(),
		ApiToken:           ref("token"),
		WebhookSecret:      ref("secret"),
		Events:             []string{"push", "pull_request"},
		DeleteHookOnFinish: true,
		GithubBaseURL:      server.URL,
		GithubUploadURL:    server.URL,
		Organizations:      []string{"o"},
		Repositories:       []v1alpha1.OwnedRepositories{{Owner: "o", Names: []string{"r"}}},
	}
}

func other(id int) map[string]any {
	return map[string]any{
		"id":     id,
		"config": map[string]any{"url": "https://other.example"},
		"events": []string{"push"},
		"active": true,
	}
}

func TestGitHubHooksAreKept(t *testing.T) {
	h := &hub{token: "T", next: 100, hooks: map[string][]map[string]any{"o/r": {other(1), other(2), other(3)}}}
	k := githubHooks(githubSource(h.serve(t)))
	env, secrets := environment(map[string]string{"token": "T", "secret": "S"})
	for range 2 { // a second look makes no second hook
		if err := k.reconcile(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.hooks["o/r"]) != 4 || len(h.hooks["o"]) != 1 {
		t.Fatalf("%v", h.hooks)
	}
	made := h.hooks["o/r"][3]
	config := made["config"].(map[string]any)
	if config["url"] != "https://hooks.example/in" || config["secret"] != "S" || config["content_type"] != "json" ||
		made["edited"] != nil ||
		made["active"] != true {
		t.Errorf("%v", made)
	}
	made["events"] = []any{"push"}
	h.hooks["o/r"] = append(
		h.hooks["o/r"], map[string]any{"id": 9, "config": map[string]any{"url": "https://hooks.example/in"}},
	)
	if err := k.reconcile(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if len(h.hooks["o/r"]) != 4 || made["edited"] != true || len(made["events"].([]any)) != 2 ||
		h.hooks["o"][0]["edited"] != nil {
		t.Errorf("%v: what was changed comes back, what is twice goes", h.hooks)
	}
	rotated := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"},
		Data:       map[string][]byte{"token": []byte("T"), "secret": []byte("S2")},
	}
	if err := secrets.Update(t.Context(), rotated); err != nil {
		t.Fatal(err)
	}
	if err := k.reconcile(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if got := h.hooks["o"][0]["config"].(map[string]any)["secret"]; got != "S2" {
		t.Errorf("the secret is %v after its rotation", got)
	}
	if err := k.reader().Finish(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if len(h.hooks["o/r"]) != 3 || len(h.hooks["o"]) != 0 {
		t.Errorf("%v: only ours go", h.hooks)
	}
}

func TestGitHubIsAskedForDeliveriesThatNeverArrived(t *testing.T) {
	at := func(id int, guid string, code int, age time.Duration) map[string]any {
		return map[string]any{
			"id":           id,
			"guid":         guid,
			"status_code":  code,
			"event":        "push",
			"delivered_at": time.Now().Add(-age).UTC().Format(time.RFC3339),
		}
	}
	ping := at(8, "ping", 502, time.Hour)
	ping["event"] = "ping"
	h := &hub{token: "T", hooks: map[string][]map[string]any{}, deliveries: []map[string]any{
		ping, at(7, "refused", 502, time.Hour), at(6, "late", 202, 2*time.Hour), at(5, "late", 500, 3*time.Hour),
		at(4, "unreached", 0, 4*time.Hour), at(3, "fine", 202, 5*time.Hour), at(2, "old", 500, 80*time.Hour),
		at(1, "older", 500, 90*time.Hour),
	}}
	c := githubSource(h.serve(t))
	c.Organizations = nil
	k := githubHooks(c)
	env, _ := environment(map[string]string{"token": "T", "secret": "S"})
	for range 2 { // the first makes the hook, which has missed nothing yet
		if err := k.reconcile(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(h.again, " "); got != "4 7" {
		t.Errorf("asked again for %q", got)
	}
}

func TestAGitHubAppProvesItself(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{key: &key.PublicKey, token: "unknown", hooks: map[string][]map[string]any{}}
	c := githubSource(h.serve(t))
	c.ApiToken, c.GithubApp = nil, &v1alpha1.GithubAppCreds{AppID: 5, InstallationID: 7, PrivateKey: *ref("key")}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	env, _ := environment(map[string]string{"key": pkcs1, "secret": "S"})
	if err := githubHooks(c).reconcile(t.Context(), env); err != nil || len(h.hooks["o"]) != 1 {
		t.Errorf("%v, %v", err, h.hooks)
	}
	for name, text := range map[string]string{
		"no PEM": "x", "no key": string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte("x")})),
	} {
		env, _ = environment(map[string]string{"key": text, "secret": "S"})
		if err := githubHooks(c).reconcile(t.Context(), env); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitHubRefusals(t *testing.T) {
	h := &hub{token: "T", hooks: map[string][]map[string]any{}}
	c := githubSource(h.serve(t))
	env, _ := environment(map[string]string{"token": "guessed", "secret": "S"})
	if err := githubHooks(c).reconcile(t.Context(), env); err == nil || strings.Contains(err.Error(), "guessed") {
		t.Errorf("a wrong token: %v", err)
	}
	env, _ = environment(map[string]string{"token": "T"})
	if err := githubHooks(c).reconcile(t.Context(), env); err == nil || len(h.hooks["o"]) != 0 {
		t.Errorf("a hook without its secret: %v, %v", err, h.hooks)
	}
	c.GithubUploadURL = ""
	if err := githubHooks(c).reconcile(t.Context(), env); err == nil {
		t.Error("half of an enterprise")
	}
	c.ApiToken = nil
	if githubHooks(c) != nil {
		t.Error("nobody is asked without credentials")
	}
}
