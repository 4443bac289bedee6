package notify

import (
	"context"
	"net/http"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type pagerdutyConfig struct {
	ServiceKeys map[string]string `json:"serviceKeys"`
	URL         string            `json:"url"` // ours: for proxies and tests
}

// pagerduty sends events of version 2; the id is their dedup_key. Source: PagerDuty, Events API v2.
var pagerduty = Kind{"pagerdutyv2", func(config []byte, env Env) (Service, error) {
	c, err := decode[pagerdutyConfig](config)
	if err != nil {
		return nil, err
	}
	if c.URL == "" {
		c.URL = "https://events.pagerduty.com/v2/enqueue"
	}
	return pagerdutyService{c, env}, nil
}}

type pagerdutyService struct {
	pagerdutyConfig
	Env
}

// Send triggers one alert; the recipient names a key of serviceKeys.
func (s pagerdutyService) Send(ctx context.Context, m Message) error {
	key := s.ServiceKeys[m.Recipient]
	if key == "" {
		return fault.Poisonf("serviceKeys has no %q", m.Recipient)
	}
	const block = "pagerdutyv2"
	payload := map[string]any{"summary": m.Text, "severity": "error", "source": m.of("metadata", "name")}
	for _, field := range []string{"summary", "severity", "source", "component", "group", "class"} {
		if text := m.text(block, field); text != "" {
			payload[field] = text
		}
	}
	body := map[string]any{
		"routing_key": key, "event_action": "trigger", "dedup_key": m.ID, "payload": payload,
	}
	if url := m.text(block, "url"); url != "" {
		body["links"] = []any{map[string]string{"href": url}}
	}
	if key := m.text(block, "dedupKey"); key != "" {
		body["dedup_key"] = key
	}
	_, err := do(ctx, s.Client, request{method: http.MethodPost, url: s.URL, body: body})
	return err
}
