package core

import (
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is when every request of these tests arrives.
var clock = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// signer is a sender that knows how to sign.
type signer struct {
	name     string
	provider string
	header   string            // that carries the signature
	body     string            // that is accepted
	more     map[string]string // headers that an accepted request needs
	prefix   string
	sign     func(key string, body []byte, at time.Time) string
	other    func(key string, body []byte) string // with an algorithm that is not accepted; nil when there is no choice
	timed    bool                                 // a signature grows old
	plain    bool                                 // the secret itself is sent, so another body changes nothing
	change   func(r *Route)
}

func hexMAC(key string, body []byte, _ time.Time) string { return hex.EncodeToString(sign(key, body)) }

func hub(key string, body []byte, at time.Time) string { return "sha256=" + hexMAC(key, body, at) }

func hubSHA1(key string, body []byte) string {
	return "sha1=" + hex.EncodeToString(mac(sha1.New, key, body))
}

func signers() []signer {
	push := `{"ref":"refs/heads/main"}`
	slackAt := fmt.Sprint(clock.Unix())
	return []signer{
		{
			name:     "github",
			provider: "github",
			header:   "X-Hub-Signature-256",
			body:     push,
			more:     map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "d"},
			prefix:   "sha256=",
			sign:     hub,
			other:    hubSHA1,
		},
		{
			name:     "gitlab",
			provider: "gitlab",
			header:   "X-Gitlab-Token",
			body:     push,
			sign:     func(key string, _ []byte, _ time.Time) string { return key },
			plain:    true,
		},
		{
			name:     "bitbucket",
			provider: "bitbucket",
			header:   "X-Hub-Signature",
			body:     push,
			prefix:   "sha256=",
			sign:     hub,
			other:    hubSHA1,
		},
		{
			name:     "bitbucketserver",
			provider: "bitbucketserver",
			header:   "X-Hub-Signature",
			body:     push,
			prefix:   "sha256=",
			sign:     hub,
			other:    hubSHA1,
		},
		{
			name:     "gitea",
			provider: "gitea",
			header:   "X-Gitea-Signature",
			body:     push,
			more:     map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "d"},
			sign:     hexMAC,
			other:    func(key string, body []byte) string { return hex.EncodeToString(mac(sha1.New, key, body)) },
		},
		{
			name:     "forgejo",
			provider: "gitea",
			header:   "X-Forgejo-Signature",
			body:     push,
			more:     map[string]string{"X-Forgejo-Event": "push", "X-Forgejo-Delivery": "d"},
			sign:     hexMAC,
		},
		{
			name:     "gitea as github",
			provider: "gitea",
			header:   "X-Hub-Signature-256",
			body:     push,
			more:     map[string]string{"X-Gitea-Event": "push", "X-Gitea-Delivery": "d"},
			prefix:   "sha256=",
			sign:     hub,
		},
		{
			name:     "stripe",
			provider: "stripe",
			header:   "Stripe-Signature",
			body:     `{"id":"evt_1","type":"charge.succeeded"}`,
			prefix:   "t=1,v1=",
			timed:    true,
			sign: func(key string, body []byte, at time.Time) string {
				t := fmt.Sprint(at.Unix())
				return "t=" + t + ",v1=" + hex.EncodeToString(sign(key, []byte(t+"."), body)) + ",v0=00"
			},
			other: func(key string, body []byte) string { return "t=" + slackAt + ",v0=" + hexMAC(key, body, clock) },
		},
		{
			name:     "slack",
			provider: "slack",
			header:   "X-Slack-Signature",
			body:     `{"type":"event_callback","event_id":"e","event":{}}`,
			more:     map[string]string{"X-Slack-Request-Timestamp": slackAt},
			prefix:   "v0=",
			sign: func(key string, body []byte, _ time.Time) string {
				return "v0=" + hex.EncodeToString(sign(key, []byte("v0:"+slackAt+":"), body))
			},
		},
		{
			name:     "webhook sha256 hex",
			provider: "webhook",
			header:   "X-Signature",
			body:     push,
			sign:     hexMAC,
			change:   func(r *Route) { r.Signature = Signature{Header: "X-Signature", Key: r.Secret} },
			other:    func(key string, body []byte) string { return hex.EncodeToString(mac(md5.New, key, body)) },
		},
		{name: "webhook sha512 base64", provider: "webhook", header: "X-Signature", body: push, prefix: "v=",
			sign: func(key string, body []byte, _ time.Time) string {
				return "v=" + base64.StdEncoding.EncodeToString(mac(sha512.New, key, body))
			},
			change: func(r *Route) {
				r.Signature = Signature{
					Header: "X-Signature", Key: r.Secret, Algorithm: "sha512", Encoding: "base64", Prefix: "v=",
				}
			}},
		{
			name:     "cloudEvents",
			provider: "cloudEvents",
			header:   "X-Signature",
			body:     push,
			sign:     hexMAC,
			more:     map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "s", "Ce-Type": "t"},
			change:   func(r *Route) { r.Signature = Signature{Header: "X-Signature", Key: r.Secret} },
		},
		{
			name:     "registry",
			provider: "registry",
			header:   "X-Hub-Signature-256",
			body:     `{"push_data":{"tag":"a"},"repository":{"repo_name":"b"}}`,
			prefix:   "sha256=",
			sign:     hub,
			other:    hubSHA1,
		},
	}
}

