package core

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// Case 01: an id names a delivery only as far as its sender says so.
func TestIdsAreNoMoreThanTheirSendersSay(t *testing.T) {
	type delivery struct {
		heads []string
		body  string
	}
	for name, c := range map[string]struct {
		provider string
		a, b     delivery
		same     bool
	}{
		"X-Request-Id, two bodies": {
			"webhook", delivery{[]string{"X-Request-Id", "t"}, `{"order":1}`},
			delivery{[]string{"X-Request-Id", "t"}, `{"order":2}`}, false,
		},
		"X-Request-Id, one body": {
			"webhook", delivery{[]string{"X-Request-Id", "t"}, `{}`}, delivery{[]string{"X-Request-Id", "t"}, `{}`},
			false,
		},
		"X-Request-Uuid": {
			"webhook", delivery{[]string{"X-Request-Uuid", "t"}, `{}`}, delivery{[]string{"X-Request-Uuid", "t"}, `{}`},
			false,
		},
		"X-Correlation-Id": {
			"webhook", delivery{[]string{"X-Correlation-Id", "t"}, `{}`},
			delivery{[]string{"X-Correlation-Id", "t"}, `{}`}, false,
		},
		"Traceparent": {
			"webhook", delivery{[]string{"Traceparent", "t"}, `{}`}, delivery{[]string{"Traceparent", "t"}, `{}`},
			false,
		},
		"Ce-Id from two sources": {
			"webhook", delivery{[]string{"Ce-Id", "1", "Ce-Source", "/a"}, `{}`},
			delivery{[]string{"Ce-Id", "1", "Ce-Source", "/b"}, `{}`}, false,
		},
		"Ce-Id of one source": {
			"webhook", delivery{[]string{"Ce-Id", "1", "Ce-Source", "/a"}, `{}`},
			delivery{[]string{"Ce-Id", "1", "Ce-Source", "/a"}, `{}`}, true,
		},
		"Ce-Id without a source": {
			"webhook", delivery{[]string{"Ce-Id", "1"}, `{}`}, delivery{[]string{"Ce-Id", "1"}, `{}`}, false,
		},
		"Idempotency-Key": {
			"webhook", delivery{[]string{"Idempotency-Key", "1"}, `{}`},
			delivery{[]string{"Idempotency-Key", "1"}, `{}`}, true,
		},
		"svix-id": {
			"webhook", delivery{[]string{"svix-id", "1"}, `{}`}, delivery{[]string{"svix-id", "1"}, `{}`}, true,
		},
		"webhook-id": {
			"webhook", delivery{[]string{"webhook-id", "1"}, `{}`}, delivery{[]string{"webhook-id", "2"}, `{}`}, false,
		},
		"GitLab, two hooks of one event": {
			"webhook", delivery{[]string{"X-Gitlab-Event-UUID", "1", "X-Gitlab-Event", "Push Hook"}, `{}`},
			delivery{[]string{"X-Gitlab-Event-UUID", "1", "X-Gitlab-Event", "Job Hook"}, `{}`}, false,
		},
		"GitLab, one hook again": {
			"webhook", delivery{[]string{"X-Gitlab-Event-UUID", "1", "X-Gitlab-Event", "Push Hook"}, `{}`},
			delivery{[]string{"X-Gitlab-Event-UUID", "1", "X-Gitlab-Event", "Push Hook"}, `{}`}, true,
		},
		"Bitbucket on a plain webhook": {
			"webhook", delivery{[]string{"X-Event-Key", "repo:push", "X-Request-UUID", "1"}, `{}`},
			delivery{[]string{"X-Event-Key", "pr:merged", "X-Request-UUID", "1"}, `{}`}, false,
		},
		"Bitbucket, two kinds": {
			"bitbucket", delivery{[]string{"X-Event-Key", "repo:push", "X-Request-UUID", "1"}, `{}`},
			delivery{[]string{"X-Event-Key", "pullrequest:updated", "X-Request-UUID", "1"}, `{}`}, false,
		},
		"Bitbucket again": {
			"bitbucket", delivery{[]string{"X-Event-Key", "repo:push", "X-Request-UUID", "1"}, `{}`},
			delivery{[]string{"X-Event-Key", "repo:push", "X-Request-UUID", "1"}, `{}`}, true,
		},
		"Bitbucket server, two bodies": {
			"bitbucketserver", delivery{[]string{"X-Event-Key", "repo:refs_changed", "X-Request-Id", "1"}, `{"a":1}`},
			delivery{[]string{"X-Event-Key", "repo:refs_changed", "X-Request-Id", "1"}, `{"a":2}`}, false,
		},
		"Event Grid, two topics": {
			"azureEventGrid", delivery{nil, `[{"id":"1","eventType":"x","topic":"/a"}]`},
			delivery{nil, `[{"id":"1","eventType":"x","topic":"/b"}]`}, false,
		},
		"Event Grid again": {
			"azureEventGrid", delivery{nil, `[{"id":"1","eventType":"x","topic":"/a"}]`},
			delivery{nil, `[{"id":"1","eventType":"x","topic":"/a"}]`}, true,
		},
		"zot, two registries of one id": {
			"registry",
			delivery{
				[]string{"Ce-Type", "zotregistry.image.updated", "Ce-Id", "1", "Ce-Source", "a"},
				`{"name":"n","reference":"v1"}`,
			},
			delivery{
				[]string{"Ce-Type", "zotregistry.image.updated", "Ce-Id", "1", "Ce-Source", "b"},
				`{"name":"n","reference":"v1"}`,
			},
			false,
		},
		"CloudEvents of two sources": {
			"cloudEvents",
			delivery{[]string{"Ce-Specversion", "1.0", "Ce-Type", "t", "Ce-Id", "1", "Ce-Source", "a"}, `{}`},
			delivery{[]string{"Ce-Specversion", "1.0", "Ce-Type", "t", "Ce-Id", "1", "Ce-Source", "b"}, `{}`}, false,
		},
	} {
		one, two := ask(
			Route{Provider: c.provider},
			c.a.body,
			c.a.heads...), ask(
			Route{Provider: c.provider},
			c.b.body,
			c.b.heads...)
		if len(one.Items) != 1 || len(two.Items) != 1 {
			t.Errorf("%s: %+v, %+v", name, one, two)
			continue
		}
		a, b := one.Items[0].ID, two.Items[0].ID
		if same := a == b && a != ""; same != c.same {
			t.Errorf("%s: ids %q and %q", name, a, b)
		}
	}
}

