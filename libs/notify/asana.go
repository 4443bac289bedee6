package notify

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type asanaConfig struct {
	Token string `json:"token"`
	URL   string `json:"url"`
}

// asana comments on the task that the recipient names by its id. Ours. Source: Asana's API, stories of tasks.
var asana = Kind{"asana", func(config []byte, env Env) (Service, error) {
	c, err := decode[asanaConfig](config)
	if err != nil {
		return nil, err
	}
	if err := need(map[string]string{"token": c.Token}); err != nil {
		return nil, err
	}
	if c.URL == "" {
		c.URL = "https://app.asana.com/api/1.0"
	}
	return asanaService{c, env}, nil
}}

type asanaService struct {
	asanaConfig
	Env
}

// Send adds one story.
func (s asanaService) Send(ctx context.Context, m Message) error {
	if m.Recipient == "" {
		return fault.Poisonf("the recipient names no task")
	}
	text := m.text("asana", "text")
	if text == "" {
		text = m.Text
	}
	_, err := do(ctx, s.Client, request{
		method: http.MethodPost, header: map[string]string{"Authorization": "Bearer " + s.Token},
		url:  strings.TrimRight(s.URL, "/") + "/tasks/" + url.PathEscape(m.Recipient) + "/stories",
		body: map[string]any{"data": map[string]string{"text": text}},
	})
	return err
}
