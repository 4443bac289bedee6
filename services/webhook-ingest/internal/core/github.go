package core

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

const signaturePrefix = "sha256="

// verifyGitHub checks X-Hub-Signature-256. SHA-1 alone is not accepted: every
// GitHub since 2020 sends both.
func verifyGitHub(route Route, req Request) error {
	if err := verifyBearer(route, req); err != nil {
		return err
	}
	if route.Unsigned {
		return nil
	}
	got, ok := strings.CutPrefix(req.Header.Get("X-Hub-Signature-256"), signaturePrefix)
	if !ok {
		return reject(http.StatusUnauthorized, "unauthorized", "X-Hub-Signature-256 is missing")
	}
	claimed, err := hex.DecodeString(got)
	if err != nil || !hmac.Equal(claimed, sign(route.Secret, req.Body)) {
		return reject(http.StatusUnauthorized, "unauthorized", "X-Hub-Signature-256 does not match the body")
	}
	return nil
}

func sign(secret string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return mac.Sum(nil)
}

// compatible is the view that Sensors address with dataKey. Source: Argo Events,
// the Data of GithubEventData and WebhookEventData; raw is ours, for replay.
type compatible struct {
	Header   http.Header       `json:"header,omitempty"`  // webhook
	Headers  http.Header       `json:"headers,omitempty"` // github
	Body     json.RawMessage   `json:"body"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Raw      []byte            `json:"raw,omitempty"` // the bytes that were signed, when body is not them
}

func decodeGitHub(route Route, req Request) ([]Item, error) {
	kind, delivery := req.Header.Get("X-GitHub-Event"), req.Header.Get("X-GitHub-Delivery")
	if kind == "" || delivery == "" {
		return nil, reject(http.StatusBadRequest, "malformed", "X-GitHub-Event or X-GitHub-Delivery is missing")
	}
	if kind == "ping" || !wanted(route.Events, kind) {
		return nil, errIgnored
	}
	payload, err := githubPayload(req)
	if err != nil {
		return nil, err
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(payload, &body); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not a JSON object: %v", err)
	}
	body["X-GitHub-Event"], body["X-GitHub-Delivery"] = quote(kind), quote(delivery)
	view, err := json.Marshal(body)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body cannot be encoded again: %v", err)
	}
	data := compatible{Headers: public(req.Header), Body: view, Metadata: route.Metadata, Raw: req.Body}
	return []Item{{ID: delivery, Type: "github", Data: data, Message: headMessage(payload)}}, nil
}

// githubPayload takes both content types that GitHub can be told to send.
func githubPayload(req Request) ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return req.Body, nil
	}
	form, err := url.ParseQuery(string(req.Body))
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the form cannot be read: %v", err)
	}
	return []byte(form.Get("payload")), nil
}

func headMessage(payload []byte) string {
	var push struct {
		HeadCommit struct {
			Message string `json:"message"`
		} `json:"head_commit"`
	}
	if json.Unmarshal(payload, &push) != nil {
		return ""
	}
	return push.HeadCommit.Message
}

// public are the headers that may be kept: no credentials.
func public(h http.Header) http.Header {
	kept := h.Clone()
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		if kept.Get(name) != "" {
			kept.Set(name, "[redacted]")
		}
	}
	return kept
}

func quote(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return text
}

// isJSON also refuses what only begins as JSON.
func isJSON(body []byte) bool { return len(bytes.TrimSpace(body)) > 0 && json.Valid(body) }