// Case 02: text may begin with a byte order mark.
func TestByteOrderMarks(t *testing.T) {
	utf16le := func(s string) string {
		out := "\xff\xfe"
		for _, c := range s {
			out += string([]byte{byte(c), byte(c >> 8)})
		}
		return out
	}
	form := []string{"Content-Type", formType}
	for name, c := range map[string]struct {
		route Route
		body  string
		heads []string
		path  string
		want  string
	}{
		"webhook JSON":         {Route{Provider: "webhook"}, mark + `{"order": 1}`, nil, "body.order", "1"},
		"webhook UTF-16":       {Route{Provider: "webhook"}, utf16le(`{"order": 1}`), nil, "body.order", "1"},
		"webhook form":         {Route{Provider: "webhook"}, mark + "a=1&b=2", form, "body", `{"a":["1"],"b":["2"]}`},
		"webhook escaped form": {Route{Provider: "webhook"}, "%EF%BB%BFa=1&a=2&b=2", form, "body.a.0", `"1"`},
		"webhook text": {
			Route{Provider: "webhook"}, mark + "hi", []string{"Content-Type", "text/plain"}, "body", `"hi"`,
		},
		"gitlab": {Route{Provider: "gitlab"}, mark + `{"a":1}`, nil, "body.a", "1"},
		"github": {
			Route{Provider: "github"}, mark + `{"a":1}`, []string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "d"},
			"body.a", "1",
		},
		"github form": {
			Route{Provider: "github"}, mark + "payload=" + url.QueryEscape(mark+`{"a":1}`),
			append(form, "X-GitHub-Event", "push", "X-GitHub-Delivery", "d"), "body.a", "1",
		},
		"gitea": {
			Route{Provider: "gitea"}, mark + `{"a":1}`, []string{"X-Gitea-Event", "push", "X-Gitea-Delivery", "d"},
			"body.a", "1",
		},
		"bitbucket": {Route{Provider: "bitbucket"}, mark + `{"a":1}`, nil, "body.a", "1"},
		"bitbucketserver": {
			Route{Provider: "bitbucketserver", Split: true}, mark + `{"changes":[{"a":1}]}`, nil, "body.changes.0.a",
			"1",
		},
		"gerrit": {Route{Provider: "gerrit"}, mark + `{"type":"x"}`, nil, "body.type", `"x"`},
		"stripe": {Route{Provider: "stripe"}, mark + `{"id":"e","type":"x"}`, nil, "event.type", `"x"`},
		"slack event": {
			Route{Provider: "slack", Token: "t"},
			mark + `{"type":"event_callback","event_id":"e","token":"t","event":{"a":1}}`, nil, "a", "1",
		},
		"slack action": {
			Route{Provider: "slack", Token: "t"}, mark + "payload=" + url.QueryEscape(mark+`{"token":"t","a":1}`), form,
			"a", "1",
		},
		"slack command": {
			Route{Provider: "slack", Token: "t"}, mark + "command=/go&token=t&trigger_id=1", form, "command", `"/go"`,
		},
		"sns": {
			Route{Provider: "sns"}, mark + `{"Type":"Notification","MessageId":"m","Message":"hi"}`, nil,
			"body.Message", `"hi"`,
		},
		"storageGrid": {
			Route{Provider: "storageGrid"},
			mark + url.Values{"Action": {"Publish"}, "Message": {mark + `{"Records":[{"eventName":"x"}]}`}}.Encode(),
			form, "notification.Message.Records.0.eventName", `"x"`,
		},
		"azureEventGrid": {
			Route{Provider: "azureEventGrid"}, mark + `[{"id":"1","eventType":"x"}]`, nil, "body.id", `"1"`,
		},
		"cloudEvents": {
			Route{Provider: "cloudEvents"},
			mark + `{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}`,
			[]string{"Content-Type", structuredType}, "body.a", "1",
		},
		"cloudEvents batch": {
			Route{Provider: "cloudEvents"},
			mark + `[{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}]`,
			[]string{"Content-Type", batchType}, "body.a", "1",
		},
		"cloudEvents binary": {
			Route{Provider: "cloudEvents"}, mark + `{"a":1}`,
			[]string{
				"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "s", "Ce-Type",
				"t",
			},
			"body.a", "1",
		},
		"cloudEvents base64": {
			Route{Provider: "cloudEvents"},
			`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"application/json","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(mark+`{"a":1}`)) + `"}`,
			[]string{"Content-Type", structuredType}, "body.a", "1",
		},
	} {
		got := ask(c.route, c.body, c.heads...)
		if got.Status != 200 || len(got.Items) != 1 {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if text := gjson.GetBytes(got.Items[0].Data, c.path).Raw; text != c.want {
			t.Errorf("%s: %s is %s, want %s", name, c.path, text, c.want)
		}
	}
	if got := ask(
		Route{Provider: "registry"}, mark+`{"push_data":{"tag":"a"},"repository":{"repo_name":"b"}}`,
	); len(got.Items) != 1 {
		t.Errorf("registry: %+v", got)
	}
	if got := ask(Route{Provider: "slack"}, mark+`{"type":"url_verification","challenge":"c"}`); got.Text != "c" {
		t.Errorf("slack's challenge: %+v", got)
	}
	marked := []byte(mark + `{"a":1}`)
	signed := Decide(
		Route{Provider: "gitea", Secret: secret},
		Request{
			Method: "POST",
			Body:   marked,
			Header: header(
				"X-Gitea-Event", "push", "X-Gitea-Delivery", "d", "X-Gitea-Signature",
				hex.EncodeToString(sign(secret, marked)),
			),
		},
	)
	if len(signed.Items) != 1 {
		t.Fatalf("the mark is signed with the rest: %+v", signed)
	}
	if raw, err := Raw(signed.Items[0].Data); err != nil || string(raw) != string(marked) {
		t.Errorf("what was signed came back as %q, %v", raw, err)
	}
}

