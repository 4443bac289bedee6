package core

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// ask sends a body to a provider that checks nothing.
func ask(route Route, body string, headers ...string) Outcome {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	route.Unsigned = true
	return Decide(route, Request{Method: "POST", Header: h, Body: []byte(body), Now: clock})
}

func TestViewsAreTheKnownOnes(t *testing.T) {
	meta := map[string]string{"team": "a"}
	grid := url.Values{
		"Action":   {"Publish"},
		"TopicArn": {"arn"},
		"Version":  {"2010-03-31"},
		"Message":  {`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"object":{"key":"in%2Fa.txt"}}}]}`},
	}.Encode()
	command := url.Values{"command": {"/go"}, "trigger_id": {"t1"}, "token": {"tok"}}.Encode()
	cases := []struct {
		name  string
		route Route
		body  string
		heads []string
		id    string            // "" means any, "-" means none
		view  map[string]string // path -> JSON
	}{
		{
			"webhook", Route{Provider: "webhook", Metadata: meta}, `{"a":1}`,
			[]string{"X-K", "v", "Idempotency-Key", "i"}, "i",
			map[string]string{"header.X-K.0": `"v"`, "body.a": "1", "metadata.team": `"a"`, "raw": ""},
		},
		{
			"github",
			Route{Provider: "github"},
			`{}`,
			[]string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "d"},
			"d",
			map[string]string{
				"headers.X-Github-Event.0": `"push"`,
				"body.X-GitHub-Event":      `"push"`,
				"body.X-GitHub-Delivery":   `"d"`,
				"raw":                      "",
			},
		},
		{
			"github that lies", Route{Provider: "github"}, `{"X-GitHub-Event":"star","a":1}`,
			[]string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "d"}, "d",
			map[string]string{"body": `{"a":1,"X-GitHub-Event":"push","X-GitHub-Delivery":"d"}`},
		},
		{
			"github form", Route{Provider: "github"}, "payload=" + url.QueryEscape(`{"a":1}`),
			[]string{"Content-Type", formType, "X-GitHub-Event", "push", "X-GitHub-Delivery", "d"}, "d",
			map[string]string{"body.a": "1"},
		},
		{
			"gitlab", Route{Provider: "gitlab"}, `{"a":1}`,
			[]string{"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", "s", "Idempotency-Key", "k"}, "k",
			map[string]string{"headers.X-Gitlab-Token.0": `"[redacted]"`, "body.a": "1"},
		},
		{
			"bitbucket", Route{Provider: "bitbucket"}, `{"a":1}`,
			[]string{"X-Event-Key", "repo:push", "X-Request-UUID", "u"}, digest("u", "repo:push", `{"a":1}`),
			map[string]string{"headers.X-Event-Key.0": `"repo:push"`, "body.a": "1"},
		},
		{
			"bitbucketserver", Route{Provider: "bitbucketserver"}, `{"changes":[1,2]}`,
			[]string{"X-Event-Key", "repo:refs_changed", "X-Request-Id", "r"},
			digest("r", "repo:refs_changed", `{"changes":[1,2]}`), map[string]string{"body.changes": "[1,2]"},
		},
		{
			"gitea", Route{Provider: "gitea"}, `{"a":1,"head_commit":{"message":"m"}}`,
			[]string{"X-Gitea-Event", "push", "X-Gitea-Delivery", "d"}, "d",
			map[string]string{"headers.X-Gitea-Event.0": `"push"`, "body.a": "1"},
		},
		{
			"gerrit", Route{Provider: "gerrit"}, `{"type":"ref-updated"}`, nil, "",
			map[string]string{"body.type": `"ref-updated"`, "headers": "{}"},
		},
		{
			"stripe", Route{Provider: "stripe", Metadata: meta}, `{"id":"evt","type":"x"}`, nil, "evt",
			map[string]string{"event.type": `"x"`, "metadata.team": `"a"`, "headers": ""},
		},
		{
			"slack event", Route{Provider: "slack"},
			`{"type":"event_callback","event_id":"e","token":"tok","event":{"type":"message"}}`, nil, "e",
			map[string]string{"type": `"message"`, "token": ""},
		},
		{
			"slack command", Route{Provider: "slack"}, command, []string{"Content-Type", formType}, "t1",
			map[string]string{"command": `"/go"`, "token": "", "text": `""`},
		},
		{
			"sns", Route{Provider: "sns"}, `{"Type":"Notification","MessageId":"m","Message":"hi"}`, nil, "m",
			map[string]string{"body.Message": `"hi"`, "header": "{}"},
		},
		{
			"storageGrid",
			Route{Provider: "storageGrid", Prefix: "in/", Suffix: ".txt", Events: []string{"s3:ObjectCreated:*"}},
			grid,
			nil,
			"",
			map[string]string{
				"notification.Message.Records.0.eventName": `"ObjectCreated:Put"`,
				"notification.TopicArn":                    `"arn"`,
			},
		},
		{
			"azureEventGrid", Route{Provider: "azureEventGrid"}, `[{"id":"g","eventType":"x","data":{"a":1}}]`, nil,
			"g", map[string]string{"body.data.a": "1"},
		},
		{
			"odd", Route{Provider: "gerrit"}, `{"type":"x","a":1,"a":2}`, nil, "",
			map[string]string{"body.a": "2", "raw": `"eyJ0eXBlIjoieCIsImEiOjEsImEiOjJ9"`},
		},
	}
	for _, c := range cases {
		got := ask(c.route, c.body, c.heads...)
		if got.Status != 200 || len(got.Items) != 1 {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		item := got.Items[0]
		if c.id != "" && item.ID != c.id || !strings.EqualFold(item.Type, c.route.Provider) {
			t.Errorf("%s: id %q, type %q", c.name, item.ID, item.Type)
		}
		if !json.Valid(item.Data) {
			t.Errorf("%s: %s", c.name, item.Data)
		}
		for path, want := range c.view {
			if text := gjson.GetBytes(item.Data, path).Raw; text != want {
				t.Errorf("%s: %s is %s, want %s", c.name, path, text, want)
			}
		}
	}
}

