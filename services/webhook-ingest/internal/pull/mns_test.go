package pull

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// mnsd answers as a queue of MNS does, to who signs as guest. A message that was
// received is hidden until the test shows it again.
type mnsd struct {
	mu      sync.Mutex
	hidden  bool
	broken  bool
	token   string // that requests must bring
	deleted []string
}

func (m *mnsd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mac := hmac.New(sha1.New, []byte("guest"))
	mac.Write([]byte(r.Method + "\n\n\n" + r.Header.Get("Date") + "\nx-mns-version:2015-06-06\n" + r.RequestURI))
	switch {
	case r.Header.Get("Authorization") != "MNS guest:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) ||
		r.Header.Get("Security-Token") != m.token:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error xmlns="http://mns.aliyuncs.com/doc/v1"><Code>AccessDenied</Code></Error>`)
	case r.URL.Path != "/queues/orders/messages":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error xmlns="http://mns.aliyuncs.com/doc/v1"><Code>QueueNotExist</Code></Error>`)
	case r.Method == http.MethodDelete:
		m.deleted = append(m.deleted, strings.TrimPrefix(r.URL.RawQuery, "ReceiptHandle="))
		w.WriteHeader(http.StatusNoContent)
	case m.broken:
		fmt.Fprint(w, "no XML <")
	case m.hidden:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error xmlns="http://mns.aliyuncs.com/doc/v1"><Code>MessageNotExist</Code></Error>`)
	default:
		m.hidden = true
		fmt.Fprint(w, `<?xml version="1.0"?><Messages xmlns="http://mns.aliyuncs.com/doc/v1/">`+
			`<Message><MessageId>m1</MessageId><ReceiptHandle>1-ab==</ReceiptHandle><MessageBody>{"n":1}</MessageBody></Message>`+
			`<Message><MessageId>m2</MessageId><ReceiptHandle>2-cd</ReceiptHandle><MessageBody>text</MessageBody></Message></Messages>`)
	}
}

func (m *mnsd) gone(want string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := strings.Join(m.deleted, " "); got != want {
		return fmt.Errorf("deleted %q, want %q", got, want)
	}
	return nil
}

func TestAnMNSMessageIsDeletedWhenItIsDurable(t *testing.T) {
	m := &mnsd{}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	r := newRig(t)
	c := v1alpha1.MNSEventSource{
		Queue: "orders", Endpoint: server.URL + "/", AccessKey: ref("user"), SecretKey: ref("password"), JSONBody: true,
	}
	var seen told
	r.refuse = func(e told) bool { seen = e; return e.get("messageId") == "m2" }
	if err := mnsQueue(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("an event that is not durable ends the reading")
	}
	if err := m.gone("1-ab=="); err != nil {
		t.Error(err)
	}
	first := r.next()
	if first.get("messageId") != "m1" || first.get("body.n") != "1" || first.id == "" {
		t.Errorf("%+v", first)
	}
	m.mu.Lock()
	m.hidden = false
	m.mu.Unlock()
	r.refuse, c.JSONBody = nil, false
	stop := r.start(mnsQueue(c))
	if again := r.next(); again.id != first.id || again.get("body") != `{"n":1}` {
		t.Errorf("%+v: the same message has the same id", again)
	}
	if e := r.next(); e.get("body") != "text" || e.id != seen.id || e.id == first.id {
		t.Errorf("%+v, before %+v", e, seen)
	}
	eventually(t, "delete both", func() error { return m.gone("1-ab== 1-ab== 2-cd") })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestMNSThatCannotBeRead(t *testing.T) {
	m := &mnsd{}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	secretData["other"] = "other"
	r := newRig(t)
	good := v1alpha1.MNSEventSource{
		Queue: "orders", Endpoint: server.URL, AccessKey: ref("user"), SecretKey: ref("password"),
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.MNSEventSource)
		says   string
	}{
		"no endpoint":   {func(c *v1alpha1.MNSEventSource) { c.Endpoint = "cn-hangzhou" }, "no URL"},
		"half the keys": {func(c *v1alpha1.MNSEventSource) { c.AccessKey = nil }, "come together"},
		"no keys": {
			func(c *v1alpha1.MNSEventSource) { c.AccessKey, c.SecretKey = nil, nil }, "--identity-namespaces",
		},
		"no secret": {func(c *v1alpha1.MNSEventSource) { c.SecretKey = ref("empty") }, "no key"},
		"no access": {func(c *v1alpha1.MNSEventSource) { c.AccessKey = ref("empty") }, "no key"},
		"other key": {func(c *v1alpha1.MNSEventSource) { c.SecretKey = ref("other") }, "403 AccessDenied"},
		"no queue":  {func(c *v1alpha1.MNSEventSource) { c.Queue = "none" }, "404 QueueNotExist"},
		"nobody":    {func(c *v1alpha1.MNSEventSource) { c.Endpoint = "http://127.0.0.1:1" }, "reach 127.0.0.1:1"},
	} {
		config := good
		c.change(&config)
		if err := mnsQueue(config).Run(t.Context(), r.env, r.emit); err == nil ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.broken = true
	if err := mnsQueue(good).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("an answer that is no list")
	}
}

// TestMNSSignature is the example that Alibaba Cloud publishes, of which it shows all
// but the last characters.
func TestMNSSignature(t *testing.T) {
	r, err := http.NewRequestWithContext(
		t.Context(), http.MethodGet, "http://1.mns.cn-hangzhou.aliyuncs.com/MyQueue", nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Date", "Thu, 09 Jul 2015 03:01:34 GMT")
	r.Header.Set("x-mns-version", "2015-06-06")
	if got := mnsSignature("TestAccessSecret", r); !strings.HasPrefix(got, "uwx3yeWoILzgmvesW0BQSgfM") {
		t.Error(got)
	}
}
