package notify

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"k8s.io/apimachinery/pkg/labels"
)

var noon = time.Unix(1_800_000_000, 0)

func application(phase string) Subject {
	return Subject{Fact: "uid/1", Object: map[string]any{
		"metadata": map[string]any{"name": "web", "namespace": "team"},
		"spec":     map[string]any{"source": map[string]any{"repoURL": "https://git.example/team/web.git"}},
		"status": map[string]any{"operationState": map[string]any{
			"phase": phase, "syncResult": map[string]any{"revision": "abc"},
		}},
	}}
}

// sink is a server that keeps what it gets.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	answer string
	status int
}

func newSink(t *testing.T) *sink {
	s := &sink{answer: `{"ok":true}`, status: http.StatusOK}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, strings.Join([]string{
			r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), string(body),
		}, " "))
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func read(t *testing.T, config map[string]string, secret map[string][]byte) *Config {
	t.Helper()
	c, problems := Read(config, secret)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

const onSynced = "- when: app.status.operationState.phase in ['Succeeded']\n  send: [done]\n"

// Each service sends what its documentation says.
func TestServices(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	private, _ := json.Marshal(string(block))
	for name, c := range map[string]struct {
		service, recipient, config, template, answer string
		want                                         []string // parts of the requests, in order
	}{
		"slack": {
			"slack", "ops", "token: $token\napiURL: @\nicon: ':ship:'\n", "message: '{{.app.metadata.name}} done'\nslack: {attachments: '[{\"title\": \"{{.recipient}}\"}]'}",
			`{"ok":true}`, []string{
				`POST /chat.postMessage Bearer s3cret  {"attachments":[{"title":"ops"}],"channel":"ops","icon_emoji":":ship:","text":"web done"}`,
			},
		},
		"slack by a webhook": {
			"slack", "ops", "webhookURL: @/hook\n", "message: hi", "ok", []string{`POST /hook   {"text":"hi"}`},
		},
		"teams": {
			"teams", "ops", "recipientUrls: {ops: @/t}\n", "message: hi\nteams: {title: T, facts: '[{\"name\":\"a\"}]'}", "1",
			[]string{`"sections":[{"facts":[{"name":"a"}]}],"text":"hi","title":"T"`},
		},
		"teams-workflows": {
			"teams-workflows", "ops", "recipientUrls: {ops: @/t}\n", "message: hi\nteams-workflows: {title: T}", "",
			[]string{`POST /t   {"attachments":[{"content":{"$schema"`},
		},
		"webhook": {
			"webhook.form", "", "url: @/base\nheaders: [{name: Authorization, value: Bearer $token}]\n",
			"webhook: {form: {method: post, path: '/x?y={{.app.metadata.name}}', body: '{\"p\": \"{{.app.status.operationState.phase}}\"}'}}", "",
			[]string{`POST /base/x?y=web Bearer s3cret ID {"p": "Succeeded"}`},
		},
		"webhook with a password": {
			"webhook.form", "", "url: @\nbasicAuth: {username: u, password: $token}\n", "message: x", "",
			[]string{"GET / Basic dTpzM2NyZXQ= ID "},
		},
		"github": {
			"github", "", "appID: 1\ninstallationID: 2\nprivateKey: " + string(private) + "\nenterpriseBaseURL: @\n",
			"message: synced\ngithub: {status: {state: success, label: argosy/web}}",
			`{"token":"inst","expires_at":"2100-01-01T00:00:00Z"}`, []string{
				"POST /app/installations/2/access_tokens Bearer ey",
				`POST /repos/team/web/statuses/abc Bearer inst  {"context":"argosy/web","description":"synced","state":"success"}`,
			},
		},
		"alertmanager": {
			"alertmanager", "", "targets: [%]\n", "message: hi\nalertmanager: {labels: {severity: bad}}", "",
			[]string{`POST /api/v2/alerts   [{"annotations":{"message":"hi"},"labels":{"alertname":"web","severity":"bad"}}]`},
		},
		"pagerdutyv2": {
			"pagerdutyv2", "ops", "serviceKeys: {ops: $token}\nurl: @/enqueue\n", "message: hi", "",
			[]string{`POST /enqueue   {"dedup_key":"ID","event_action":"trigger","payload":{"severity":"error","source":"web","summary":"hi"},"routing_key":"s3cret"}`},
		},
		"jira": {
			"jira", "OPS-1", "url: @\ntoken: $token\n", "message: hi\njira: {transition: done}",
			`{"transitions":[{"id":"7","name":"Done"}]}`, []string{
				"GET /rest/api/2/issue/OPS-1/transitions Bearer s3cret",
				`POST /rest/api/2/issue/OPS-1/transitions Bearer s3cret  {"transition":{"id":"7"}}`,
				`POST /rest/api/2/issue/OPS-1/comment Bearer s3cret  {"body":"hi"}`,
			},
		},
		"asana": {
			"asana", "12", "token: $token\nurl: @\n", "message: hi", "", []string{`POST /tasks/12/stories Bearer s3cret  {"data":{"text":"hi"}}`},
		},
	} {
		s := newSink(t)
		s.answer = c.answer
		text := strings.ReplaceAll(c.config, "@", s.URL)
		text = strings.ReplaceAll(text, "%", strings.TrimPrefix(s.URL, "http://"))
		config := read(t, map[string]string{
			"service." + c.service: text, "template.done": c.template, "trigger.on-synced": onSynced,
		}, map[string][]byte{"token": []byte("s3cret\n")})
		_, of, named := strings.Cut(c.service, ".")
		if !named {
			of = c.service
		}
		to := map[string][]Destination{"on-synced": {{of, c.recipient}}}
		decided := config.Decide(application("Succeeded"), to, State{})
		told, changed, err := NewSender(config, Env{Client: s.Client()}).Deliver(t.Context(),
			application("Succeeded"), to, State{}, noon)
		if err != nil || !changed || len(told) != 1 || len(s.got) != len(c.want) {
			t.Errorf("%s: %v, %v\n%s", name, told, err, strings.Join(s.got, "\n"))
			continue
		}
		for i, want := range c.want {
			if want = strings.ReplaceAll(want, "ID", decided.Send[0].ID); !strings.Contains(s.got[i], want) {
				t.Errorf("%s: %s\nwant %s", name, s.got[i], want)
			}
		}
	}
}

func TestEveryKindIsTested(t *testing.T) {
	if got := fmt.Sprint(Kinds()); got != "[slack teams teams-workflows email webhook github nats alertmanager pagerdutyv2 jira asana]" {
		t.Errorf("a kind without a test, or the other way round: %s", got)
	}
}

// mailbox is an SMTP server for one mail.
func mailbox(t *testing.T, refuse string) (address string, mail <-chan string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	out := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		r, text := bufio.NewReader(conn), ""
		fmt.Fprint(conn, "220 box\r\n")
		for data := false; ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			text += line
			switch {
			case data && line == ".\r\n":
				data = false
				fmt.Fprint(conn, "250 taken\r\n")
				out <- text
			case data:
			case refuse != "" && strings.HasPrefix(line, refuse):
				fmt.Fprint(conn, "550 no\r\n")
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprint(conn, "250-box\r\n250 AUTH PLAIN\r\n")
			case strings.HasPrefix(line, "AUTH"):
				fmt.Fprint(conn, "235 welcome\r\n")
			case strings.HasPrefix(line, "DATA"):
				data = true
				fmt.Fprint(conn, "354 go on\r\n")
			default:
				fmt.Fprint(conn, "250 fine\r\n")
			}
		}
	}()
	return listener.Addr().String(), out
}