func TestWhatNobodyAskedForIsTakenAndDropped(t *testing.T) {
	grid := url.Values{
		"Action":  {"Publish"},
		"Message": {`{"Records":[{"eventName":"ObjectRemoved:Delete","s3":{"object":{"key":"b"}}}]}`},
	}
	cases := []struct {
		name  string
		route Route
		body  string
		heads []string
	}{
		{
			"gitlab", Route{Provider: "gitlab", Events: []string{"PushEvents"}}, `{}`,
			[]string{"X-Gitlab-Event", "Tag Push Hook"},
		},
		{
			"bitbucket", Route{Provider: "bitbucket", Events: []string{"repo:push"}}, `{}`,
			[]string{"X-Event-Key", "repo:fork"},
		},
		{
			"bitbucketserver", Route{Provider: "bitbucketserver"}, `{"test":true}`,
			[]string{"X-Event-Key", "diagnostics:ping"},
		},
		{
			"gitea", Route{Provider: "gitea", Events: []string{"push"}}, `{}`,
			[]string{"X-Gitea-Event", "fork", "X-Gitea-Delivery", "d"},
		},
		{"gerrit", Route{Provider: "gerrit", Events: []string{"ref-updated"}}, `{"type":"x"}`, nil},
		{"stripe", Route{Provider: "stripe", Events: []string{"a"}}, `{"id":"e","type":"b"}`, nil},
		{"slack", Route{Provider: "slack"}, `{"type":"app_rate_limited"}`, nil},
		{"storageGrid", Route{Provider: "storageGrid", Events: []string{"ObjectCreated:*"}}, grid.Encode(), nil},
		{"storageGrid key", Route{Provider: "storageGrid", Prefix: "a"}, grid.Encode(), nil},
		{"storageGrid action", Route{Provider: "storageGrid"}, "Action=List", nil},
		{
			"azureEventGrid", Route{Provider: "azureEventGrid", Events: []string{"a"}}, `[{"id":"1","eventType":"b"}]`,
			nil,
		},
		{
			"cloudEvents", Route{Provider: "cloudEvents", Events: []string{"a"}}, `{}`,
			[]string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "s", "Ce-Type", "b"},
		},
	}
	for _, c := range cases {
		if got := ask(c.route, c.body, c.heads...); got.Status != 200 || got.Class != "ignored" || len(got.Items) > 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if got := ask(
		Route{Provider: "gitlab", Events: []string{"PushEvents"}}, `{}`, "X-Gitlab-Event", "Vulnerability Hook",
	); len(got.Items) != 1 {
		t.Errorf("a kind of hook that no name stands for: %+v", got)
	}
}

