package core

import (
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var slackProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Slack, slackHook) },
	Verify: bearerAnd(verifySlack),
	Decode: decodeSlack,
	Answer: answerSlack,
}

func slackHook(c v1alpha1.SlackEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.secret(c.SigningSecret, intoSecret)
	h.secret(c.Token, intoToken)
	h.Route.Unsigned = c.SigningSecret == nil && c.Token == nil
	return h
}

// verifySlack checks X-Slack-Signature version 0 when there is a signing secret,
// and the older verification token when that is all there is. Source: Slack,
// "Verifying requests from Slack".
func verifySlack(route Route, req Request) error {
	if route.Secret != "" {
		at := req.Header.Get("X-Slack-Request-Timestamp")
		want := sign(route.Secret, []byte("v0:"+at+":"), req.Body)
		got := encodedMAC{text: req.Header.Get("X-Slack-Signature"), prefix: "v0=", decode: hex.DecodeString}
		if err := matchMAC("X-Slack-Signature", want, got); err != nil {
			return err
		}
		return fresh("X-Slack-Request-Timestamp", at, req.Now)
	}
	if route.Token != "" && !same(slackToken(req), route.Token) {
		return reject(http.StatusUnauthorized, "unauthorized", "the verification token is missing or wrong")
	}
	return nil
}

func slackToken(req Request) string {
	if mediaType(req) != formType {
		return gjson.GetBytes(PlainText(req.Body), "token").String()
	}
	form, err := parseForm(req.Body)
	if err != nil {
		return ""
	}
	if payload := form.Get("payload"); payload != "" {
		return gjson.GetBytes(PlainText([]byte(payload)), "token").String()
	}
	return form.Get("token")
}

// slashFields are the fields of a slash command. Source: Argo Events passes on the
// SlashCommand of slack-go/slack as it is.
var slashFields = []string{
	"team_id", "team_domain", "enterprise_id", "enterprise_name", "channel_id", "channel_name", "user_id", "user_name",
	"command", "text", "response_url", "trigger_id", "api_app_id",
}

// decodeSlack makes the bare event, interaction or command, without headers around
// it, as upstream does; the verification token in it is left out.
func decodeSlack(_ Route, req Request) ([]Item, error) {
	if mediaType(req) != formType {
		return slackEvent(req)
	}
	form, err := parseForm(req.Body)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the form cannot be read: %v", err)
	}
	if payload := form.Get("payload"); payload != "" {
		b, _, err := objectBody([]byte(payload))
		if err != nil {
			return nil, err
		}
		text, err := without(b.text, "token")
		if err != nil {
			return nil, err
		}
		return []Item{{ID: digest(payload), Type: "slack", Data: text}}, nil
	}
	if form.Get("command") == "" {
		return nil, reject(http.StatusBadRequest, "malformed", "the form is neither an interaction nor a command")
	}
	command := map[string]any{"is_enterprise_install": form.Get("is_enterprise_install") == "true"}
	for _, name := range slashFields {
		command[name] = form.Get(name)
	}
	return []Item{{ID: form.Get("trigger_id"), Type: "slack", Data: encoded(command)}}, nil
}

func slackEvent(req Request) ([]Item, error) {
	b, _, err := objectBody(req.Body)
	if err != nil {
		return nil, err
	}
	var outer struct {
		Type    string          `json:"type"`
		EventID string          `json:"event_id"`
		Event   json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal(b.text, &outer); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not an event of Slack: %v", err)
	}
	switch outer.Type {
	case "event_callback":
	case "url_verification", "app_rate_limited":
		return nil, errIgnored
	default:
		return nil, errUnknown
	}
	if len(outer.Event) == 0 || outer.EventID == "" {
		return nil, reject(http.StatusBadRequest, "malformed", "event or event_id is missing")
	}
	// A retry has the same event_id.
	return []Item{{ID: outer.EventID, Type: "slack", Data: outer.Event}}, nil
}

// answerSlack gives the challenge back that verifies a URL.
func answerSlack(_ Route, req Request) Outcome {
	if mediaType(req) != formType && gjson.GetBytes(PlainText(req.Body), "type").String() == "url_verification" {
		return Outcome{
			Status: http.StatusOK,
			Text:   gjson.GetBytes(PlainText(req.Body), "challenge").String(),
			Class:  "handshake",
		}
	}
	// Slack shows the text of an answer to a command; an empty one shows nothing.
	return Outcome{Status: http.StatusOK}
}
