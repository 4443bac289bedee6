package task

import (
	"context"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/kube/actas"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Accounts reaches the API server as the service accounts of workflows.
type Accounts struct {
	*actas.Accounts

	mapper meta.RESTMapper
}

// NewAccounts acts through cfg.
func NewAccounts(cfg *rest.Config, mapper meta.RESTMapper) (*Accounts, error) {
	accounts, err := actas.New(cfg)
	if err != nil {
		return nil, err
	}
	return &Accounts{Accounts: accounts, mapper: mapper}, nil
}

// clientset acts with the process's own rights; nil without accounts.
func (a *Accounts) clientset() kubernetes.Interface {
	if a == nil {
		return nil
	}
	return a.Own()
}

// as returns the clients of an account that there is.
func (a *Accounts) as(ctx context.Context, namespace, account string) (*actas.Client, error) {
	if err := a.Exists(ctx, namespace, account); err != nil {
		return nil, err
	}
	return a.As(namespace, account)
}

// secret reads one key of a Secret as an account.
func (a *Accounts) secret(ctx context.Context, namespace, account string, ref corev1.SecretKeySelector) (string,
	error) {
	who, err := a.as(ctx, namespace, account)
	if err != nil {
		return "", err
	}
	s, err := who.Core.CoreV1().Secrets(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read Secret %q: %w", ref.Name, err)
	}
	value, ok := s.Data[ref.Key]
	if !ok {
		return "", fmt.Errorf("the Secret %q has no key %q", ref.Name, ref.Key)
	}
	return string(value), nil
}