func TestMalformedBodies(t *testing.T) {
	cases := []struct {
		name  string
		route Route
		body  string
		heads []string
	}{
		{"github list", Route{Provider: "github"}, `[]`, []string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "d"}},
		{
			"github form", Route{Provider: "github"}, `payload=%zz`,
			[]string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "d", "Content-Type", formType},
		},
		{"gitlab", Route{Provider: "gitlab"}, `{`, nil},
		{"bitbucket", Route{Provider: "bitbucket"}, `"x"`, nil},
		{"gitea without id", Route{Provider: "gitea"}, `{}`, []string{"X-Gitea-Event", "push"}},
		{"stripe without id", Route{Provider: "stripe"}, `{"type":"x"}`, nil},
		{"slack form", Route{Provider: "slack"}, `a=b`, []string{"Content-Type", formType}},
		{"slack event", Route{Provider: "slack"}, `{"type":"event_callback"}`, nil},
		{"storageGrid", Route{Provider: "storageGrid"}, `Action=Publish&Message=x`, nil},
		{"azureEventGrid", Route{Provider: "azureEventGrid"}, `{}`, nil},
		{"azureEventGrid without id", Route{Provider: "azureEventGrid"}, `[{"eventType":"x"}]`, nil},
	}
	for _, c := range cases {
		if got := ask(
			c.route,
			c.body,
			c.heads...); got.Status != 400 || got.Class != "malformed" ||
			len(got.Items) > 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestOneEventPerChange(t *testing.T) {
	heads := []string{"X-Event-Key", "repo:refs_changed", "X-Request-Id", "r"}
	got := ask(
		Route{Provider: "bitbucketserver", Split: true},
		`{"actor":1,"changes":[{"ref":"a"},{"ref":"b"}]}`,
		heads...)
	if len(got.Items) != 2 || got.Items[1].ID != got.Items[0].ID+"#1" {
		t.Fatalf("%+v", got)
	}
	for i, want := range []string{"a", "b"} {
		changes := gjson.GetBytes(got.Items[i].Data, "body.changes")
		if len(changes.Array()) != 1 || changes.Get("0.ref").String() != want {
			t.Errorf("event %d: %s", i, got.Items[i].Data)
		}
	}
	if got := ask(Route{Provider: "bitbucketserver", Split: true}, `{"pullRequest":1}`, heads...); len(got.Items) != 1 {
		t.Errorf("no changes: %+v", got)
	}
}

func TestHandshakes(t *testing.T) {
	h := http.Header{}
	h.Set("WebHook-Request-Origin", "eventemitter.example.com")
	ok := Decide(Route{Provider: "cloudEvents", Rate: 2}, Request{Method: "OPTIONS", Header: h})
	if ok.Status != 200 || ok.Header["WebHook-Allowed-Origin"] != "eventemitter.example.com" ||
		ok.Header["WebHook-Allowed-Rate"] != "120" {
		t.Errorf("%+v", ok)
	}
	if no := Decide(
		Route{Provider: "cloudEvents", Origins: []string{"other"}}, Request{Method: "OPTIONS", Header: h},
	); no.Status != 403 {
		t.Errorf("%+v", no)
	}
	if got := ask(
		Route{Provider: "slack"}, `{"type":"url_verification","challenge":"abc"}`,
	); got.Text != "abc" || got.Class != "handshake" ||
		len(got.Items) > 0 {
		t.Errorf("%+v", got)
	}
	if got := ask(
		Route{Provider: "azureEventGrid"},
		`[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"42"}}]`,
	); got.Text != `{"validationResponse":"42"}` ||
		len(got.Items) > 0 {
		t.Errorf("%+v", got)
	}
	if got := Decide(Route{Provider: "storageGrid"}, Request{Method: "HEAD"}); got.Status != 200 {
		t.Errorf("%+v", got)
	}
	if got := Decide(Route{Provider: "storageGrid", Broken: "x"}, Request{Method: "HEAD"}); got.Status != 503 {
		t.Errorf("a broken route shakes hands: %+v", got)
	}
	if got := ask(Route{Provider: "storageGrid"}, `Action=Publish&Message=%7B%7D`); !strings.HasPrefix(
		got.Text, "<PublishResponse",
	) {
		t.Errorf("%+v", got)
	}
}

func TestCloudEvents(t *testing.T) {
	one := `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"x","time":"2026-01-02T03:04:05Z","traceparent":"00-1","data":{"a":1}}`
	binary := []string{
		"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "t", "Ce-Subject", "%C3%A9",
		"Content-Type", "application/json",
	}
	long := "[" + strings.Repeat(one+",", maxBatch) + one + "]"
	cases := []struct {
		name, body string
		heads      []string
		want       int
		events     int
		view       map[string]string
	}{
		{
			"binary", `{"a":1}`, binary, 200, 1,
			map[string]string{"body.a": "1", "context.subject": `"é"`, "context.datacontenttype": `"application/json"`},
		},
		{
			"binary text", `hello`, append(binary[:10:10], "Content-Type", "text/plain"), 200, 1,
			map[string]string{"body": `"hello"`},
		},
		{"binary nothing", ``, binary[:8], 200, 1, map[string]string{"body": "null"}},
		{
			"structured", one, []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}, 200, 1,
			map[string]string{"body.a": "1", "context.source": `"/s"`, "context.traceparent": `"00-1"`},
		},
		{
			"base64", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"/wA="}`,
			[]string{"Content-Type", structuredType}, 200, 1, map[string]string{"body": `"/wA="`},
		},
		{
			"batch", "[" + one + "," + strings.Replace(one, `"id":"1"`, `"id":"2"`, 1) + "]",
			[]string{"Content-Type", batchType}, 200, 2, nil,
		},
		{"empty batch", "[]", []string{"Content-Type", batchType}, 200, 0, nil},
		{"long batch", long, []string{"Content-Type", batchType}, 413, 0, nil},
		{"batch of what", "[1]", []string{"Content-Type", batchType}, 400, 0, nil},
		{"not a batch", "{}", []string{"Content-Type", batchType}, 400, 0, nil},
		{"xml", "<x/>", []string{"Content-Type", "application/cloudevents+xml"}, 415, 0, nil},
		{
			"old version", `{}`, []string{"Ce-Specversion", "0.3", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "t"},
			400, 0, nil,
		},
		{"no type", `{}`, binary[:6], 400, 0, nil},
		{"bad name", `{}`, append(binary[:8:8], "Ce-A_b", "1"), 400, 0, nil},
		{
			"bad base64", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"%"}`,
			[]string{"Content-Type", structuredType}, 400, 0, nil,
		},
		{"no JSON", `{`, []string{"Content-Type", structuredType}, 400, 0, nil},
	}
	for _, c := range cases {
		got := ask(Route{Provider: "cloudEvents"}, c.body, c.heads...)
		if got.Status != c.want || len(got.Items) != c.events {
			t.Errorf("%s: %d %s, %d events", c.name, got.Status, got.Text, len(got.Items))
			continue
		}
		for path, want := range c.view {
			if text := gjson.GetBytes(got.Items[0].Data, path).Raw; text != want {
				t.Errorf("%s: %s is %s, want %s", c.name, path, text, want)
			}
		}
	}
	a, b := ask(Route{Provider: "cloudEvents"}, one, "Content-Type", structuredType), ask(
		Route{Provider: "cloudEvents"}, strings.Replace(one, `"/s"`, `"/r"`, 1), "Content-Type", structuredType,
	)
	if a.Items[0].ID == b.Items[0].ID || a.Items[0].Type != "t" || a.Items[0].Trace != "00-1" {
		t.Errorf("%+v", a.Items[0])
	}
}

