package source

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
)

// githubApp is an App of GitHub that opens repositories.
type githubApp struct {
	ID, Installation string
	Key              string // PEM of its private key
	Base             string // URL of the API; "" is that of github.com
}

// identity stands for the App, whatever token it has now.
func (a githubApp) identity() string {
	sum := sha256.Sum256([]byte(a.ID + "\x00" + a.Installation + "\x00" + a.Key + "\x00" + a.Base))
	return "github-app:" + hex.EncodeToString(sum[:])
}

// tokenMargin is how long before its end a token is not used any more.
const tokenMargin = 5 * time.Minute

// githubTokens are those of installations. Safe for concurrent use.
type githubTokens struct {
	mu     sync.Mutex
	tokens map[string]githubToken // by identity and owner
}

type githubToken struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// token returns one for a repository; which installation it is of is asked for unless it is known.
func (g *githubTokens) token(ctx context.Context, r repository) (string, error) {
	owner, err := ownerOf(r.URL)
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := r.App.identity() + "\x00" + owner
	if t := g.tokens[key]; time.Until(t.Expires) > tokenMargin {
		return t.Token, nil
	}
	transport, err := r.transport()
	if err != nil {
		return "", err
	}
	api := githubAPI{client: &http.Client{Transport: transport, Timeout: 30 * time.Second}, app: r.App}
	id := r.App.Installation
	if id == "" {
		if id, err = api.installation(ctx, owner); err != nil {
			return "", err
		}
	}
	var t githubToken
	if err := api.call(
		ctx, http.MethodPost, "/app/installations/"+url.PathEscape(id)+"/access_tokens", &t,
	); err != nil {
		return "", err
	}
	if g.tokens == nil {
		g.tokens = map[string]githubToken{}
	}
	g.tokens[key] = t
	return t.Token, nil
}

// ownerOf is the organisation or user of a repository.
func ownerOf(location string) (string, error) {
	parts := strings.Split(push.NormalURL(location), "/")
	if len(parts) < 3 || parts[1] == "" {
		return "", fmt.Errorf("%q is not of the form https://host/owner/name", location)
	}
	return parts[1], nil
}

// githubAPI speaks for an App.
type githubAPI struct {
	client *http.Client
	app    githubApp
}

// installation is that of an owner among all of the App.
func (a githubAPI) installation(ctx context.Context, owner string) (string, error) {
	const perPage = 100
	for page := 1; page <= 100; page++ {
		var found []struct {
			ID      json.Number `json:"id"`
			Account struct {
				Login string `json:"login"`
			} `json:"account"`
		}
		if err := a.call(
			ctx, http.MethodGet, fmt.Sprintf("/app/installations?per_page=%d&page=%d", perPage, page), &found,
		); err != nil {
			return "", err
		}
		for _, f := range found {
			if strings.EqualFold(f.Account.Login, owner) {
				return f.ID.String(), nil
			}
		}
		if len(found) < perPage {
			break
		}
	}
	return "", fmt.Errorf("it is not installed for %q; install it there, or set githubAppInstallationID", owner)
}

// call asks the API as the App.
func (a githubAPI) call(ctx context.Context, method, path string, into any) error {
	token, err := a.app.jwt(time.Now())
	if err != nil {
		return err
	}
	base := strings.TrimSuffix(a.app.Base, "/")
	if base == "" {
		base = "https://api.github.com"
	}
	q, err := http.NewRequestWithContext(ctx, method, base+path, nil)
	if err != nil {
		return fmt.Errorf("githubAppEnterpriseBaseUrl: %w", err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Accept", "application/vnd.github+json")
	answer, err := a.client.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, bytes.TrimSpace(text[:min(len(text), 200)]))
	}
	return json.Unmarshal(text, into)
}

var errKey = errors.New("githubAppPrivateKey is no RSA private key in PEM")

// jwt is by what an App shows who it is. Source: GitHub's documentation of Apps; ten minutes are the longest.
func (a githubApp) jwt(now time.Time) (string, error) {
	block, _ := pem.Decode([]byte(a.Key))
	if block == nil {
		return "", errKey
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return "", errKey
		}
		var ok bool
		if key, ok = parsed.(*rsa.PrivateKey); !ok {
			return "", errKey
		}
	}
	claims, err := json.Marshal(map[string]any{
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(8 * time.Minute).Unix(), "iss": a.ID,
	})
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + encode(signature), nil
}
