// Package actas acts at the API server as service accounts: what a tenant's manifest asks for is done with the rights
// of that tenant's account, never with those of the service that does it.
//
// It impersonates, so that the server's audit log names both and no token of an account is held here. The service needs
// the verb impersonate on the resource serviceaccounts, in all namespaces or in those that it serves; of users and
// groups it needs none: the server adds the groups of a service account by itself. Source: Kubernetes, user
// impersonation.
package actas

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"
)

// Default is the account of who names none.
const Default = "default"

// keptClients bounds the accounts whose clients are kept. One that was dropped is made again.
const keptClients = 1024

// Accounts makes clients that act as service accounts. It is safe for use by several goroutines.
type Accounts struct {
	rest *rest.Config
	own  kubernetes.Interface

	mu      sync.Mutex
	clients *lru.Cache
}

// Client acts as one service account.
type Client struct {
	Objects dynamic.Interface
	Core    kubernetes.Interface
}

// New acts through a configuration, whose user must be allowed to impersonate service accounts.
func New(cfg *rest.Config) (*Accounts, error) {
	own, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client to act as service accounts: %w", err)
	}
	return &Accounts{rest: cfg, own: own, clients: lru.New(keptClients)}, nil
}

// Own acts with the process's own rights; nil without accounts.
func (a *Accounts) Own() kubernetes.Interface {
	if a == nil {
		return nil
	}
	return a.own
}

// Self acts with the process's own rights.
func (a *Accounts) Self() (*Client, error) {
	objects, err := dynamic.NewForConfig(a.rest)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &Client{Objects: objects, Core: a.own}, nil
}

// User is the name of a service account as the API server knows it; "" as account is [Default].
func User(namespace, account string) string {
	if account == "" {
		account = Default
	}
	return "system:serviceaccount:" + namespace + ":" + account
}

// As returns a client that acts as an account of a namespace. Whether there is such an account is not looked up: one
// that there is not has the rights of its groups alone. See [Accounts.Exists].
func (a *Accounts) As(namespace, account string) (*Client, error) {
	user := User(namespace, account)
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.clients.Get(user); ok {
		return known.(*Client), nil
	}
	cfg := rest.CopyConfig(a.rest)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user}
	cfg.QPS = -1 // the API server's own fairness knows who asks
	transport, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("act as %s: %w", user, err)
	}
	objects, err := dynamic.NewForConfigAndClient(cfg, transport)
	if err != nil {
		return nil, fmt.Errorf("act as %s: %w", user, err)
	}
	core, err := kubernetes.NewForConfigAndClient(cfg, transport)
	if err != nil {
		return nil, fmt.Errorf("act as %s: %w", user, err)
	}
	made := &Client{Objects: objects, Core: core}
	a.clients.Add(user, made)
	return made, nil
}

// UnknownAccountError says that there is no such service account, or that this service may not act as it.
type UnknownAccountError struct {
	Namespace, Account string
	Err                error
}

// Error names the account.
func (e *UnknownAccountError) Error() string {
	return fmt.Sprintf("service account %s/%s: %v", e.Namespace, e.Account, e.Err)
}

// Unwrap returns what the API server said.
func (e *UnknownAccountError) Unwrap() error { return e.Err }

// Exists returns an [UnknownAccountError] when there is no such account.
func (a *Accounts) Exists(ctx context.Context, namespace, account string) error {
	if account == "" {
		account = Default
	}
	_, err := a.own.CoreV1().ServiceAccounts(namespace).Get(ctx, account, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return &UnknownAccountError{Namespace: namespace, Account: account, Err: err}
	}
	if err != nil {
		return fmt.Errorf("look for service account %s/%s: %w", namespace, account, err)
	}
	return nil
}