func TestWhatWasSignedCanBeReadBack(t *testing.T) {
	for _, text := range []string{
		`{}`, `{ }`, `{"a":"<é>"}`, `{"a":1,"a":2}`, " {\"a\":1}\n", `{"X-GitHub-Event":"x"}`,
	} {
		got := ask(Route{Provider: "github"}, text, "X-GitHub-Event", "push", "X-GitHub-Delivery", "d")
		if raw, err := Raw(got.Items[0].Data); err != nil || string(raw) != text {
			t.Errorf("github %q: %q, %v", text, raw, err)
		}
		got = ask(Route{Provider: "gitlab"}, text)
		if raw, err := Raw(got.Items[0].Data); err != nil || string(raw) != text {
			t.Errorf("gitlab %q: %q, %v", text, raw, err)
		}
	}
	form := "payload=" + url.QueryEscape(`{"a":1}`)
	got := ask(
		Route{Provider: "github"}, form, "Content-Type", formType, "X-GitHub-Event", "push", "X-GitHub-Delivery", "d",
	)
	if raw, err := Raw(got.Items[0].Data); err != nil || string(raw) != form {
		t.Errorf("form: %q, %v", raw, err)
	}
	for _, text := range []string{"", "{}", "[]"} {
		if _, err := Raw([]byte(text)); err == nil {
			t.Errorf("%q has no body", text)
		}
	}
}

