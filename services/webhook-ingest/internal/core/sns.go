package core

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // version 1 of the signature is SHA-1, and most topics still have it
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

var snsProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.SNS, snsHook) },
	Needs:  needsSNS,
	Verify: bearerAnd(verifySNS),
	Decode: decodeSNS,
	Answer: answerSNS,
}

func snsHook(c v1alpha1.SNSEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Topic: c.TopicArn, Metadata: c.Metadata, Unsigned: !c.ValidateSignature}}
	if u, err := url.Parse(c.Endpoint); err == nil && u.Host != "" {
		h.Route.Hosts = []string{u.Host}
	}
	h.listen(c.Webhook)
	return h
}

// snsMessage is what Amazon SNS posts. Source: Amazon SNS, "HTTP/HTTPS
// notification JSON format".
type snsMessage struct {
	Type             string `json:"Type"`
	MessageID        string `json:"MessageId"`
	Token            string `json:"Token"`
	TopicArn         string `json:"TopicArn"`
	Subject          string `json:"Subject"`
	Message          string `json:"Message"`
	Timestamp        string `json:"Timestamp"`
	SignatureVersion string `json:"SignatureVersion"`
	Signature        string `json:"Signature"`
	SigningCertURL   string `json:"SigningCertURL"`
	SubscribeURL     string `json:"SubscribeURL"`
}

const (
	snsNotification = "Notification"
	snsConfirmation = "SubscriptionConfirmation"
	snsFarewell     = "UnsubscribeConfirmation"
)

// rawSNS tells a message of a subscription with raw delivery: the body is the message
// alone, the rest stands in headers, and nothing is signed.
func rawSNS(req Request) bool {
	return strings.EqualFold(req.Header.Get("X-Amz-Sns-Rawdelivery"), "true")
}

func readSNS(req Request) (snsMessage, error) {
	if rawSNS(req) {
		h := req.Header
		return snsMessage{
			Type: snsNotification, MessageID: h.Get("X-Amz-Sns-Message-Id"), TopicArn: h.Get("X-Amz-Sns-Topic-Arn"),
			Message: string(req.Body),
		}, nil
	}
	var m snsMessage
	b, _, err := objectBody(req.Body)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b.text, &m); err != nil {
		return m, reject(http.StatusBadRequest, "malformed", "the body is not a message of SNS: %v", err)
	}
	return m, nil
}

