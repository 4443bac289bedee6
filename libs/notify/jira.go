package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type jiraConfig struct {
	URL   string `json:"url"`
	User  string `json:"username"` // with a user the token is its API token; without, a personal one
	Token string `json:"token"`
}

// jira comments on the issue that the recipient names, and moves it where the template's jira.transition says. Ours.
// Source: Jira's REST API, version 2.
var jira = Kind{"jira", func(config []byte, env Env) (Service, error) {
	c, err := decode[jiraConfig](config)
	if err != nil {
		return nil, err
	}
	if err := need(map[string]string{"url": c.URL, "token": c.Token}); err != nil {
		return nil, err
	}
	return jiraService{c, env}, nil
}}

type jiraService struct {
	jiraConfig
	Env
}

// Send moves the issue first: that may be done again, a comment would stand there twice.
func (s jiraService) Send(ctx context.Context, m Message) error {
	if m.Recipient == "" {
		return fault.Poisonf("the recipient names no issue")
	}
	if name := m.text("jira", "transition"); name != "" {
		if err := s.move(ctx, m.Recipient, name); err != nil {
			return err
		}
	}
	comment := m.text("jira", "comment")
	if comment == "" {
		comment = m.Text
	}
	if comment == "" {
		return nil
	}
	_, err := s.call(ctx, http.MethodPost, m.Recipient, "comment", map[string]string{"body": comment})
	return err
}

// move does nothing where the issue has the state already, which no transition leads to then.
func (s jiraService) move(ctx context.Context, issue, name string) error {
	got, err := s.call(ctx, http.MethodGet, issue, "transitions", nil)
	if err != nil {
		return err
	}
	var open struct {
		Transitions []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"transitions"`
	}
	if err := json.Unmarshal(got.body, &open); err != nil {
		return fmt.Errorf("jira answers no JSON: %w", err)
	}
	for _, t := range open.Transitions {
		if strings.EqualFold(t.Name, name) {
			_, err := s.call(ctx, http.MethodPost, issue, "transitions",
				map[string]any{"transition": map[string]string{"id": t.ID}})
			return err
		}
	}
	return nil
}

func (s jiraService) call(ctx context.Context, method, issue, what string, body any) (answer, error) {
	header := map[string]string{"Authorization": "Bearer " + s.Token}
	if s.User != "" {
		header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.User+":"+s.Token))
	}
	return do(ctx, s.Client, request{
		method: method, header: header, body: body,
		url: strings.TrimRight(s.URL, "/") + "/rest/api/2/issue/" + url.PathEscape(issue) + "/" + what,
	})
}