func FuzzPlainText(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbf{}"))
	f.Add([]byte("\xff\xfe{\x00}\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if once := PlainText(text); len(once) > 2*len(text)+4 {
			t.Errorf("%d bytes became %d", len(text), len(once))
		}
	})
}

// Case 03: what stands around the notifications of a registry greets first.
func TestHandshakesOfRegistries(t *testing.T) {
	route := Route{Provider: "registry", PathSecret: "p"}
	validation := `[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"code-1"}}]`
	confirm := `{"Type":"SubscriptionConfirmation","MessageId":"m","TopicArn":"arn:t","SubscribeURL":"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription","Token":"k"}`
	post := func(tail, body string, heads ...string) Outcome {
		return Decide(route, Request{Method: "POST", Header: header(heads...), Body: []byte(body), Tail: tail})
	}
	for _, form := range []string{"", "acr"} {
		route.Form = form
		if got := post("p", mark+validation); got.Status != 200 || got.Class != "handshake" ||
			gjson.Get(got.Text, "validationResponse").String() != "code-1" {
			t.Errorf("Event Grid: %+v", got)
		}
	}
	route.Form = ""
	if got := post("q", validation); got.Status != 404 || strings.Contains(got.Text, "code-1") {
		t.Errorf("to a wrong path: %+v", got)
	}
	got := Decide(route, Request{Method: "OPTIONS", Header: header("WebHook-Request-Origin", "eventgrid.azure.net")})
	if got.Status != 200 || got.Header["WebHook-Allowed-Origin"] != "eventgrid.azure.net" {
		t.Errorf("CloudEvents: %+v", got)
	}
	if got := Decide(
		Route{Provider: "azureEventGrid"},
		Request{Method: "OPTIONS", Header: header("WebHook-Request-Origin", "eventgrid.azure.net")},
	); got.Status != 200 {
		t.Errorf("CloudEvents to azureEventGrid: %+v", got)
	}
	if got := post("p", confirm); got.Status != 200 || got.Class != "handshake" ||
		!strings.HasPrefix(got.Visit, "https://sns.eu-west-1.amazonaws.com/") {
		t.Errorf("SNS: %+v", got)
	}
	if got := post(
		"p", strings.ReplaceAll(confirm, "sns.eu-west-1.amazonaws.com", "evil.example"),
	); got.Status != 401 ||
		got.Visit != "" {
		t.Errorf("a confirmation that leads elsewhere: %+v", got)
	}
	ecr := `{"version":"0","id":"e1","detail-type":"ECR Image Action","source":"aws.ecr","account":"1234","region":"eu-west-1","detail":{"result":"SUCCESS","repository-name":"app","image-digest":"sha256:1","action-type":"PUSH","image-tag":"v1"}}`
	for name, body := range map[string]string{
		"in SNS": `{"Type":"Notification","MessageId":"m","TopicArn":"arn:t","Message":` + string(quote(ecr)) + `}`,
		"raw":    ecr,
	} {
		if got := post("p", body); len(got.Items) != 1 || got.Items[0].Image.Tag != "v1" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	one := `{"specversion":"1.0","id":"g","source":"/r","type":"x","data":{}}`
	if got := ask(
		Route{Provider: "azureEventGrid", Events: []string{"x"}}, one, "Content-Type", structuredType,
	); len(got.Items) != 1 {
		t.Errorf("Event Grid in the schema of CloudEvents: %+v", got)
	}
}

// Case 04: keys come in any order.
func TestBase64DataOfCloudEvents(t *testing.T) {
	parts := []string{`"specversion":"1.0"`, `"id":"e-1"`, `"source":"/shop"`, `"type":"order.made"`}
	data := func(text string) string {
		return `"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"`
	}
	kind := func(text string) string { return `"datacontenttype":"` + text + `"` }
	for name, c := range map[string]struct {
		parts      []string
		path, want string
	}{
		"type first": {
			append([]string{kind("application/json"), data(`{"order":{"id":7}}`)}, parts...), "body.order.id", "7",
		},
		"data first": {
			append(append([]string{data(`{"order":{"id":7}}`)}, parts...), kind("application/json")), "body.order.id",
			"7",
		},
		"with a charset": {
			append([]string{data(`{"a":1}`), kind("application/json; charset=utf-8")}, parts...), "body.a", "1",
		},
		"with an odd rest": {
			append([]string{data(`{"a":1}`), kind("application/json; charset")}, parts...), "body.a", "1",
		},
		"no type": {append([]string{data(`{"a":1}`)}, parts...), "body.a", "1"},
		"+json": {
			append([]string{data(`{"a":1}`), kind("application/vnd.x+json")}, parts...), "body.a", "1",
		},
		"text": {append([]string{data(`{"a":1}`), kind("text/plain")}, parts...), "body", `"{\"a\":1}"`},
		"bytes": {
			append([]string{data("\xff\x00"), kind("image/png")}, parts...), "bodyEncoding", `"base64"`,
		},
		"not JSON": {append([]string{data("\xff\x00"), kind("application/json")}, parts...), "body", `"/wA="`},
	} {
		body := "{" + strings.Join(c.parts, ",") + "}"
		for _, batch := range []bool{false, true} {
			mode := structuredType
			if batch {
				mode, body = batchType, "["+body+"]"
			}
			got := ask(Route{Provider: "cloudEvents"}, body, "Content-Type", mode)
			if len(got.Items) != 1 {
				t.Errorf("%s: %+v", name, got)
				continue
			}
			if text := gjson.GetBytes(got.Items[0].Data, c.path).Raw; text != c.want {
				t.Errorf("%s: %s is %s, want %s", name, c.path, text, c.want)
			}
		}
	}
}

// Case 05: a raw message of SNS is an event, and what is none is refused or noted.
func TestRawMessagesOfSNS(t *testing.T) {
	heads := []string{
		"Content-Type", "text/plain; charset=UTF-8", "X-Amz-Sns-Message-Type", "Notification", "X-Amz-Sns-Message-Id",
		"0b1c", "X-Amz-Sns-Topic-Arn", "arn:orders", "X-Amz-Sns-Rawdelivery", "true",
	}
	for _, text := range []string{`{"order": 7}`, "plain", mark + "marked", ""} {
		got := ask(Route{Provider: "sns", Topic: "arn:orders", Unsigned: true}, text, heads...)
		if got.Status != 200 || len(got.Items) != 1 || got.Items[0].ID != "0b1c" {
			t.Errorf("%q: %+v", text, got)
			continue
		}
		data := got.Items[0].Data
		if m := gjson.GetBytes(data, "body.Message").String(); m != strings.TrimPrefix(text, mark) ||
			gjson.GetBytes(data, "body.TopicArn").String() != "arn:orders" {
			t.Errorf("%q: %s", text, data)
		}
	}
	for name, c := range map[string]struct {
		route Route
		body  string
		heads []string
		want  int
	}{
		"another topic":       {Route{Provider: "sns", Topic: "arn:other", Unsigned: true}, "x", heads, 403},
		"signed only":         {Route{Provider: "sns"}, "x", heads, 401},
		"no type":             {Route{Provider: "sns", Unsigned: true}, `{"order":7}`, nil, 400},
		"a type of tomorrow":  {Route{Provider: "sns", Unsigned: true}, `{"Type":"Surprise"}`, nil, 400},
		"text that is no SNS": {Route{Provider: "sns", Unsigned: true}, "hello", nil, 400},
		"a form of nothing":   {Route{Provider: "storageGrid"}, "a=1", []string{"Content-Type", formType}, 400},
	} {
		req := Request{Method: "POST", Header: header(c.heads...), Body: []byte(c.body), Now: clock}
		_, err := Needs(c.route, req)
		var got Outcome
		if err != nil {
			got = Refusal(err)
		} else {
			got = Decide(c.route, req)
		}
		if got.Status != c.want || len(got.Items) > 0 {
			t.Errorf("%s: %+v, want %d", name, got, c.want)
		}
	}
	for name, got := range map[string]Outcome{
		"registry": ask(Route{Provider: "registry"}, `{"hello":1}`),
		"slack":    ask(Route{Provider: "slack"}, `{"type":"surprise"}`),
	} {
		if got.Status != 200 || got.Class != NotUnderstood {
			t.Errorf("%s: %+v leaves no trace", name, got)
		}
	}
}

func TestHeadersThatAreNoUTF8(t *testing.T) {
	got := ask(Route{Provider: "webhook"}, `{}`, "X-Name", "J\xfcrgen", "X-Plain", "Jürgen")
	if a, b := gjson.GetBytes(got.Items[0].Data, "header.X-Name.0").String(), gjson.GetBytes(
		got.Items[0].Data, "header.X-Plain.0",
	).String(); a != "Jürgen" ||
		b != "Jürgen" {
		t.Errorf("%q and %q", a, b)
	}
}

// Case 06: the test of a connection is not signed.
func TestTestsOfConnections(t *testing.T) {
	for _, provider := range []string{"bitbucketserver", "bitbucket"} {
		got := Decide(
			Route{Provider: provider, Secret: secret, Bearer: "b"},
			Request{Method: "POST", Header: header("X-Event-Key", "diagnostics:ping"), Body: []byte(`{"test": true}`)},
		)
		if got.Status != 200 || len(got.Items) > 0 {
			t.Errorf("%s: %+v", provider, got)
		}
		got = Decide(
			Route{Provider: "webhook", Signature: Signature{Header: "X-Hub-Signature", Key: secret}},
			Request{Method: "POST", Header: header("X-Event-Key", "diagnostics:ping"), Body: []byte(`{"test": true}`)},
		)
		if got.Status != 200 || len(got.Items) > 0 {
			t.Errorf("a plain webhook that asks for a signature: %+v", got)
		}
		if got := ask(
			Route{Provider: "webhook"}, `{"test": true}`, "X-Event-Key", "diagnostics:ping",
		); len(got.Items) != 1 {
			t.Errorf("a plain webhook that asks for none: %+v", got)
		}
		got = Decide(
			Route{Provider: provider, Secret: secret},
			Request{Method: "POST", Header: header("X-Event-Key", "repo:push"), Body: []byte(`{"test": true}`)},
		)
		if got.Status != 401 {
			t.Errorf("%s: an event without a signature: %+v", provider, got)
		}
	}
}

// Case 31: JFrog sends the secret itself unless it is told to sign.
func TestThePlainTokenOfJFrog(t *testing.T) {
	body := []byte(
		`{"domain":"docker","event_type":"pushed","data":{"repo_key":"docker-local","image_name":"app","tag":"1.0","sha256":"aa"},"jpd_origin":"https://j.example.com/artifactory"}`,
	)
	for token, want := range map[string]int{"s3": 200, hex.EncodeToString(sign("s3", body)): 200, "s4": 401, "": 401} {
		h := http.Header{}
		if token != "" {
			h.Set("X-JFrog-Event-Auth", token)
		}
		if got := Decide(
			Route{Provider: "registry", Secret: "s3"}, Request{Method: "POST", Header: h, Body: body},
		); got.Status != want ||
			(len(got.Items) == 1) != (want == 200) {
			t.Errorf("%q: %+v", token, got)
		}
	}
	if got := Decide(
		Route{Provider: "registry", Secret: "s3"},
		Request{Method: "POST", Header: header("X-Hub-Signature-256", "s3"), Body: body},
	); got.Status != 401 {
		t.Errorf("a header that is always signed: %+v", got)
	}
}

func TestAttachmentsAreNoImages(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	push := func(tag string) map[string]string {
		return map[string]string{
			"distribution": `{"events":[{"id":"1","action":"push","target":{"mediaType":"application/vnd.oci.image.index.v1+json","repository":"app","digest":"sha256:1","tag":"` + tag + `"}}]}`,
			"harbor":       `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"digest":"sha256:1","tag":"` + tag + `"}],"repository":{"repo_full_name":"team/app"}}}`,
			"ecr":          `{"id":"e1","detail-type":"ECR Image Action","source":"aws.ecr","detail":{"result":"SUCCESS","repository-name":"app","image-digest":"sha256:1","action-type":"PUSH","image-tag":"` + tag + `"}}`,
			"zot":          `{"specversion":"1.0","id":"z1","type":"zotregistry.image.updated","data":{"name":"app","reference":"` + tag + `","digest":"sha256:1"}}`,
			"quay":         `{"repository":"team/app","docker_url":"quay.io/team/app","updated_tags":["` + tag + `"]}`,
			"dockerhub":    `{"push_data":{"tag":"` + tag + `"},"repository":{"repo_name":"team/app"}}`,
			"jfrog":        `{"domain":"docker","event_type":"pushed","data":{"repo_key":"r","image_name":"app","tag":"` + tag + `"}}`,
		}
	}
	for tag, want := range map[string]int{
		"v1": 1, "sha256-abc": 1, "sha-1234567": 1, "latest": 1, "": 0, "sha256-" + digest: 0,
		"sha256-" + digest + ".sig": 0, "sha256-" + digest + ".att": 0,
		"sha256-" + digest + ".sbom": 0, "sha512-" + digest: 0, "main-" + digest: 1,
	} {
		for name, body := range push(tag) {
			if got := ask(Route{Provider: "registry"}, body); len(got.Items) != want || got.Status != 200 {
				t.Errorf("%s of %q: %d events, want %d", name, tag, len(got.Items), want)
			}
		}
	}
}

// A registry that tells no time and no id says the same of each push of a tag.
func TestEachPushOfATagIsNews(t *testing.T) {
	for name, body := range map[string]string{
		"quay":  `{"repository":"team/app","docker_url":"quay.io/team/app","updated_tags":["latest"]}`,
		"jfrog": `{"domain":"docker","event_type":"pushed","data":{"repo_key":"r","image_name":"app","tag":"latest","sha256":"aa"}}`,
	} {
		at := func(now time.Time) string {
			req := Request{Method: "POST", Header: http.Header{}, Body: []byte(body), Now: now}
			return Decide(Route{Provider: "registry"}, req).Items[0].ID
		}
		if first, second := at(clock), at(clock.Add(time.Hour)); first == second || first == "" {
			t.Errorf("%s: a second push is taken for the first", name)
		}
	}
}

func TestStandardWebhooks(t *testing.T) {
	raw := []byte("a key of twenty-four byt")
	at := fmt.Sprint(clock.Unix())
	body := []byte(`{"type":"order.made"}`)
	signed := func(key []byte, id, at string) string {
		return "v1," + base64.StdEncoding.EncodeToString(mac(hashes[""], string(key), []byte(id+"."+at+"."), body))
	}
	stale := fmt.Sprint(clock.Add(-time.Hour).Unix())
	for name, c := range map[string]struct {
		secret, prefix, id, at, signature string
		want                              int
	}{
		"good": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", at, signed(raw, "m1", at), 200,
		},
		"good of svix": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "svix-", "m1", at, signed(raw, "m1", at), 200,
		},
		"one of several": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", at,
			"v1a,xx v1,zz " + signed(raw, "m1", at), 200,
		},
		"base64 without whsec": {
			base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", at, signed(raw, "m1", at), 200,
		},
		"a plain key": {"not base64!", "webhook-", "m1", at, signed([]byte("not base64!"), "m1", at), 200},
		"another key": {
			"whsec_" + base64.StdEncoding.EncodeToString([]byte("other")), "webhook-", "m1", at, signed(raw, "m1", at),
			401,
		},
		"another id": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m2", at, signed(raw, "m1", at), 401,
		},
		"another time": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", fmt.Sprint(clock.Unix() + 1),
			signed(raw, "m1", at), 401,
		},
		"old": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", stale, signed(raw, "m1", stale), 401,
		},
		"no id": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "", at, signed(raw, "", at), 401,
		},
		"no signature": {"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", at, "", 401},
		"another version": {
			"whsec_" + base64.StdEncoding.EncodeToString(raw), "webhook-", "m1", at,
			strings.Replace(signed(raw, "m1", at), "v1", "v2", 1), 401,
		},
		"an empty key": {"whsec_", "webhook-", "m1", at, signed(nil, "m1", at), 401},
	} {
		h := header(c.prefix+"id", c.id, c.prefix+"timestamp", c.at, c.prefix+"signature", c.signature)
		got := Decide(
			Route{Provider: "webhook", Signature: Signature{Scheme: StandardWebhooks, Key: c.secret}},
			Request{Method: "POST", Header: h, Body: body, Now: clock},
		)
		if got.Status != c.want {
			t.Errorf("%s: %d %s, want %d", name, got.Status, got.Text, c.want)
		}
		if c.want == 200 && (len(got.Items) != 1 || got.Items[0].ID != "m1") {
			t.Errorf("%s: %+v", name, got.Items)
		}
	}
	if got := Decide(
		Route{Provider: "webhook", Signature: Signature{Scheme: "other", Key: "k"}},
		Request{Method: "POST", Header: http.Header{}, Body: body},
	); got.Status != 503 {
		t.Errorf("a scheme that is none: %+v", got)
	}
}

