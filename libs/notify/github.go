package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/golang-jwt/jwt/v5"
)

type githubConfig struct {
	AppID          json.Number `json:"appID"`
	InstallationID json.Number `json:"installationID"`
	PrivateKey     string      `json:"privateKey"`
	BaseURL        string      `json:"enterpriseBaseURL"`
	Token          string      `json:"token"` // ours: instead of an App
}

// github sets the status of the commit that was synced. Setting it again changes nothing. Source: GitHub's REST API,
// commit statuses and apps.
var github = Kind{"github", func(config []byte, env Env) (Service, error) {
	c, err := decode[githubConfig](config)
	if err != nil {
		return nil, err
	}
	if c.BaseURL == "" {
		c.BaseURL = "https://api.github.com"
	}
	if c.Token == "" {
		if err := need(map[string]string{
			"appID": c.AppID.String(), "installationID": c.InstallationID.String(), "privateKey": c.PrivateKey,
		}); err != nil {
			return nil, err
		}
		if _, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(c.PrivateKey)); err != nil {
			return nil, fmt.Errorf("privateKey is no RSA key in PEM: %w", err)
		}
	}
	return &githubService{githubConfig: c, Env: env}, nil
}}

type githubService struct {
	githubConfig
	Env
	mu      sync.Mutex
	access  string
	expires time.Time
}

// Send sets one status. Repository and commit are the template's, or else those of an Application's last sync.
func (s *githubService) Send(ctx context.Context, m Message) error {
	repository, commit := m.text("github", "repoURLPath"), m.text("github", "revisionPath")
	if repository == "" {
		repository = m.of("spec", "source", "repoURL")
	}
	if commit == "" {
		commit = m.of("status", "operationState", "syncResult", "revision")
	}
	u, err := url.Parse(repository)
	if err != nil || strings.Count(strings.Trim(u.Path, "/"), "/") != 1 || commit == "" {
		return fault.Poisonf("repository %q is not https://host/owner/name, or no commit was synced", repository)
	}
	owner, name, _ := strings.Cut(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"), "/")
	token, err := s.token(ctx)
	if err != nil {
		return err
	}
	body := map[string]string{"state": "success", "context": "argosy"}
	for field, to := range map[string]string{"state": "state", "label": "context", "targetURL": "target_url"} {
		if text := m.text("github", "status", field); text != "" {
			body[to] = text
		}
	}
	if m.Text != "" {
		text := []rune(m.Text)
		body["description"] = string(text[:min(len(text), 140)]) // GitHub takes no more
	}
	_, err = do(ctx, s.Client, request{
		method: http.MethodPost, header: map[string]string{"Authorization": "Bearer " + token}, body: body,
		url: s.BaseURL + "/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name) + "/statuses/" +
			url.PathEscape(commit),
	})
	return err
}

// token is that of the installation, asked for again a while before it ends.
func (s *githubService) token(ctx context.Context) (string, error) {
	if s.Token != "" {
		return s.Token, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Before(s.expires) {
		return s.access, nil
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(s.PrivateKey))
	if err != nil {
		return "", fault.AsPoison(err)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: s.AppID.String(), IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(9 * time.Minute)),
	}).SignedString(key)
	if err != nil {
		return "", fault.AsPoison(err)
	}
	if _, err := strconv.ParseInt(s.InstallationID.String(), 10, 64); err != nil {
		return "", fault.Poisonf("installationID %q is no number", s.InstallationID)
	}
	got, err := do(ctx, s.Client, request{
		method: http.MethodPost, header: map[string]string{"Authorization": "Bearer " + signed},
		url: s.BaseURL + "/app/installations/" + s.InstallationID.String() + "/access_tokens",
	})
	if err != nil {
		return "", fmt.Errorf("ask for a token of the installation: %w", err)
	}
	var said struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(got.body, &said); err != nil || said.Token == "" {
		return "", fmt.Errorf("github answers no token of the installation")
	}
	s.access, s.expires = said.Token, said.ExpiresAt.Add(-5*time.Minute)
	return s.access, nil
}
