package source

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/golang-jwt/jwt/v5"
)

// maxToken bounds the answer with a token.
const maxToken = 1 << 20

// appToken lets in an installation of a GitHub App: the App proves who it is by its key, and is given a token for an
// hour. It is asked for anew each time, and only HTTPS takes it.
func (f *Fetcher) appToken(ctx context.Context, namespace string, g *v1alpha1.EventGitArtifact) (string, error) {
	text, err := f.values.Value(ctx, namespace, &g.GithubApp.PrivateKey)
	if err != nil {
		return "", err
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(text))
	if err != nil {
		return "", fault.Poisonf("git.githubApp.privateKey is no RSA key in PEM")
	}
	api, err := f.api(g.URL)
	if err != nil {
		return "", err
	}
	now := time.Now()
	// Source: GitHub, "Generating a JSON Web Token for a GitHub App": at most ten minutes, and a minute back for clocks
	// that differ.
	claims := jwt.RegisteredClaims{
		Issuer: strconv.FormatInt(g.GithubApp.AppID, 10), IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(8 * time.Minute)),
	}
	proof, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		return "", fault.Poisonf("git.githubApp.privateKey: %w", err)
	}
	r, err := http.NewRequestWithContext(
		ctx, http.MethodPost,
		api+"/app/installations/"+strconv.FormatInt(g.GithubApp.InstallationID, 10)+"/access_tokens", http.NoBody,
	)
	if err != nil {
		return "", fault.AsPoison(err)
	}
	r.Header.Set("Authorization", "Bearer "+proof)
	r.Header.Set("Accept", "application/vnd.github+json")
	answer, err := f.plain.Do(r)
	if err != nil {
		return "", fmt.Errorf("ask for a token of installation %d: %w", g.GithubApp.InstallationID, err)
	}
	defer answer.Body.Close()
	var given struct {
		Token string `json:"token"`
	}
	switch err := json.NewDecoder(io.LimitReader(answer.Body, maxToken)).Decode(&given); {
	case answer.StatusCode == http.StatusUnauthorized,
		answer.StatusCode == http.StatusForbidden,
		answer.StatusCode == http.StatusNotFound:
		return "", fault.Poisonf(
			"git.githubApp: GitHub gives installation %d of app %d no token: %s", g.GithubApp.InstallationID,
			g.GithubApp.AppID, answer.Status,
		)
	case answer.StatusCode != http.StatusCreated:
		return "", fmt.Errorf("ask for a token of installation %d: %s", g.GithubApp.InstallationID, answer.Status)
	case err != nil || given.Token == "":
		return "", fmt.Errorf("ask for a token of installation %d: the answer holds none", g.GithubApp.InstallationID)
	}
	return given.Token, nil
}

// api is where the API of the server of a repository is. Source: GitHub, for its own servers and for those of others.
func (f *Fetcher) api(repository string) (string, error) {
	at, err := url.Parse(repository)
	switch {
	case err != nil || at.Scheme != "https" || at.Host == "":
		return "", fault.Poisonf(
			"git.githubApp: url %q does not begin with https://, which a token of an App is for", repository,
		)
	case f.github != "":
		return f.github, nil
	case at.Host == "github.com":
		return "https://api.github.com", nil
	}
	return "https://" + at.Host + "/api/v3", nil
}