func TestMail(t *testing.T) {
	for refuse, want := range map[string]fault.Class{"": fault.None, "RCPT": fault.Poison} {
		address, mail := mailbox(t, refuse)
		host, port, _ := net.SplitHostPort(address)
		config := read(t, map[string]string{
			"service.email": "host: " + host + "\nport: " + port + "\nfrom: Argosy <a@example.org>\nusername: u\npassword: $token\n",
			"template.done": "message: text\nemail: {subject: \"{{.app.metadata.name}} is up\\r\\nBcc: x@y\", body: \"dot\\n.\\nend ü\"}",
		}, map[string][]byte{"token": []byte("s3cret")})
		to := map[string][]Destination{"t": {{"email", "ops@example.org"}}}
		config.triggers["t"] = []Condition{{When: "true", Send: []string{"done"}}}
		_, _, err := NewSender(config, Env{}).Deliver(t.Context(), application("x"), to, State{}, noon)
		if fault.Of(err) != want {
			t.Fatalf("%q: %v", refuse, err)
		}
		if err != nil {
			continue
		}
		text := <-mail
		body := base64.StdEncoding.EncodeToString([]byte("dot\n.\nend ü"))
		for _, part := range []string{
			"MAIL FROM:<a@example.org>", "RCPT TO:<ops@example.org>", "Subject: web is up  Bcc: x@y\r\n",
			"\r\n\r\n" + body + "\r\n.\r\n",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("the mail lacks %q:\n%s", part, text)
			}
		}
	}
}

