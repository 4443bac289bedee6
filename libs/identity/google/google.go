// Package google finds the identity that Google gives to this process.
package google

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// Platform is the scope of all services; what an identity may do is said by its roles.
const Platform = "https://www.googleapis.com/auth/cloud-platform"

// IAM is where signatures of service accounts are made.
const IAM = "https://iamcredentials.googleapis.com"

// ErrNoSigner says that nothing is signed with this identity: it is no service account, or may not sign as one.
var ErrNoSigner = errors.New("this identity signs nothing")

const (
	// patience bounds one question to a token service.
	patience = 30 * time.Second
	// answerLimit bounds an answer.
	answerLimit = 1 << 20
)

// Account is the identity.
type Account struct {
	*google.Credentials

	// IAM is where signatures are made; [IAM] unless a test says otherwise.
	IAM string

	email string // of the service account; "" when it must be looked for
	own   *http.Client
}

// Default is what Google's default chain finds: a file that GOOGLE_APPLICATION_CREDENTIALS names, which may be of
// workload identity federation, or the machine's metadata. Token services are asked by a client of its own, whatever
// guards the connections to what a manifest names.
func Default(ctx context.Context, scopes ...string) (*Account, error) {
	own := &http.Client{Timeout: patience}
	// Tokens are fetched long after this call.
	found, err := google.FindDefaultCredentials(
		context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, own),
		scopes...)
	if err != nil {
		return nil, fmt.Errorf("find an identity of Google: %w", err)
	}
	return &Account{Credentials: found, IAM: IAM, email: emailOf(found.JSON), own: own}, nil
}

// emailOf is the service account of a file of credentials; "" when it names none.
func emailOf(file []byte) string {
	var named struct {
		Email   string `json:"client_email"`
		Borrows string `json:"service_account_impersonation_url"`
	}
	if json.Unmarshal(file, &named) != nil || named.Email != "" {
		return named.Email
	}
	_, after, _ := strings.Cut(named.Borrows, "/serviceAccounts/")
	email, _, _ := strings.Cut(after, ":")
	return email
}

// Email is the service account that this identity is. Of one that is none it is [ErrNoSigner].
func (a *Account) Email(ctx context.Context) (string, error) {
	if a.email != "" {
		return a.email, nil
	}
	if a.JSON != nil {
		return "", ErrNoSigner
	}
	email, err := metadata.EmailWithContext(ctx, "default")
	if err != nil {
		return "", fmt.Errorf("ask the machine whose it is: %w", err)
	}
	if email = strings.TrimSpace(email); !strings.Contains(email, "@") { // a pool of identities, which is no account
		return "", ErrNoSigner
	}
	a.email = email
	return email, nil
}

// Sign signs with the key that Google keeps for the service account. An identity that may not is [ErrNoSigner]. Source:
// IAM Service Account Credentials API, signBlob.
func (a *Account) Sign(ctx context.Context, text []byte) ([]byte, error) {
	email, err := a.Email(ctx)
	if err != nil {
		return nil, err
	}
	token, err := a.TokenSource.Token()
	if err != nil {
		return nil, fmt.Errorf("sign as %s: %w", email, err)
	}
	ask, err := json.Marshal(map[string][]byte{"payload": text})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(
		ctx, http.MethodPost, a.IAM+"/v1/projects/-/serviceAccounts/"+url.PathEscape(email)+":signBlob",
		bytes.NewReader(ask),
	)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	token.SetAuthHeader(r)
	res, err := a.own.Do(r)
	if err != nil {
		return nil, fmt.Errorf("sign as %s: %w", email, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	switch {
	case err != nil:
		return nil, fmt.Errorf("sign as %s: %w", email, err)
	case res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("sign as %s: %w: it lacks iam.serviceAccounts.signBlob on itself", email, ErrNoSigner)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("sign as %s: the answer is %s", email, res.Status)
	}
	var answer struct {
		Signed []byte `json:"signedBlob"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Signed) == 0 {
		return nil, fmt.Errorf("sign as %s: the answer holds no signature", email)
	}
	return answer.Signed, nil
}
