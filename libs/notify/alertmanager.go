package notify

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

type alertmanagerConfig struct {
	Targets   []string `json:"targets"` // host:port, members of one cluster
	Scheme    string   `json:"scheme"`
	APIPath   string   `json:"apiPath"`
	BasicAuth *struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"basicAuth"`
	Token string `json:"bearerToken"`
}

// alertmanager posts an alert to all targets: members of a cluster know which they have told. Source: Alertmanager's
// API v2.
var alertmanager = Kind{"alertmanager", func(config []byte, env Env) (Service, error) {
	c, err := decode[alertmanagerConfig](config)
	if err != nil {
		return nil, err
	}
	if len(c.Targets) == 0 {
		return nil, errors.New("targets must name a host:port at least")
	}
	if c.Scheme == "" {
		c.Scheme = "http"
	}
	if c.APIPath == "" {
		c.APIPath = "/api/v2/alerts"
	}
	return alertmanagerService{c, env}, nil
}}

type alertmanagerService struct {
	alertmanagerConfig
	Env
}

// Send succeeds when one target has the alert.
func (s alertmanagerService) Send(ctx context.Context, m Message) error {
	alert := map[string]any{"labels": m.block("alertmanager", "labels")}
	if annotations := m.block("alertmanager", "annotations"); len(annotations) > 0 {
		alert["annotations"] = annotations
	} else {
		alert["annotations"] = map[string]any{"message": m.Text}
	}
	if url := m.text("alertmanager", "generatorURL"); url != "" {
		alert["generatorURL"] = url
	}
	labels, _ := alert["labels"].(map[string]any)
	if labels["alertname"] == nil {
		labels["alertname"] = m.of("metadata", "name")
	}
	header := map[string]string{}
	if s.Token != "" {
		header["Authorization"] = "Bearer " + s.Token
	} else if s.BasicAuth != nil {
		pair := s.BasicAuth.Username + ":" + s.BasicAuth.Password
		header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	var errs []error
	for _, target := range s.Targets {
		_, err := do(ctx, s.Client, request{
			method: http.MethodPost, url: s.Scheme + "://" + target + "/" + strings.TrimLeft(s.APIPath, "/"),
			header: header,
			body:   []any{alert},
		})
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", target, err))
	}
	return errors.Join(errs...)
}

// block is a map below the block of a service, made new.
func (m Message) block(name, field string) map[string]any {
	outer, _ := m.Fields[name].(map[string]any)
	inner, _ := outer[field].(map[string]any)
	out := map[string]any{}
	maps.Copy(out, inner)
	return out
}