func FuzzDecide(f *testing.F) {
	f.Add("github", "push", string(pushBody))
	f.Add("registry", "", pushNotification)
	f.Add("webhook", "", `{"a":[[[[]]]]}`)
	f.Add("cloudEvents", structuredType, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"/wA="}`)
	f.Add("slack", formType, `payload={"token":1}`)
	f.Add("sns", "", `{"Type":"Notification","Signature":"AA=="}`)
	for _, p := range payloads() {
		f.Add("registry", p.header.Get("X-GitHub-Event"), p.body)
	}
	for name := range Providers {
		f.Add(name, formType, "Action=Publish&Message={}&payload={}&command=x")
		f.Add(name, batchType, "[{}]")
	}
	_, cert := snsKeys()
	f.Fuzz(func(t *testing.T, provider, kind, body string) {
		h := http.Header{
			"X-Github-Event":    {kind},
			"X-Github-Delivery": {"d"},
			"X-Gitea-Event":     {kind},
			"X-Gitea-Delivery":  {"d"},
			"Content-Type":      {kind},
			"Stripe-Signature":  {kind},
			"Ce-Type":           {kind},
		}
		for _, unsigned := range []bool{true, false} {
			route := Route{Provider: provider, Unsigned: unsigned, Secret: "x", Split: true}
			req := Request{Method: "POST", Header: h, Body: []byte(body), Now: clock, Fetched: cert}
			_, _ = Needs(route, req)
			got := Decide(route, req)
			if got.Status != 200 && len(got.Items) > 0 {
				t.Fatalf("refused with %d and still publishes", got.Status)
			}
			for _, i := range got.Items {
				if i.Image == nil && !json.Valid(i.Data) {
					t.Fatalf("not JSON: %s", i.Data)
				}
			}
		}
	})
}