func TestTheBus(t *testing.T) {
	config := read(t, map[string]string{"service.nats": "{}", "template.done": "message: hi",
		"trigger.t": "[{when: 'true', send: [done]}]"}, nil)
	var got []string
	env := Env{Publish: func(_ context.Context, id, namespace, name string, data any) error {
		got = append(got, fmt.Sprintf("%d %s %s %v", len(id), namespace, name, data))
		return nil
	}}
	to := map[string][]Destination{"t": {{"nats", "builds"}}}
	if _, _, err := NewSender(config, env).Deliver(t.Context(), application("x"), to, State{}, noon); err != nil ||
		fmt.Sprint(got) != "[32 team builds map[message:hi]]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, problems := Read(map[string]string{"service.nats": "url: nats://other"}, nil); len(problems) != 1 {
		t.Error("another server is taken")
	}
}

// The keys are those that notifications-engine writes: who comes from there is told nothing twice.
func TestStateIsThatOfTheEngine(t *testing.T) {
	c := read(t, map[string]string{
		"trigger.on-synced": "- when: app.status.operationState.phase == 'Succeeded'\n  oncePer: app.status.operationState.syncResult.revision\n  send: [done]\n",
	}, nil)
	to := map[string][]Destination{"on-synced": {{"slack", "ops"}}}
	got := c.Decide(application("Succeeded"), to, State{})
	// The sum is printf %s "the condition" | openssl sha1 -binary | base64, without = and with the letters of URLs.
	if len(got.Send) != 1 || got.Send[0].Key != "abc:on-synced:[0].LpuibPsvUlFP2XzU_R_WZoKwzxY:slack:ops" {
		t.Fatalf("%+v", got)
	}
	again := c.Decide(application("Succeeded"), to, State{got.Send[0].Key: 1})
	other := application("Succeeded")
	status := other.Object["status"].(map[string]any)
	status["operationState"].(map[string]any)["syncResult"] = map[string]any{"revision": "def"}
	if next := c.Decide(other, to, State{got.Send[0].Key: 1}); len(again.Send) != 0 || len(next.Send) != 1 ||
		len(next.Forget) != 0 {
		t.Errorf("%+v\n%+v", again, next)
	}
	s := State{}
	for i := range 150 {
		s[fmt.Sprint("k", i)] = int64(i)
	}
	if kept := ReadState(s.Text()); len(kept) != maxState || kept["k149"] != 149 {
		t.Errorf("%d entries are kept", len(kept))
	}
	if ReadState("{").Text() != "" || ReadState("null").Text() != "" {
		t.Error("what cannot be read is not empty")
	}
}

// A fact is told once; when it holds no more it is forgotten, and the next time is another fact.
func TestOncePerFact(t *testing.T) {
	s := newSink(t)
	config := read(t, map[string]string{
		"service.webhook.w": "url: " + s.URL, "template.done": "message: x", "trigger.t": onSynced,
	}, nil)
	sender := NewSender(config, Env{Client: s.Client()})
	to := map[string][]Destination{"t": {{"w", ""}}}
	told := State{}
	for i, c := range []struct {
		phase string
		sent  int
	}{{"Running", 0}, {"Succeeded", 1}, {"Succeeded", 1}, {"Running", 1}, {"Succeeded", 2}} {
		var err error
		subject := application(c.phase)
		subject.Fact = fmt.Sprint("uid/", i)
		if told, _, err = sender.Deliver(t.Context(), subject, to, told, noon); err != nil || len(s.got) != c.sent {
			t.Errorf("%d: %d sent, want %d; %v", i, len(s.got), c.sent, err)
		}
	}
	if s.got[0] == s.got[1] {
		t.Error("two facts have one id")
	}
}