func (s signer) send(signature string, body []byte) Outcome {
	h := http.Header{}
	for k, v := range s.more {
		h.Set(k, v)
	}
	h.Set("Content-Type", "application/json")
	if signature != "" {
		h.Set(s.header, signature)
	}
	route := Route{Provider: s.provider, Secret: secret}
	if s.change != nil {
		s.change(&route)
	}
	return Decide(route, Request{Method: "POST", Header: h, Body: body, Now: clock})
}

func TestSignatures(t *testing.T) {
	for _, s := range signers() {
		body := []byte(s.body)
		good := s.sign(secret, body, clock)
		refused := map[string]string{
			"missing":      "",
			"wrong secret": s.sign("other", body, clock),
			"truncated":    good[:len(good)-2],
			"one more":     good + "00",
			"garbage":      "\x00\xff zz",
			"prefix only":  s.prefix,
			"empty hex":    s.prefix + "",
			"not hex":      s.prefix + strings.Repeat("zz", 32),
			"comma":        ",,=,=",
		}
		if s.name == "stripe" { // what follows v1 is another part
			refused["truncated"], refused["one more"] = strings.Replace(good, ",v0=", "", 1)[:40], strings.Replace(
				good, ",v0", "00,v0", 1,
			)
		}
		if s.prefix != "" && s.name != "stripe" {
			refused["no prefix"] = strings.TrimPrefix(good, s.prefix)
		}
		if s.other != nil {
			refused["other algorithm"] = s.other(secret, body)
		}
		if s.timed {
			refused["replayed"] = s.sign(secret, body, clock.Add(-time.Hour))
			refused["from the future"] = s.sign(secret, body, clock.Add(time.Hour))
		}
		if got := s.send(good, body); got.Status != 200 || len(got.Items) != 1 {
			t.Errorf("%s: good: %d %s %s", s.name, got.Status, got.Class, got.Text)
		}
		for why, signature := range refused {
			if got := s.send(signature, body); got.Status != 401 || got.Class != "unauthorized" || len(got.Items) > 0 {
				t.Errorf("%s: %s: %d %s, %d items", s.name, why, got.Status, got.Text, len(got.Items))
			}
		}
		if got := s.send(good, append([]byte(" "), body...)); !s.plain && got.Status != 401 {
			t.Errorf("%s: replayed on another body: %d", s.name, got.Status)
		}
	}
}

func TestSlackForgetsOldRequests(t *testing.T) {
	at := fmt.Sprint(clock.Add(-10 * time.Minute).Unix())
	body := []byte(`{"type":"event_callback","event_id":"e","event":{}}`)
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", at)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(sign(secret, []byte("v0:"+at+":"), body)))
	if got := Decide(
		Route{Provider: "slack", Secret: secret}, Request{Method: "POST", Header: h, Body: body, Now: clock},
	); got.Status != 401 {
		t.Errorf("%+v", got)
	}
	h.Set("X-Slack-Request-Timestamp", "noon")
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(sign(secret, []byte("v0:noon:"), body)))
	if got := Decide(
		Route{Provider: "slack", Secret: secret}, Request{Method: "POST", Header: h, Body: body, Now: clock},
	); got.Status != 401 {
		t.Errorf("%+v", got)
	}
}

// snsKeys are made once: they take a while.
var snsKeys = sync.OnceValues(func() (*rsa.PrivateKey, []byte) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns"}, NotBefore: clock.Add(-time.Hour),
		NotAfter: clock.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
})

const snsCert = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"

