package remote

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-github/v60/github"
)

// githubHooks keeps the hooks of repositories or organizations.
func githubHooks(c v1alpha1.GithubEventSource) *hookReconciler {
	if (c.ApiToken == nil && c.GithubApp == nil) || address(c.Webhook) == "" {
		return nil
	}
	return newHookReconciler(c.DeleteHookOnFinish, func(ctx context.Context, env pull.Env) (site, error) {
		secret, err := env.Secrets.Text(ctx, env.Namespace, c.WebhookSecret)
		if err != nil {
			return site{}, err
		}
		client, err := githubClient(ctx, env, c)
		if err != nil {
			return site{}, err
		}
		return site{places: githubPlaces(client, c, githubHook(c, secret)), secrets: secret}, nil
	})
}

// githubPlaces are the organizations and repositories of a manifest; owner and
// repository are the older way to name one.
func githubPlaces(client *github.Client, c v1alpha1.GithubEventSource, want *github.Hook) []place {
	var out []place
	for _, org := range c.Organizations {
		out = append(out, githubPlace{client: client, owner: org, want: want})
	}
	for _, r := range c.Repositories {
		for _, repo := range r.Names {
			out = append(out, githubPlace{client: client, owner: r.Owner, repo: repo, want: want})
		}
	}
	if len(out) == 0 && c.Owner != "" && c.Repository != "" {
		out = append(out, githubPlace{client: client, owner: c.Owner, repo: c.Repository, want: want})
	}
	return out
}

func githubHook(c v1alpha1.GithubEventSource, secret string) *github.Hook {
	insecure := "0"
	if c.Insecure {
		insecure = "1"
	}
	form := "json"
	if c.ContentType != "" {
		form = c.ContentType
	}
	active := c.Active == nil || *c.Active
	h := &github.Hook{
		Events: c.Events, Active: &active,
		Config: &github.HookConfig{URL: new(address(c.Webhook)), ContentType: &form, InsecureSSL: &insecure},
	}
	if secret != "" {
		h.Config.Secret = &secret
	}
	return h
}

// githubClient is a client with the token, or with one that an App asks for.
func githubClient(ctx context.Context, env pull.Env, c v1alpha1.GithubEventSource) (*github.Client, error) {
	if (c.GithubBaseURL == "") != (c.GithubUploadURL == "") {
		return nil, errors.New("githubBaseURL and githubUploadURL go together")
	}
	client := github.NewClient(&http.Client{Timeout: callTime})
	if c.GithubBaseURL != "" {
		var err error
		if client, err = client.WithEnterpriseURLs(c.GithubBaseURL, c.GithubUploadURL); err != nil {
			return nil, fmt.Errorf("githubBaseURL: %w", err)
		}
	}
	if c.GithubApp == nil {
		token, err := env.Secrets.Text(ctx, env.Namespace, c.ApiToken)
		return client.WithAuthToken(token), err
	}
	key, err := env.Secrets.Bytes(ctx, env.Namespace, &c.GithubApp.PrivateKey)
	if err != nil {
		return nil, err
	}
	proof, err := appProof(key, c.GithubApp.AppID, time.Now())
	if err != nil {
		return nil, err
	}
	token, _, err := client.WithAuthToken(proof).Apps.CreateInstallationToken(ctx, c.GithubApp.InstallationID, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for a token of installation %d: %w", c.GithubApp.InstallationID, err)
	}
	return client.WithAuthToken(token.GetToken()), nil
}

// appProof is the token that proves to be an App. Source: GitHub, "Generating a
// JSON Web Token for a GitHub App": RS256, at most ten minutes, and a minute back
// for clocks that differ.
func appProof(key []byte, app int64, now time.Time) (string, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return "", errors.New("githubApp.privateKey is not in PEM")
	}
	var private any
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		if private, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			return "", errors.New("githubApp.privateKey is no RSA key")
		}
	}
	claims := jwt.RegisteredClaims{
		Issuer: strconv.FormatInt(app, 10), IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(8 * time.Minute)),
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(private)
	if err != nil {
		return "", fmt.Errorf("githubApp.privateKey: %w", err)
	}
	return text, nil
}