// Whatever header a sender puts a secret of the route into, and whatever kind it is: no event tells it.
func TestNoEventTellsASecret(t *testing.T) {
	secrets := Route{
		Secret: "s3cret-hmac", Bearer: "s3cret-bearer", Token: "s3cret-token", PathSecret: "s3cret-path",
		Signature: Signature{Key: "s3cret-key"},
	}
	for name, p := range Providers {
		route := secrets
		route.Provider = name
		h := http.Header{
			"Authorization": {"Bearer s3cret-bearer"},
			"Cookie":        {"session=1"},
			"X-Own":         {"a", "Token s3cret-hmac"},
			"X-Other":       {"harmless"},
			"x-lower":       {"s3cret-key"},
			"X-Path":        {"https://h/s3cret-path"},
			"X-T":           {"s3cret-token"},
		}
		for _, s := range p.Secrets {
			if http.CanonicalHeaderKey(s) != s {
				t.Errorf("%s: header %s is not spelled as headers are", name, s)
			}
			h[s] = []string{"s3cret of nobody here"}
		}
		text := encoded(presented(redacted(p, route, h)))
		if strings.Contains(string(text), "s3cret") || strings.Contains(string(text), "session=1") ||
			!strings.Contains(string(text), "harmless") {
			t.Errorf("%s: %s", name, text)
		}
		if h.Get("Authorization") != "Bearer s3cret-bearer" {
			t.Errorf("%s: the request itself was changed", name)
		}
	}
	// By the way that requests take.
	body := []byte(`{"a":1}`)
	for _, c := range []struct {
		route  Route
		header http.Header
	}{
		{
			Route{Provider: "webhook", Bearer: "s3cret-bearer"},
			http.Header{
				"Authorization": {"Bearer s3cret-bearer"}, "X-Copy": {"s3cret-bearer"},
				"Content-Type": {"application/json"},
			},
		},
		{
			Route{Provider: "gitlab", Secret: "s3cret-hmac"},
			http.Header{
				"X-Gitlab-Token": {"s3cret-hmac"}, "X-Gitlab-Event": {"Push Hook"},
				"Content-Type": {"application/json"},
			},
		},
		{
			Route{Provider: "gitlab", Unsigned: true},
			http.Header{
				"X-Gitlab-Token": {"s3cret of somebody"}, "X-Gitlab-Event": {"Push Hook"},
				"Content-Type": {"application/json"},
			},
		},
	} {
		got := Decide(c.route, Request{Method: http.MethodPost, Header: c.header, Body: body})
		if len(got.Items) != 1 || strings.Contains(string(got.Items[0].Data), "s3cret") {
			t.Errorf("%s: %d %s, %+v", c.route.Provider, got.Status, got.Text, got.Items)
		}
	}
}
