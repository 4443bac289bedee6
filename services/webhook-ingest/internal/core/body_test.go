package core

import (
	"net/http"
	"strings"
	"testing"
)

// TestBadBodiesOfEveryProvider sends each kind of bad body to each provider: none may
// take it for an event, and none may answer as if we were at fault.
func TestBadBodiesOfEveryProvider(t *testing.T) {
	heads := http.Header{}
	for name, value := range map[string]string{
		"X-GitHub-Event": "push", "X-GitHub-Delivery": "d", "X-Gitea-Event": "push", "X-Gitea-Delivery": "d",
		"X-Gitlab-Event": "Push Hook", "X-Event-Key": "repo:push", "Content-Type": "application/json",
	} {
		heads.Set(name, value)
	}
	bodies := map[string]string{
		"empty":        "",
		"space":        " \n",
		"not JSON":     "<xml/>",
		"cut off":      `{"a":`,
		"two values":   `{} {}`,
		"deep list":    strings.Repeat("[", 100_000),
		"deep object":  strings.Repeat(`{"a":`, 100_000),
		"NUL":          "\x00",
		"a word":       `nothing`,
		"bare control": "{\"a\":\"\x01\"}",
	}
	for provider := range Providers {
		for name, text := range bodies {
			req := Request{Method: "POST", Header: heads, Body: []byte(text), Now: clock}
			got := Decide(Route{Provider: provider, Unsigned: true}, req)
			if len(got.Items) > 0 {
				// Data of a CloudEvent may be anything; the event around it may not.
				t.Errorf("%s: %s became an event", provider, name)
			}
			// A form may be empty, and then is no news.
			if got.Status >= 500 || got.Status == 200 && got.Class != "ignored" {
				t.Errorf("%s: %s: %d %s", provider, name, got.Status, got.Class)
			}
		}
	}
}

func TestTheDoorsOfEveryProvider(t *testing.T) {
	for provider := range Providers {
		for name, c := range map[string]struct {
			route  Route
			method string
			body   string
			want   int
		}{
			"too large": {Route{MaxBody: 3}, "POST", "1234", 413},
			"method":    {Route{}, "DELETE", "{}", 405},
			"bearer":    {Route{Bearer: "t"}, "POST", "{}", 401},
			"broken":    {Route{Broken: "no secret"}, "POST", "{}", 503},
			"path":      {Route{PathSecret: "p"}, "POST", "{}", 404},
		} {
			c.route.Provider = provider
			got := Decide(c.route, Request{Method: c.method, Header: http.Header{}, Body: []byte(c.body), Now: clock})
			if got.Status != c.want || len(got.Items) > 0 || strings.Contains(got.Text, "secret") {
				t.Errorf("%s: %s: %d %s", provider, name, got.Status, got.Text)
			}
		}
	}
	if got := Decide(Route{Provider: "nobody"}, Request{Method: "POST"}); got.Status != 503 {
		t.Errorf("%+v", got)
	}
}
