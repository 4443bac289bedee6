package trigger

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/events"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestSlack(t *testing.T) {
	x := newTarget(t)
	x.answers["/chat.postMessage"] = `{"ok":true,"ts":"12.5"}`
	a := newSlack(world(t)).(*messages)
	a.url = x.URL
	const trigger = `template: {name: t, slack: {channel: c, message: "m ", blocks: '[{"type":"divider"}]', slackToken: {name: s, key: token}, sender: {username: bot, icon: ":x:"},
thread: {messageAggregationKey: k, broadcastMessageToChannel: true}, parameters: [{src: {dependencyName: d, dataKey: body}, dest: message, operation: append}]}}`
	for range 2 {
		if _, err := a.Fire(t.Context(), callOf(t, trigger)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := fields(t, x.bodies[0]), fields(t, x.bodies[1])
	if first["text"] != "m hello" || first["channel"] != "c" || first["icon_emoji"] != ":x:" ||
		first["thread_ts"] != nil ||
		second["thread_ts"] != "12.5" ||
		second["reply_broadcast"] != true {
		t.Errorf("%v\n%v", first, second)
	}
	if first["client_msg_id"] != second["client_msg_id"] || len(first["client_msg_id"].(string)) != 36 ||
		x.got[0].Header.Get("Authorization") != "Bearer t0ken" {
		t.Errorf("%v", first)
	}
	for answer, want := range map[string]fault.Class{
		`{"ok":false,"error":"channel_not_found"}`: fault.Poison, `{"ok":false,"error":"ratelimited"}`: fault.Retry,
		`junk`: fault.Retry,
	} {
		x.answers["/chat.postMessage"] = answer
		if _, err := a.Fire(t.Context(), callOf(t, trigger)); fault.Of(err) != want {
			t.Errorf("%s: %v", answer, err)
		}
	}
	for _, bad := range []string{`{message: x}`, `{channel: c}`, `{channel: c, blocks: "["}`} {
		if _, err := a.Fire(
			t.Context(), callOf(t, "template: {name: t, slack: "+bad+"}"),
		); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// mailServer is as much of RFC 5321 as a client needs.
func mailServer(t *testing.T, refuse string) (port int, letters chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	letters = make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveMail(conn, refuse, letters)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, letters
}

func serveMail(conn net.Conn, refuse string, letters chan<- string) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	say := func(s string) { fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 stand-in")
	var envelope strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch {
		case refuse != "" && strings.HasPrefix(verb, refuse):
			say("550 no")
		case verb == "EHLO":
			say("250-stand-in\r\n250 AUTH PLAIN")
		case verb == "AUTH":
			say("235 welcome")
		case verb == "MAIL", verb == "RCPT":
			envelope.WriteString(line)
			say("250 fine")
		case verb == "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				part, err := r.ReadString('\n')
				if err != nil || part == ".\r\n" {
					break
				}
				text.WriteString(part)
			}
			letters <- envelope.String() + "\n" + text.String()
			say("250 kept")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

func TestEmail(t *testing.T) {
	port, letters := mailServer(t, "")
	trigger := fmt.Sprintf(
		`template: {name: t, email: {host: 127.0.0.1, port: %d, username: joe, smtpPassword: {name: s, key: password}, from: "Joe <joe@example.com>", to: [a@x.yz, b@x.technology],
subject: "ü ", body: "text ", parameters: [{src: {dependencyName: d, dataKey: body}, dest: body, operation: append}, {src: {dependencyName: d, dataKey: bad}, dest: subject, operation: append}]}}`,
		port,
	)
	if _, err := fire(t, world(t), trigger); err != nil {
		t.Fatal(err)
	}
	got := <-letters
	for _, want := range []string{
		"MAIL FROM:<joe@example.com>", "RCPT TO:<a@x.yz>", "RCPT TO:<b@x.technology>",
		"Message-ID: <" + key + "@example.com>", "\r\n\r\ntext hello", "Subject: =?utf-8?q?",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if strings.Contains(got, "\nBcc:") {
		t.Error("a value of the event added a header")
	}
	for refuse, want := range map[string]fault.Class{
		"AUTH": fault.Poison, "RCPT": fault.Poison, "MAIL": fault.Poison, "DATA": fault.Poison,
	} {
		port, _ := mailServer(t, refuse)
		if _, err := fire(
			t,
			world(t),
			fmt.Sprintf(
				`template: {name: t, email: {host: 127.0.0.1, port: %d, username: joe, from: j@x.yz, to: [a@x.yz]}}`,
				port,
			),
		); fault.Of(err) != want {
			t.Errorf("%s: %v", refuse, err)
		}
	}
	for _, bad := range []string{`from: x, to: [a@x.yz]`, `from: a@x.yz`, `from: a@x.yz, to: [x]`} {
		if _, err := fire(
			t, world(t), "template: {name: t, email: {host: 127.0.0.1, "+bad+"}}",
		); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := fire(
		t, world(t), `template: {name: t, email: {host: 127.0.0.1, port: 1, from: a@x.yz, to: [a@x.yz]}}`,
	); fault.Of(err) != fault.Retry {
		t.Errorf("no server: %v", err)
	}
}

func TestOpenWhisk(t *testing.T) {
	x := newTarget(t)
	if _, err := fire(
		t, world(t),
		`template: {name: t, openWhisk: {host: "`+x.URL+`", namespace: guest, actionName: hello, authToken: {name: s, key: whisk}, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`,
	); err != nil {
		t.Fatal(err)
	}
	user, password, _ := x.got[0].BasicAuth()
	if x.got[0].URL.String() != "/api/v1/namespaces/guest/actions/hello?blocking=true" || user != "id" ||
		password != "pw" ||
		x.bodies[0] != `{"m":"hello"}` {
		t.Errorf("%s %s:%s %s", x.got[0].URL, user, password, x.bodies[0])
	}
	x.status = http.StatusBadGateway
	if _, err := fire(
		t, world(t),
		`template: {name: t, openWhisk: {host: "`+x.URL+`", actionName: x, authToken: {name: s, key: token}, payload: []}}`,
	); fault.Of(err) != fault.Retry ||
		x.got[1].Header.Get("Authorization") != "Bearer t0ken" {
		t.Errorf("%v", err)
	}
}

func TestAzure(t *testing.T) {
	x := newTarget(t)
	x.status = http.StatusCreated
	secrets["connection"] = "Endpoint=" + x.URL + "/;SharedAccessKeyName=root;SharedAccessKey=abc=;EntityPath=other"
	if _, err := fire(
		t, world(t),
		`template: {name: t, azureServiceBus: {queueName: q, connectionString: {name: s, key: connection}, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`,
	); err != nil {
		t.Fatal(err)
	}
	r := x.got[0]
	if r.URL.Path != "/q/messages" || fields(t, r.Header.Get("BrokerProperties"))["MessageId"] != key ||
		!strings.HasPrefix(r.Header.Get("Authorization"), "SharedAccessSignature sr=") {
		t.Errorf("%s %v", r.URL, r.Header)
	}
	if _, err := fire(
		t, world(t),
		`template: {name: t, azureEventHubs: {fqdn: "`+x.URL+`", hubName: h, sharedAccessKeyName: {name: s, key: user}, sharedAccessKey: {name: s, key: password}, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`,
	); err != nil {
		t.Fatal(err)
	}
	if x.got[1].URL.Path != "/h/messages" || !strings.Contains(x.got[1].Header.Get("Authorization"), "skn=joe") ||
		x.bodies[1] != `{"m":"hello"}` {
		t.Errorf("%s %v", x.got[1].URL, x.got[1].Header)
	}
	_, err := fire(
		t, world(t),
		`template: {name: t, azureServiceBus: {queueName: q, connectionString: {name: s, key: token}, payload: []}}`,
	)
	if fault.Of(err) != fault.Poison || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("%v", err)
	}
}

// A signature worked out by hand with openssl: HMAC-SHA256 of the escaped resource, a
// newline and the time, in base64.
func TestSharedAccessSignatures(t *testing.T) {
	got := signature("https://NS.servicebus.windows.net/q", "root", "key", time.Unix(1700000000, 0))
	if !strings.HasPrefix(got, "SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Fq&sig=") ||
		!strings.HasSuffix(got, "&se=1700000000&skn=root") {
		t.Error(got)
	}
}

func TestLambda(t *testing.T) {
	x := newTarget(t)
	a := newLambda(world(t)).(*functions)
	a.endpoint = x.URL
	const trigger = `template: {name: t, awsLambda: {functionName: f, region: eu-west-1, accessKey: {name: s, key: user}, secretKey: {name: s, key: password}, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`
	if _, err := a.Fire(t.Context(), callOf(t, trigger)); err != nil {
		t.Fatal(err)
	}
	r := x.got[0]
	if r.URL.Path != "/2015-03-31/functions/f/invocations" || x.bodies[0] != `{"m":"hello"}` ||
		!strings.Contains(r.Header.Get("Authorization"), "Credential=joe/") ||
		r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" {
		t.Errorf("%s %s %v", r.URL, x.bodies[0], r.Header)
	}
	for status, want := range map[int]fault.Class{
		400: fault.Poison, 404: fault.Poison, 500: fault.Retry, 503: fault.Retry,
	} {
		x.status = status
		if _, err := a.Fire(t.Context(), callOf(t, trigger)); fault.Of(err) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
	x.status = 200
	if _, err := a.Fire(
		t.Context(), callOf(t, "policy: {status: {allow: [202]}}\n"+trigger),
	); fault.Of(err) != fault.Retry {
		t.Errorf("policy: %v", err)
	}
	if _, err := a.Fire(
		t.Context(), callOf(t, strings.Replace(trigger, "functionName", "invocationType: Sometimes, functionName", 1)),
	); fault.Of(err) != fault.Poison {
		t.Errorf("%v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// customServer is a trigger service of a user.
func customServer(t *testing.T) (address string, got chan wire) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got = make(chan wire, 10)
	method := func(name string, answer func(in wire) (*wire, error)) grpc.MethodDesc {
		return grpc.MethodDesc{
			MethodName: name,
			Handler: func(
				_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
			) (any, error) {
				var in wire
				if err := decode(&in); err != nil {
					return nil, err
				}
				if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("idempotency-key")) != 1 {
					return nil, status.Error(codes.InvalidArgument, "no key")
				}
				got <- in
				return answer(in)
			},
		}
	}
	s := grpc.NewServer(grpc.ForceServerCodec(wireCodec{}))
	s.RegisterService(
		&grpc.ServiceDesc{ServiceName: "triggers.Trigger", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
			method(
				"FetchResource",
				func(in wire) (*wire, error) { return &wire{one: []byte(`{"spec":` + string(in.one) + `}`)}, nil },
			),
			method("Execute", func(in wire) (*wire, error) {
				if strings.Contains(string(in.one), "unavailable") {
					return nil, status.Error(codes.Unavailable, "later")
				}
				return &wire{one: in.one}, nil
			}),
			method("ApplyPolicy", func(in wire) (*wire, error) {
				return &wire{success: !strings.Contains(string(in.one), "refuse"), two: []byte("judged")}, nil
			}),
		}},
		nil,
	)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), got
}

func TestCustom(t *testing.T) {
	address, got := customServer(t)
	said, err := fire(
		t, world(t),
		`template: {name: t, custom: {serverURL: "`+address+`", spec: {a: b}, payload: [{src: {dependencyName: d, dataKey: body}, dest: p}], parameters: [{src: {dependencyName: d, dataKey: body}, dest: spec.c}]}}`,
	)
	if err != nil || said.Summary != "judged" {
		t.Fatal(said, err)
	}
	fetch, execute, judge := <-got, <-got, <-got
	if string(fetch.one) != `{"a":"b"}` || string(execute.one) != `{"spec":{"a":"b","c":"hello"}}` ||
		string(execute.two) != `{"p":"hello"}` ||
		string(judge.one) != string(execute.one) {
		t.Errorf("%s %s %s %s", fetch.one, execute.one, execute.two, judge.one)
	}
	for spec, want := range map[string]fault.Class{"unavailable": fault.Retry, "refuse": fault.Retry} {
		if _, err := fire(
			t, world(t), `template: {name: t, custom: {serverURL: "`+address+`", spec: {a: `+spec+`}, payload: []}}`,
		); fault.Of(err) != want {
			t.Errorf("%s: %v", spec, err)
		}
	}
	if _, err := fire(
		t, world(t),
		`template: {name: t, custom: {serverURL: "`+address+`", secure: true, certSecret: {name: s, key: pem}, spec: {}, payload: []}}`,
	); fault.Of(err) != fault.Poison {
		t.Errorf("%v", err)
	}
}

func TestWorkflowCommands(t *testing.T) {
	const source = `source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: WorkflowTemplate, metadata: {name: w}, spec: {}}}, parameters: [{src: {dependencyName: d, dataKey: body}, dest: spec.x}]`
	out, err := fire(t, world(t), `template: {name: t, argoWorkflow: {`+source+`}}`)
	var submit events.SubmitWorkflow
	if err != nil || out.Commands[0].Subject != "commands.workflow-runner.submit.ns" ||
		out.Commands[0].Event.DataAs(&submit) != nil ||
		submit.Key != key ||
		submit.ServiceAccount != "builder" ||
		fields(t, string(submit.Workflow))["spec"].(map[string]any)["x"] != "hello" {
		t.Errorf("%+v %v", submit, err)
	}
	for _, operation := range operations {
		out, err := fire(
			t, world(t), `template: {name: t, argoWorkflow: {operation: `+operation+`, args: [--x], `+source+`}}`,
		)
		var c events.OperateWorkflow
		if err != nil || out.Commands[0].Subject != "commands.workflow-runner."+operation+".ns" ||
			out.Commands[0].Event.DataAs(&c) != nil ||
			c.Name != "w" ||
			c.Args[0] != "--x" ||
			c.Operation != operation {
			t.Errorf("%s: %+v %v", operation, c, err)
		}
		want := "Workflow"
		if operation == "submit-from" {
			want = "WorkflowTemplate"
		}
		if c.Kind != want {
			t.Errorf("%s of a %s", operation, c.Kind)
		}
	}
	for _, bad := range []string{
		`{operation: dance, ` + source + `}`, `{operation: stop, source: {resource: {kind: Workflow}}}`, `{}`,
		`{source: {inline: "["}}`,
	} {
		if _, err := fire(t, world(t), `template: {name: t, argoWorkflow: `+bad+`}`); fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestLogKeepsToItsInterval(t *testing.T) {
	w := world(t)
	now := time.Unix(100, 0)
	w.Now = func() time.Time { return now }
	a := newLog(w)
	c := callOf(t, `template: {name: t, log: {intervalSeconds: 10}}`)
	var quiet []bool
	for _, after := range []int64{0, 5, 10, 19, 21} {
		now = time.Unix(100+after, 0)
		said, err := a.Fire(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		quiet = append(quiet, said.Summary != "")
	}
	if fmt.Sprint(quiet) != "[false true false true false]" {
		t.Error(quiet)
	}
}