// A crash before anything was sent tells it later; one before it was recorded tells it again, under the same id.
func TestCrashes(t *testing.T) {
	s := newSink(t)
	config := read(t, map[string]string{
		"service.webhook.w": "url: " + s.URL, "template.done": "message: x", "trigger.t": onSynced,
	}, nil)
	to := map[string][]Destination{"t": {{"w", "a"}, {"w", "b"}}}
	ended, end := context.WithCancel(t.Context())
	end()
	sender := NewSender(config, Env{Client: s.Client()})
	told, changed, err := sender.Deliver(ended, application("Succeeded"), to, State{}, noon)
	if changed || len(told) != 0 || fault.Of(err) != fault.Retry || len(s.got) != 0 {
		t.Fatalf("it was over before: %v, %v, %v", told, err, s.got)
	}
	recorded := State{}
	for range 2 { // the first answer is lost
		if told, _, err = NewSender(config, Env{Client: s.Client()}).Deliver(t.Context(),
			application("Succeeded"), to, recorded, noon); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.got) != 4 || s.got[0] != s.got[2] || s.got[1] != s.got[3] || s.got[0] == s.got[1] {
		t.Errorf("what is sent again:\n%s", strings.Join(s.got, "\n"))
	}
	if _, changed, err := sender.Deliver(t.Context(), application("Succeeded"), to, told, noon); changed ||
		err != nil || len(s.got) != 4 {
		t.Errorf("what is recorded is sent: %v", err)
	}
}

// What can never be sent counts as told; what may be sent later does not, and neither keeps the others from being sent.
func TestFailures(t *testing.T) {
	good, busy, bad := newSink(t), newSink(t), newSink(t)
	busy.status, bad.status, bad.answer = http.StatusServiceUnavailable, http.StatusForbidden, "s3cret is wrong"
	config := read(t, map[string]string{
		"service.webhook.good": "url: " + good.URL, "service.webhook.busy": "url: " + busy.URL,
		"service.webhook.bad": "url: " + bad.URL + "\nheaders: [{name: Authorization, value: $token}]", "template.done": "message: x", "trigger.t": onSynced,
	}, map[string][]byte{"token": []byte("s3cret")})
	sender := NewSender(config, Env{})
	to := map[string][]Destination{"t": {{"good", ""}, {"busy", ""}, {"bad", ""}, {"none", ""}}}
	told, _, err := sender.Deliver(t.Context(), application("Succeeded"), to, State{}, noon)
	if len(told) != 3 || fault.Of(err) != fault.Retry || !strings.Contains(err.Error(), "notify busy:") {
		t.Errorf("%v, %v", told, err)
	}
	busy.status = http.StatusOK
	_, _, err = sender.Deliver(t.Context(), application("Succeeded"), map[string][]Destination{"t": {{"bad",
		""}}}, State{}, noon)
	if fault.Of(err) != fault.Poison || strings.Contains(err.Error(), "s3cret") ||
		!strings.Contains(err.Error(), "403: *** is wrong") {
		t.Errorf("a value of the Secret is told: %v", err)
	}
	if told, _, err = sender.Deliver(t.Context(), application("Succeeded"), to, told, noon); err != nil ||
		len(told) != 4 ||
		len(good.got) != 1 {
		t.Errorf("%v, %v", told, err)
	}
}

// A target that does not answer holds its own share and nothing else.
func TestASlowTargetHoldsNoOther(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{}, 100)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer slow.Close()
	good := newSink(t)
	config := read(t, map[string]string{
		"service.webhook.good": "url: " + good.URL, "service.webhook.slow": "url: " + slow.URL,
		"template.done": "message: x", "trigger.t": onSynced,
	}, nil)
	sender := NewSender(config, Env{})
	both := map[string][]Destination{"t": {{"good", ""}, {"slow", ""}}}
	var wait sync.WaitGroup
	for range share {
		wait.Go(func() {
			if _, _, err := sender.Deliver(t.Context(), application("Succeeded"), both, State{}, noon); err != nil {
				t.Error(err)
			}
		})
		<-arrived
	}
	told, _, err := sender.Deliver(t.Context(), application("Succeeded"), both, State{}, noon)
	if !errors.Is(err, ErrBusy) || len(told) != 1 {
		t.Errorf("%v, %v", told, err)
	}
	close(release)
	wait.Wait()
	if len(good.got) != share+1 {
		t.Errorf("%d of %d got through", len(good.got), share+1)
	}
}

