package notify

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// natsKind publishes an event on the bus of the installation, under the name of the recipient and in the namespace of
// the object: who may annotate an object must not speak for others. Other servers are not reached.
var natsKind = Kind{"nats", func(config []byte, env Env) (Service, error) {
	c, err := decode[struct {
		URL string `json:"url"`
	}](config)
	if err != nil {
		return nil, err
	}
	if c.URL != "" {
		return nil, errors.New("url: only the bus of this installation is reached; leave it out")
	}
	return busService{env}, nil
}}

type busService struct{ Env }

// Send publishes one event.
func (s busService) Send(ctx context.Context, m Message) error {
	if s.Publish == nil || m.Recipient == "" {
		return fault.Poisonf("there is no bus, or the recipient is empty")
	}
	var data any = map[string]any{"message": m.Text}
	if text := m.text("nats", "body"); text != "" {
		if err := json.Unmarshal([]byte(text), &data); err != nil {
			return fault.Poisonf("nats.body is no JSON: %v", err)
		}
	}
	return s.Publish(ctx, m.ID, m.of("metadata", "namespace"), m.Recipient, data)
}
