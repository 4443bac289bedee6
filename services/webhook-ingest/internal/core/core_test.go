package core

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const secret = "s3cret"

var pushBody = []byte(
	`{"ref":"refs/heads/main","after":"abc","head_commit":{"message":"m\n\nArgosy-Correlation-Id: c1"},"big":12345678901234567890}`,
)

func github(t *testing.T, change func(h http.Header)) Outcome {
	t.Helper()
	h := http.Header{}
	h.Set("X-GitHub-Event", "push")
	h.Set("X-GitHub-Delivery", "d-1")
	h.Set("Content-Type", "application/json")
	h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sign(secret, pushBody)))
	change(h)
	route := Route{
		Namespace: "ns", EventSource: "es", Event: "e", Provider: "github", Secret: secret, Events: []string{"push"},
	}
	return Decide(route, Request{Method: "POST", Header: h, Body: pushBody})
}

func TestGitHubSignatures(t *testing.T) {
	good := "sha256=" + hex.EncodeToString(sign(secret, pushBody))
	cases := []struct {
		name, header string
		want         int
	}{
		{"good", good, 200},
		{"missing", "", 401},
		{"wrong secret", "sha256=" + hex.EncodeToString(sign("other", pushBody)), 401},
		{"other body", "sha256=" + hex.EncodeToString(sign(secret, []byte("{}"))), 401},
		{"other algorithm", "sha1=" + strings.Repeat("0", 40), 401},
		{"truncated", good[:len(good)-2], 401},
		{"too long", good + "00", 401},
		{"garbage", "sha256=zz", 401},
		{"prefix only", "sha256=", 401},
		{"no prefix", good[7:], 401},
	}
	for _, c := range cases {
		got := github(t, func(h http.Header) { h.Set("X-Hub-Signature-256", c.header) })
		if got.Status != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got.Status, got.Text, c.want)
		}
		if c.want != 200 && len(got.Items) > 0 {
			t.Errorf("%s: refused and still published", c.name)
		}
	}
}

func TestGitHubViewIsTheKnownOne(t *testing.T) {
	got := github(t, func(h http.Header) { h.Set("Authorization", "Bearer x") })
	if len(got.Items) != 1 || got.Items[0].ID != "d-1" || got.Items[0].Type != "github" {
		t.Fatalf("%+v", got)
	}
	text := got.Items[0].Data
	for _, want := range []string{
		`"X-GitHub-Event":"push"`, `"X-GitHub-Delivery":"d-1"`, `"big":12345678901234567890`, `"headers":{`,
		`"Authorization":["[redacted]"]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in %s", want, text)
		}
	}
	if !strings.Contains(got.Items[0].Message, "Argosy-Correlation-Id: c1") {
		t.Errorf("head message %q", got.Items[0].Message)
	}
}

func TestGitHubIgnoresWhatNobodyAskedFor(t *testing.T) {
	for _, kind := range []string{"ping", "star", "unheard_of"} {
		got := github(t, func(h http.Header) { h.Set("X-GitHub-Event", kind) })
		if got.Status != 200 || got.Class != "ignored" || got.Items != nil {
			t.Errorf("%s: %+v", kind, got)
		}
	}
	if got := github(t, func(h http.Header) { h.Del("X-GitHub-Delivery") }); got.Status != 400 {
		t.Errorf("no delivery id: %d", got.Status)
	}
}

func TestWebhook(t *testing.T) {
	route := Route{Provider: "webhook", Bearer: "tok"}
	cases := []struct {
		name, method, auth, kind, body string
		want                           int
		view                           string
	}{
		{"json", "POST", "Bearer tok", "application/json", `{"a":1}`, 200, `{"a":1}`},
		{"text", "POST", "Bearer tok", "text/plain", "hello <", 200, `"hello \u003c"`},
		{"bytes", "POST", "Bearer tok", "application/octet-stream", "\xff\x00", 200, `"/wA="`},
		{"keys twice", "POST", "Bearer tok", "", `{"a":1,"a":2}`, 200, `{"a":2}`},
		{"not UTF-8", "POST", "Bearer tok", "", "{\"a\":\"\xff\"}", 200, "{\"a\":\"\ufffd\"}"},
		{"nested", "POST", "Bearer tok", "", strings.Repeat("[", 10000) + strings.Repeat("]", 10000), 400, ""},
		{"list", "POST", "Bearer tok", "", `[1]`, 200, `[1]`},
		{
			"form with charset", "POST", "Bearer tok", "application/x-www-form-urlencoded; charset=utf-8", "a=1&a=2",
			200, `{"a":["1","2"]}`,
		},
		{"no token", "POST", "", "", `{}`, 401, ""},
		{"wrong token", "POST", "Bearer tokk", "", `{}`, 401, ""},
		{"not json", "POST", "Bearer tok", "", `{"a":`, 400, ""},
		{"trailing junk", "POST", "Bearer tok", "", `{} x`, 400, ""},
		{"empty", "POST", "Bearer tok", "", ``, 400, ""},
		{"wrong method", "PUT", "Bearer tok", "", `{}`, 405, ""},
	}
	for _, c := range cases {
		h := http.Header{"Authorization": {c.auth}, "Content-Type": {c.kind}}
		got := Decide(route, Request{Method: c.method, Header: h, Body: []byte(c.body)})
		if got.Status != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got.Status, got.Text, c.want)
			continue
		}
		if c.want == 200 && gjson.GetBytes(got.Items[0].Data, "body").Raw != c.view {
			t.Errorf("%s: view %s", c.name, got.Items[0].Data)
		}
	}
}

func TestABrokenRouteFailsClosed(t *testing.T) {
	got := Decide(
		Route{Provider: "webhook", Broken: "secret x is missing"}, Request{Method: "POST", Body: []byte("{}")},
	)
	if got.Status != 503 || strings.Contains(got.Text, "secret") {
		t.Fatalf("%+v", got)
	}
	if got := Decide(
		Route{Provider: "webhook", MaxBody: 1}, Request{Method: "POST", Body: []byte("{}")},
	); got.Status != 413 {
		t.Fatalf("%+v", got)
	}
}
