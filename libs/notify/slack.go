package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type slackConfig struct {
	Token      string `json:"token"`
	APIURL     string `json:"apiURL"`
	Username   string `json:"username"`
	Icon       string `json:"icon"`       // :name: or a URL
	WebhookURL string `json:"webhookURL"` // ours: an incoming webhook, which knows its channel itself
}

// slack posts by the Web API to channels, or by an incoming webhook. Source: Slack's API, chat.postMessage.
var slack = Kind{"slack", func(config []byte, env Env) (Service, error) {
	c, err := decode[slackConfig](config)
	if err != nil {
		return nil, err
	}
	if c.Token == "" && c.WebhookURL == "" {
		return nil, errors.New("token or webhookURL must be set")
	}
	return slackService{c, env}, nil
}}

type slackService struct {
	slackConfig
	Env
}

// Send posts one message. attachments and blocks of the template are JSON.
func (s slackService) Send(ctx context.Context, m Message) error {
	body := map[string]any{"text": m.Text}
	for _, field := range []string{"attachments", "blocks"} {
		if text := m.text("slack", field); text != "" {
			var list []any
			if err := json.Unmarshal([]byte(text), &list); err != nil {
				return fault.AsPoison(fmt.Errorf("slack.%s is no list of JSON: %w", field, err))
			}
			body[field] = list
		}
	}
	if s.WebhookURL != "" {
		_, err := do(ctx, s.Client, request{method: http.MethodPost, url: s.WebhookURL, body: body})
		return err
	}
	body["channel"] = m.Recipient
	if s.Username != "" {
		body["username"] = s.Username
	}
	if strings.HasPrefix(s.Icon, ":") {
		body["icon_emoji"] = s.Icon
	} else if s.Icon != "" {
		body["icon_url"] = s.Icon
	}
	root := "https://slack.com/api"
	if s.APIURL != "" {
		root = strings.TrimSuffix(s.APIURL, "/")
	}
	got, err := do(ctx, s.Client, request{
		method: http.MethodPost, url: root + "/chat.postMessage",
		header: map[string]string{"Authorization": "Bearer " + s.Token},
		body:   body,
	})
	if err != nil {
		return err
	}
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(got.body, &said); {
	case err != nil:
		return fmt.Errorf("slack answers no JSON: %w", err)
	case said.OK:
		return nil
	case said.Error == "ratelimited" || strings.HasPrefix(said.Error, "internal"):
		return fmt.Errorf("slack says %s", said.Error)
	}
	return fault.Poisonf("slack says %s", brief(said.Error))
}