func TestSubscriptions(t *testing.T) {
	c := read(t, map[string]string{
		"defaultTriggers": "[a, b]", "defaultTriggers.mail": "[c]",
		"subscriptions": "- recipients: ['slack:all', 'mail']\n  triggers: [x]\n  selector: team=web\n- recipients: ['slack:none']\n  selector: team=db\n",
	}, nil)
	got := c.Destinations(labels.Set{"team": "web"}, map[string]string{
		prefix + "subscribe.on-x.slack": "one; two", prefix + "subscribe.slack": "three",
		prefix + "subscribe.mail": "m",
		"other":                   "x", prefix + "subscriptions": "- trigger: [z]\n  destinations: [{service: slack, recipients: [four]}]",
	}, map[string]string{prefix + "subscribe.on-x.slack": "one;of-project"})
	want := "map[a:[{slack three}] b:[{slack three}] c:[{mail m}] on-x:[{slack of-project} {slack one} {slack two}] x:[{mail } {slack all}] z:[{slack four}]]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v\nwant %s", got, want)
	}
}

func TestProblems(t *testing.T) {
	for key, c := range map[string][2]string{
		"trigger.a":       {"- when: 'a ==='", "condition 0"},
		"trigger.b":       {"x", "no list"},
		"template.a":      {"message: '{{.x'", "message: template"},
		"template.b":      {"[]", "no object"},
		"service.pigeon":  {"{}", `no service "pigeon"`},
		"service.slack":   {"token: $none", "the Secret has no $none"},
		"service.webhook": {"{}", "url must be set"},
		"service.email":   {"host: x\nfrom: '@'", "no address"},
		"service.github":  {"{appID: 1, installationID: 2, privateKey: s3cret}", "no RSA key"},
		"subscriptions":   {"- selector: 'a in'", "selector"},
		"defaultTriggers": {"{", "yaml"},
		"service.jira":    {"url: x", "token must be set"},
	} {
		_, problems := Read(map[string]string{key: c[0]}, map[string][]byte{"k": []byte("s3cret")})
		if len(problems) != 1 || !strings.Contains(problems[0].String(), c[1]) ||
			!strings.HasPrefix(problems[0].String(), key) ||
			strings.Contains(problems[0].String(), "s3cret") {
			t.Errorf("%s: %v", key, problems)
		}
	}
	c := read(t, map[string]string{"trigger.a": "- when: app.none.x == 1\n  send: [t]\n"}, nil)
	to := map[string][]Destination{"a": {{"w", ""}}, "gone": {{"w", ""}}}
	if d := c.Decide(application("x"), to, State{}); len(d.Send) != 0 || len(d.Wrong) != 2 {
		t.Errorf("%+v", d)
	}
}

// A secret cannot end the value that it stands in.
func TestSecretsStayValues(t *testing.T) {
	c := read(t, map[string]string{"service.slack": "token: \"$a\"\nusername: x\n"},
		map[string][]byte{"a": []byte("t\"\nusername: evil")})
	got, err := decode[slackConfig](c.services["slack"].text)
	if err != nil || got.Username != "x" || got.Token != "t\"\nusername: evil" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A template that would write without end is stopped.
func TestTemplatesAreBounded(t *testing.T) {
	c := read(t, map[string]string{
		"template.done": "message: '{{ range until 1000000 }}xxxxxxxxxxxxxxxx{{ end }}'", "service.webhook.w": "url: http://x", "trigger.t": "[{when: 'true', send: [done]}]",
	}, nil)
	_, err := c.Render(application("x"), Notification{Templates: []string{"done"}, To: Destination{"w", ""}})
	if err == nil || !strings.Contains(err.Error(), "over budget") {
		t.Error(err)
	}
	for _, name := range []string{"env \"HOME\"", "genPrivateKey \"rsa\""} {
		if _, problems := Read(map[string]string{"template.a": "message: '{{ " + name + " }}'"},
			nil); len(problems) != 1 {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("trigger.a", onSynced, "$x")
	f.Add("template.a", "message: '{{.app}}'\nslack: {blocks: '[]'}", "s")
	f.Add("service.webhook.a", "url: $k", "v")
	f.Add("subscriptions", "- {recipients: [a], selector: 'a in (b)'}", "")
	f.Fuzz(func(t *testing.T, key, text, secret string) {
		c, _ := Read(map[string]string{key: text, "trigger.t": onSynced}, map[string][]byte{"k": []byte(secret)})
		to := c.Destinations(nil, map[string]string{prefix + "subscriptions": text, prefix + "subscribe.t.w": text})
		d := c.Decide(application("Succeeded"), to, ReadState(text))
		for _, n := range d.Send {
			_, _ = c.Render(application("Succeeded"), n) // whatever it says, it comes back
		}
		if !slices.IsSortedFunc(d.Send, func(a, b Notification) int { return strings.Compare(a.Trigger, b.Trigger) }) {
			t.Error("the order depends on chance")
		}
	})
}
