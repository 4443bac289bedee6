package notify

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

type webhookConfig struct {
	URL     string `json:"url"`
	Headers []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"headers"`
	BasicAuth *struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"basicAuth"`
	Insecure bool `json:"insecureSkipVerify"`
}

// webhook sends any HTTP request: method, path and body are those of the template's webhook.NAME.
var webhook = Kind{"webhook", func(config []byte, env Env) (Service, error) {
	c, err := decode[webhookConfig](config)
	if err != nil {
		return nil, err
	}
	if err := need(map[string]string{"url": c.URL}); err != nil {
		return nil, err
	}
	if c.Insecure {
		env.Client = insecure(env.Client)
	}
	return webhookService{c, env}, nil
}}

type webhookService struct {
	webhookConfig
	Env
}

// Send sends one request, with the id in Idempotency-Key.
func (s webhookService) Send(ctx context.Context, m Message) error {
	r := request{method: http.MethodGet, url: s.URL, header: map[string]string{"Idempotency-Key": m.ID}}
	if method := m.text("webhook", m.service, "method"); method != "" {
		r.method = strings.ToUpper(method)
	}
	if path := m.text("webhook", m.service, "path"); path != "" {
		// The host is the operator's to say, whatever a template makes of an object.
		base, err := url.Parse(s.URL)
		if err != nil {
			return fault.AsPoison(err)
		}
		to, err := url.Parse(strings.TrimRight(s.URL, "/") + "/" + strings.TrimLeft(path, "/"))
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme {
			return fault.Poisonf("webhook.%s.path %q is no path", m.service, brief(path))
		}
		r.url = to.String()
	}
	if body := m.text("webhook", m.service, "body"); body != "" {
		r.body = []byte(body)
		r.header["Content-Type"] = "application/json"
	}
	for _, h := range s.Headers {
		r.header[h.Name] = h.Value
	}
	if s.BasicAuth != nil {
		pair := s.BasicAuth.Username + ":" + s.BasicAuth.Password
		r.header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	_, err := do(ctx, s.Client, r)
	return err
}
