package google

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// ErrKey is wrapped by errors about credentials that are not of a service account or of workload identity federation.
// It never holds what they say.
var ErrKey = errors.New(
	"it is neither the key of a service account nor of workload identity federation (external_account)",
)

// Googles reports whether a host is one of Google's APIs.
func Googles(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.HasSuffix(host, ".googleapis.com") && !strings.ContainsAny(host, "/@:\\ ")
}

// Key is the identity of a file of credentials that somebody keeps: the key of a service account, or of workload
// identity federation, which proves who it is by a file of this pod or by what a URL answers. Programs are not run.
// services says which hosts may be shown that proof; nil is [Googles].
func Key(ctx context.Context, text []byte, services func(host string) bool, scopes ...string) (*Account, error) {
	if services == nil {
		services = Googles
	}
	var file struct {
		Type    string `json:"type"`
		Token   string `json:"token_uri"`
		STS     string `json:"token_url"`
		Borrows string `json:"service_account_impersonation_url"`
		Source  struct {
			Program json.RawMessage `json:"executable"`
		} `json:"credential_source"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, ErrKey // the error of the parser may hold parts of the key
	}
	kind := google.CredentialsType(file.Type)
	switch {
	case kind != google.ServiceAccount && kind != google.ExternalAccount:
		return nil, ErrKey
	case len(file.Source.Program) > 0:
		return nil, fmt.Errorf("%w: credential_source.executable is not run", ErrKey)
	}
	for _, at := range []string{file.Token, file.STS, file.Borrows} {
		if at == "" {
			continue
		}
		to, err := url.Parse(at)
		if err != nil || !services(to.Hostname()) {
			return nil, fmt.Errorf("%w: it names a token service that is not Google's", ErrKey)
		}
	}
	own := &http.Client{Timeout: patience}
	// Tokens are fetched long after this call.
	found, err := google.CredentialsFromJSONWithType(
		context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, own), text, kind, scopes...,
	)
	if err != nil {
		return nil, ErrKey
	}
	return &Account{Credentials: found, IAM: IAM, email: emailOf(found.JSON), own: own}, nil
}
