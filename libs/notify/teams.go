package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type teamsConfig struct {
	RecipientURLs map[string]string `json:"recipientUrls"`
}

// teams posts cards to connectors, by the name of a channel. Source: Microsoft Teams, message cards.
var teams = Kind{"teams", func(config []byte, env Env) (Service, error) {
	return newTeams(config, env, func(m Message) (any, error) {
		card := map[string]any{
			"@type": "MessageCard", "@context": "https://schema.org/extensions", "text": m.Text,
		}
		for field, name := range map[string]string{"title": "title", "summary": "summary",
			"themeColor": "themeColor", "text": "text"} {
			if text := m.text("teams", field); text != "" {
				card[name] = text
			}
		}
		if text := m.text("teams", "facts"); text != "" {
			facts, err := jsonList("teams.facts", text)
			if err != nil {
				return nil, err
			}
			card["sections"] = []any{map[string]any{"facts": facts}}
		}
		return card, nil
	})
}}

// teamsWorkflows posts adaptive cards to workflows, which replace connectors. Source: Microsoft Power Automate, "when a
// Teams webhook request is received".
var teamsWorkflows = Kind{"teams-workflows", func(config []byte, env Env) (Service, error) {
	return newTeams(config, env, func(m Message) (any, error) {
		const block = "teams-workflows"
		card := map[string]any{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
		}
		if text := m.text(block, "adaptiveCard"); text != "" {
			if err := json.Unmarshal([]byte(text), &card); err != nil {
				return nil, fmt.Errorf("%s.adaptiveCard is no JSON: %w", block, err)
			}
		} else {
			body := []any{}
			if title := m.text(block, "title"); title != "" {
				body = append(body, map[string]any{"type": "TextBlock", "text": title, "weight": "Bolder",
					"size": "Medium"})
			}
			text := m.text(block, "text")
			if text == "" {
				text = m.Text
			}
			body = append(body, map[string]any{"type": "TextBlock", "text": text, "wrap": true})
			if text := m.text(block, "facts"); text != "" {
				facts, err := jsonList(block+".facts", text)
				if err != nil {
					return nil, err
				}
				body = append(body, map[string]any{"type": "FactSet", "facts": facts})
			}
			card["body"] = body
		}
		return map[string]any{"type": "message", "attachments": []any{map[string]any{
			"contentType": "application/vnd.microsoft.card.adaptive", "content": card,
		}}}, nil
	})
}}

func newTeams(config []byte, env Env, card func(Message) (any, error)) (Service, error) {
	c, err := decode[teamsConfig](config)
	if err != nil {
		return nil, err
	}
	if len(c.RecipientURLs) == 0 {
		return nil, errors.New("recipientUrls must name the URL of a channel at least")
	}
	return teamsService{c, env, card}, nil
}

type teamsService struct {
	teamsConfig
	Env
	card func(Message) (any, error)
}

// Send posts one card.
func (s teamsService) Send(ctx context.Context, m Message) error {
	url := s.RecipientURLs[m.Recipient]
	if url == "" {
		return fault.Poisonf("recipientUrls has no %q", m.Recipient)
	}
	card, err := s.card(m)
	if err != nil {
		return fault.AsPoison(err)
	}
	_, err = do(ctx, s.Client, request{method: http.MethodPost, url: url, body: card})
	return err
}

func jsonList(field, text string) ([]any, error) {
	var list []any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("%s is no list of JSON: %w", field, err)
	}
	return list, nil
}
