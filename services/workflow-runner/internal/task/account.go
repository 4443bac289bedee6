package task

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Lifetimes of the tokens of service accounts.
const (
	tokenLifetime = time.Hour
	tokenReserve  = 10 * time.Minute // a token is renewed this long before its end
)

// Accounts reaches the API server as service accounts, with tokens that it asks for.
type Accounts struct {
	rest   *rest.Config
	own    kubernetes.Interface
	mapper meta.RESTMapper

	mu      sync.Mutex
	clients map[string]*identity
}

// identity is one service account at the API server.
type identity struct {
	objects dynamic.Interface
	core    kubernetes.Interface
}

// NewAccounts asks for tokens through cfg.
func NewAccounts(cfg *rest.Config, mapper meta.RESTMapper) (*Accounts, error) {
	own, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for tokens: %w", err)
	}
	return &Accounts{rest: cfg, own: own, mapper: mapper, clients: map[string]*identity{}}, nil
}

// Own acts with the process's own rights.
func (a *Accounts) Own() kubernetes.Interface { return a.own }

// clientset acts with the process's own rights; nil without accounts.
func (a *Accounts) clientset() kubernetes.Interface {
	if a == nil {
		return nil
	}
	return a.own
}

// as returns the clients of an account.
func (a *Accounts) as(namespace, account string) (*identity, error) {
	if account == "" {
		account = "default"
	}
	name := namespace + "/" + account
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.clients[name]; ok {
		return known, nil
	}
	cfg := rest.AnonymousClientConfig(a.rest)
	cfg.QPS = -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &bearer{next: next, own: a.own, namespace: namespace, account: account}
	})
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("act for service account %s: %w", name, err)
	}
	core, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("act for service account %s: %w", name, err)
	}
	a.clients[name] = &identity{objects: objects, core: core}
	return a.clients[name], nil
}

// secret reads one key of a Secret as an account.
func (a *Accounts) secret(ctx context.Context, namespace, account string, ref corev1.SecretKeySelector) (string, error) {
	who, err := a.as(namespace, account)
	if err != nil {
		return "", err
	}
	s, err := who.core.CoreV1().Secrets(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read Secret %q: %w", ref.Name, err)
	}
	value, ok := s.Data[ref.Key]
	if !ok {
		return "", fmt.Errorf("the Secret %q has no key %q", ref.Name, ref.Key)
	}
	return string(value), nil
}

// bearer adds the token of a service account to requests, and renews it in time.
type bearer struct {
	next               http.RoundTripper
	own                kubernetes.Interface
	namespace, account string

	mu    sync.Mutex
	token string
	until time.Time
}

// accountError is how the API server answers for an account that it does not know or that we may not have.
type accountError struct{ cause error }

func (e *accountError) Error() string { return e.cause.Error() }
func (e *accountError) Unwrap() error { return e.cause }

// RoundTrip sends one request.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.fresh(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := b.next.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusUnauthorized {
		// The account was made anew, or its tokens were revoked: the next request asks for a fresh one.
		b.mu.Lock()
		b.token = ""
		b.mu.Unlock()
	}
	return answer, err
}

func (b *bearer) fresh(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" && time.Now().Before(b.until) {
		return b.token, nil
	}
	seconds := int64(tokenLifetime.Seconds())
	made, err := b.own.CoreV1().ServiceAccounts(b.namespace).CreateToken(ctx, b.account, &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		err = fmt.Errorf("token of service account %s/%s: %w", b.namespace, b.account, err)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return "", &accountError{err}
		}
		return "", err
	}
	b.token, b.until = made.Status.Token, made.Status.ExpirationTimestamp.Add(-tokenReserve)
	return b.token, nil
}
