package forge

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
)

// Keys of the Secret of an App. Source: Argo CD's format of repository credentials.
const (
	appID           = "githubAppID"
	appInstallation = "githubAppInstallationID"
	appKey          = "githubAppPrivateKey"
)

// Times of the token by which an App speaks for itself: clocks differ, and ten minutes are the most that GitHub takes.
const (
	appSkew = time.Minute
	appAge  = 8 * time.Minute
)

// installationToken gets a token of an installation of an App.
func installationToken(ctx context.Context, c *github.Client, data map[string][]byte) (string, error) {
	id, installation := strings.TrimSpace(string(data[appID])), strings.TrimSpace(string(data[appInstallation]))
	n, err := strconv.ParseInt(installation, 10, 64)
	switch {
	case id == "":
		return "", fmt.Errorf("it has no %s", appID)
	case err != nil:
		return "", fmt.Errorf("its %s %q is no number", appInstallation, installation)
	}
	own, err := appToken(id, data[appKey], time.Now())
	if err != nil {
		return "", fmt.Errorf("its %s: %w", appKey, err)
	}
	t, _, err := c.WithAuthToken(own).Apps.CreateInstallationToken(ctx, n, nil)
	if err != nil {
		return "", err
	}
	return t.GetToken(), nil
}

// appToken is a JSON Web Token by which an App shows that it has its key (RFC 7519, RS256).
func appToken(id string, key []byte, now time.Time) (string, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return "", errors.New("there is no key in PEM")
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		other, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		key, is := other.(*rsa.PrivateKey)
		if err != nil || !is {
			return "", errors.New("it is no RSA key")
		}
		private = key
	}
	claims, err := json.Marshal(map[string]any{
		"iat": now.Add(-appSkew).Unix(), "exp": now.Add(appAge).Unix(), "iss": id,
	})
	if err != nil {
		return "", err
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(head))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return head + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