// githubPlace is a repository, or an organization when repo is empty.
type githubPlace struct {
	client      *github.Client
	owner, repo string
	want        *github.Hook
}

func (p githubPlace) name() string {
	if p.repo == "" {
		return p.owner
	}
	return p.owner + "/" + p.repo
}

func (p githubPlace) page(ctx context.Context, o *github.ListOptions) ([]*github.Hook, *github.Response, error) {
	if p.repo == "" {
		return p.client.Organizations.ListHooks(ctx, p.owner, o)
	}
	return p.client.Repositories.ListHooks(ctx, p.owner, p.repo, o)
}

func (p githubPlace) list(ctx context.Context) ([]hook, error) {
	var out []hook
	o := &github.ListOptions{PerPage: 100}
	for range maxPages {
		hooks, res, err := p.page(ctx, o)
		if err != nil {
			return nil, err
		}
		for _, h := range hooks {
			if h.Config == nil || h.Config.GetURL() != p.want.Config.GetURL() {
				continue
			}
			same := sameSet(h.Events, p.want.Events) && h.GetActive() == p.want.GetActive() &&
				h.Config.GetContentType() == p.want.Config.GetContentType() &&
				h.Config.GetInsecureSSL() == p.want.Config.GetInsecureSSL()
			out = append(out, hook{id: strconv.FormatInt(h.GetID(), 10), same: same})
		}
		if o.Page = res.NextPage; o.Page == 0 {
			break
		}
	}
	return out, nil
}

func (p githubPlace) create(ctx context.Context) error {
	var err error
	if p.repo == "" {
		_, _, err = p.client.Organizations.CreateHook(ctx, p.owner, p.want)
	} else {
		_, _, err = p.client.Repositories.CreateHook(ctx, p.owner, p.repo, p.want)
	}
	return err
}

func (p githubPlace) update(ctx context.Context, id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return err
	}
	if p.repo == "" {
		_, _, err = p.client.Organizations.EditHook(ctx, p.owner, n, p.want)
	} else {
		_, _, err = p.client.Repositories.EditHook(ctx, p.owner, p.repo, n, p.want)
	}
	return err
}

func (p githubPlace) remove(ctx context.Context, id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return err
	}
	var res *github.Response
	if p.repo == "" {
		res, err = p.client.Organizations.DeleteHook(ctx, p.owner, n)
	} else {
		res, err = p.client.Repositories.DeleteHook(ctx, p.owner, p.repo, n)
	}
	if res != nil && res.StatusCode == http.StatusNotFound {
		return nil
	}
	return err
}

// recall pages through the deliveries of a hook. A ping is none of ours.
func (p githubPlace) recall(ctx context.Context, id string, since time.Time) ([]attempt, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, err
	}
	var out []attempt
	o := &github.ListCursorOptions{PerPage: 100}
	for range maxPages {
		deliveries, res, err := p.deliveries(ctx, n, o)
		if err != nil {
			return nil, err
		}
		for _, d := range deliveries {
			if d.GetDeliveredAt().Before(since) {
				return out, nil
			}
			if d.GetEvent() != "ping" {
				code := d.GetStatusCode()
				out = append(out, attempt{id: d.GetID(), delivery: d.GetGUID(), arrived: code >= 200 && code < 300})
			}
		}
		if o.Cursor = res.Cursor; o.Cursor == "" {
			break
		}
	}
	return out, nil
}

func (p githubPlace) deliveries(
	ctx context.Context, id int64, o *github.ListCursorOptions,
) ([]*github.HookDelivery, *github.Response, error) {
	if p.repo == "" {
		return p.client.Organizations.ListHookDeliveries(ctx, p.owner, id, o)
	}
	return p.client.Repositories.ListHookDeliveries(ctx, p.owner, p.repo, id, o)
}

func (p githubPlace) again(ctx context.Context, id string, attempt int64) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return err
	}
	if p.repo == "" {
		_, _, err = p.client.Organizations.RedeliverHookDelivery(ctx, p.owner, n, attempt)
	} else {
		_, _, err = p.client.Repositories.RedeliverHookDelivery(ctx, p.owner, p.repo, n, attempt)
	}
	if _, accepted := errors.AsType[*github.AcceptedError](err); accepted {
		return nil // the client calls 202 an error
	}
	return err
}
