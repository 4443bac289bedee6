package generator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
)

func TestWhatAPluginAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(elsewhere.Close)
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"sets":         {200, `{"output": {"parameters": [{"a": 1.10}, {}]}}`, ""},
		"none":         {200, `{}`, ""},
		"refused":      {403, "", "answers 403 Forbidden"},
		"elsewhere":    {302, "", "answers 302 Found"},
		"no JSON":      {200, "hello", "plugin: its answer: invalid character"},
		"no list":      {200, `{"output": {"parameters": {}}}`, "plugin: its answer"},
		"no object":    {200, `{"output": {"parameters": [1]}}`, "output.parameters[0] is no object"},
		"too much":     {200, `{"x": "` + strings.Repeat("x", pluginBody) + `"}`, "has more than 8388608 bytes"},
		"nothing said": {200, "", "plugin: its answer: unexpected end of JSON input"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body)) // the client is gone
		}))
		_, err := callPlugin(t.Context(), server.URL, "t", "set", &v1alpha1.PluginGenerator{})
		server.Close()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // the server sees the client leave only once the request is read
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	if _, err := callPlugin(ctx, silent.URL, "t", "set", &v1alpha1.PluginGenerator{}); err == nil {
		t.Error("a plugin that never answers is waited for")
	}
}

// FuzzPluginOutput reads answers: what passes is a list of objects.
func FuzzPluginOutput(f *testing.F) {
	f.Add(`{"output": {"parameters": [{"a": 1}, {"b": [null, "x"]}]}}`)
	f.Add(`{"output": {"parameters": [{}{}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		out, err := pluginOutput([]byte(text))
		if err != nil {
			return
		}
		for _, m := range out {
			if _, err := json.Marshal(m); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestEveryKindThatAsksIsAnswered(t *testing.T) {
	var got []string
	for _, k := range kinds {
		got = append(got, k.field)
	}
	want := map[string]bool{}
	for _, k := range appset.Kinds() {
		want[k] = true
	}
	for _, k := range got {
		delete(want, k)
	}
	if len(want) > 0 || len(got) != len(appset.Kinds()) {
		t.Errorf("answers for %v, questions of %v", got, appset.Kinds())
	}
	if a := New(Shell{}).Answer(t.Context(), Asker{}, appset.Query{Kind: "none"}); a.Err == nil {
		t.Error("a kind that there is not is answered")
	}
}

func TestWhichForgesMayBeAsked(t *testing.T) {
	for _, c := range []struct {
		namespace, address string
		allowed            []string
		want               bool
	}{
		{"argocd", "", nil, true}, {"team", "", nil, true}, // the public one
		{"argocd", "https://git.example/api", nil, true},
		{"team", "https://git.example/api", nil, false},
		{"team", "https://git.example/api/", []string{"https://git.example/api"}, true},
		{"team", "https://git.example/api", []string{"https://git.example/"}, true},
		{"team", "https://git.example", []string{"https://*.example"}, true},
		{"team", "https://git.example", []string{"git.example"}, true},
		{"argocd", "https://other.example", []string{"https://git.example"}, false},
		{"team", "https://git.example.evil", []string{"https://git.example"}, false},
		{"team", "https://evil/https://git.example", []string{"https://git.example"}, false},
	} {
		g := New(Shell{Control: "argocd", AllowedSCM: c.allowed})
		if err := g.allowed(c.namespace, c.address); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