func snsBody(t *testing.T, m snsMessage) []byte {
	t.Helper()
	key, _ := snsKeys()
	kind, sum := crypto.SHA256, sha256.Sum256(snsCanonical(m))
	digest := sum[:]
	if m.SignatureVersion == "1" {
		one := sha1.Sum(snsCanonical(m))
		kind, digest = crypto.SHA1, one[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, kind, digest)
	if err != nil {
		t.Fatal(err)
	}
	m.Signature = base64.StdEncoding.EncodeToString(signature)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSNS(t *testing.T) {
	_, cert := snsKeys()
	note := snsMessage{
		Type:             "Notification",
		MessageID:        "m1",
		TopicArn:         "arn:t",
		Message:          "hi",
		Subject:          "s",
		Timestamp:        "2026",
		SignatureVersion: "2",
		SigningCertURL:   snsCert,
	}
	confirm := snsMessage{
		Type:             "SubscriptionConfirmation",
		MessageID:        "m1",
		Token:            "k",
		TopicArn:         "arn:t",
		Message:          "hi",
		Timestamp:        "2026",
		SignatureVersion: "1",
		SigningCertURL:   snsCert,
		SubscribeURL:     "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
	}
	with := func(m snsMessage, change func(*snsMessage)) snsMessage { change(&m); return m }
	cases := []struct {
		name  string
		body  []byte
		cert  []byte
		at    time.Time
		want  int
		items int
		visit string
	}{
		{"version 2", snsBody(t, note), cert, clock, 200, 1, ""},
		{
			"version 1", snsBody(t, with(note, func(m *snsMessage) { m.SignatureVersion = "1" })), cert, clock, 200, 1,
			"",
		},
		{"no subject", snsBody(t, with(note, func(m *snsMessage) { m.Subject = "" })), cert, clock, 200, 1, ""},
		{"confirmation", snsBody(t, confirm), cert, clock, 200, 0, confirm.SubscribeURL},
		{
			"goodbye", snsBody(t, with(confirm, func(m *snsMessage) { m.Type = "UnsubscribeConfirmation" })), cert,
			clock, 200, 0, "",
		},
		{
			"confirmation elsewhere",
			snsBody(t, with(confirm, func(m *snsMessage) { m.SubscribeURL = "https://evil.example/" })), cert, clock,
			401, 0, "",
		},
		{
			"version 3", snsBody(t, with(note, func(m *snsMessage) { m.SignatureVersion = "3" })), cert, clock, 401, 0,
			"",
		},
		{
			"another topic", snsBody(t, with(note, func(m *snsMessage) { m.TopicArn = "arn:u" })), cert, clock, 403, 0,
			"",
		},
		{"changed", []byte(strings.Replace(string(snsBody(t, note)), `"hi"`, `"ho"`, 1)), cert, clock, 401, 0, ""},
		{"no signature", []byte(`{"Type":"Notification","SigningCertURL":"` + snsCert + `"}`), cert, clock, 401, 0, ""},
		{"no certificate", snsBody(t, note), nil, clock, 401, 0, ""},
		{
			"garbage for one", snsBody(t, note),
			[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), clock, 401, 0, "",
		},
		{"certificate out of date", snsBody(t, note), cert, clock.Add(2 * time.Hour), 401, 0, ""},
		{"not JSON", []byte(`Type=Notification`), cert, clock, 400, 0, ""},
	}
	for _, c := range cases {
		got := Decide(
			Route{Provider: "sns", Topic: "arn:t"},
			Request{Method: "POST", Header: http.Header{}, Body: c.body, Now: c.at, Fetched: c.cert},
		)
		if got.Status != c.want || len(got.Items) != c.items || got.Visit != c.visit {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestOnlyAmazonsCertificatesAreFetched(t *testing.T) {
	route := Route{Provider: "sns", Hosts: []string{"localhost:4566"}}
	for text, good := range map[string]bool{
		snsCert: true, "https://sns.cn-north-1.amazonaws.com.cn/x.pem": true, "http://localhost:4566/x.pem": true,
		"http://sns.eu-west-1.amazonaws.com/x.pem":               false,
		"https://sns.eu-west-1.amazonaws.com.evil.example/x.pem": false,
		"https://evil.example/x.pem":                             false, "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem": false,
		"https://sns.eu-west-1.amazonaws.com/x": false, "": false,
		"https://s3.amazonaws.com/sns.eu-west-1.amazonaws.com/x.pem": false, "::": false,
	} {
		body := encoded(map[string]string{"SigningCertURL": text})
		got, err := Needs(route, Request{Body: body})
		if good != (err == nil) || good && got != text {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if got, err := Needs(Route{Provider: "sns", Unsigned: true}, Request{Body: []byte("{}")}); got != "" || err != nil {
		t.Error("nothing is needed without a check")
	}
	if got, err := Needs(Route{Provider: "webhook"}, Request{}); got != "" || err != nil {
		t.Error("a webhook needs nothing")
	}
}

func TestSlackTokenOfOldApps(t *testing.T) {
	form := url.Values{"command": {"/go"}, "token": {"tok"}, "trigger_id": {"t1"}, "text": {"now"}}.Encode()
	interaction := url.Values{"payload": {`{"type":"block_actions","token":"tok"}`}}.Encode()
	for _, c := range []struct {
		name, kind, body, token string
		want                    int
	}{
		{"command", formType, form, "tok", 200},
		{"wrong", formType, form, "other", 401},
		{"interaction", formType, interaction, "tok", 200},
		{
			"event", "application/json",
			`{"token":"tok","type":"event_callback","event_id":"e","event":{"type":"message"}}`, "tok", 200,
		},
		{"event without", "application/json", `{"type":"event_callback","event_id":"e","event":{}}`, "tok", 401},
	} {
		h := http.Header{"Content-Type": {c.kind}}
		got := Decide(
			Route{Provider: "slack", Token: c.token},
			Request{Method: "POST", Header: h, Body: []byte(c.body), Now: clock},
		)
		if got.Status != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		for _, i := range got.Items {
			if strings.Contains(string(i.Data), `"tok"`) {
				t.Errorf("%s: the token is in %s", c.name, i.Data)
			}
		}
	}
}