// snsHost is where SNS serves its certificates and takes confirmations.
var snsHost = regexp.MustCompile(`^sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)

// pinned refuses URLs that lead elsewhere: they come from the body, and we would
// fetch them for whoever wrote it.
func pinned(route Route, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.User != nil {
		return reject(http.StatusUnauthorized, "unauthorized", "the message has a URL that is not one of SNS")
	}
	if slices.Contains(route.Hosts, u.Host) {
		return nil // the endpoint that the manifest names
	}
	if u.Scheme != "https" || !snsHost.MatchString(u.Host) {
		return reject(http.StatusUnauthorized, "unauthorized", "the message has a URL that is not one of SNS")
	}
	return nil
}

// needsSNS names the certificate that the message says it was signed with.
func needsSNS(route Route, req Request) (string, error) {
	if route.Unsigned {
		return "", nil
	}
	if rawSNS(req) {
		return "", reject(
			http.StatusUnauthorized, "unauthorized",
			"SNS does not sign messages of raw delivery: turn raw delivery off, or validateSignature",
		)
	}
	m, err := readSNS(req)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(m.SigningCertURL, ".pem") {
		return "", reject(http.StatusUnauthorized, "unauthorized", "SigningCertURL is missing or is not a certificate")
	}
	return m.SigningCertURL, pinned(route, m.SigningCertURL)
}

// verifySNS checks versions 1 (SHA-1) and 2 (SHA-256) of the signature.
func verifySNS(_ Route, req Request) error {
	m, err := readSNS(req)
	if err != nil {
		return err
	}
	wrong := reject(http.StatusUnauthorized, "unauthorized", "Signature does not match the message")
	block, _ := pem.Decode(req.Fetched)
	if block == nil {
		return reject(http.StatusUnauthorized, "unauthorized", "the certificate of the signature cannot be read")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return reject(http.StatusUnauthorized, "unauthorized", "the certificate of the signature cannot be read")
	}
	if req.Now.Before(cert.NotBefore) || req.Now.After(cert.NotAfter) {
		return reject(http.StatusUnauthorized, "unauthorized", "the certificate of the signature is out of date")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if !ok || err != nil {
		return wrong
	}
	text := snsCanonical(m)
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(text) //nolint:gosec // as above
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		return reject(http.StatusUnauthorized, "unauthorized", "SignatureVersion %q is unknown", m.SignatureVersion)
	}
	if err != nil {
		return wrong
	}
	return nil
}

// snsCanonical is the text that is signed: names and values in the order of names.
func snsCanonical(m snsMessage) []byte {
	fields := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageID}}
	if m.Type == snsNotification {
		if m.Subject != "" {
			fields = append(fields, [2]string{"Subject", m.Subject})
		}
	} else {
		fields = append(fields, [2]string{"SubscribeURL", m.SubscribeURL})
	}
	fields = append(fields, [2]string{"Timestamp", m.Timestamp})
	if m.Type != snsNotification {
		fields = append(fields, [2]string{"Token", m.Token})
	}
	fields = append(fields, [2]string{"TopicArn", m.TopicArn}, [2]string{"Type", m.Type})
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f[0] + "\n" + f[1] + "\n")
	}
	return []byte(b.String())
}

func decodeSNS(route Route, req Request) ([]Item, error) {
	m, err := readSNS(req)
	if err != nil {
		return nil, err
	}
	if route.Topic != "" && m.TopicArn != route.Topic {
		return nil, reject(http.StatusForbidden, "unauthorized", "the message is of another topic")
	}
	switch m.Type {
	case snsConfirmation:
		return nil, pinnedOrIgnored(route, m.SubscribeURL)
	case snsFarewell:
		return nil, errIgnored
	case snsNotification:
	default:
		return nil, reject(
			http.StatusBadRequest, "malformed", "the body is no message of SNS: its Type is %.64q", m.Type,
		)
	}
	if rawSNS(req) {
		return []Item{
			{ID: m.MessageID, Type: "sns", Data: view("header", req, rawSNSBody(m, req), route.Metadata)},
		}, nil
	}
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	return []Item{{ID: m.MessageID, Type: "sns", Data: view("header", req, b, route.Metadata)}}, nil
}

// rawSNSBody has the names that a message of SNS has, so that manifests need not know
// how it was delivered.
func rawSNSBody(m snsMessage, req Request) body {
	pairs := []pair{
		{key: "Type", text: quote(m.Type)}, {key: "MessageId", text: quote(m.MessageID)},
		{key: "TopicArn", text: quote(m.TopicArn)},
	}
	if utf8.Valid(req.Body) {
		pairs = append(pairs, pair{key: "Message", text: quote(string(PlainText(req.Body)))})
	} else {
		pairs = append(
			pairs, pair{key: "Message", text: encoded(req.Body)},
			pair{key: "MessageEncoding", text: quote(base64Encoding)},
		)
	}
	return body{text: joined(pairs), raw: req.Body}
}

// pinnedOrIgnored lets a confirmation through to its answer.
func pinnedOrIgnored(route Route, text string) error {
	if err := pinned(route, text); err != nil {
		return err
	}
	return errIgnored
}

// answerSNS confirms a subscription by visiting its URL; decodeSNS has looked at it.
func answerSNS(_ Route, req Request) Outcome {
	out := Outcome{Status: http.StatusOK, Text: "accepted"}
	if m, err := readSNS(req); err == nil && m.Type == snsConfirmation {
		out.Visit, out.Class = m.SubscribeURL, "handshake"
	}
	return out
}
