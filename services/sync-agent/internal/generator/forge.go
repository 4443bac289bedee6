package generator

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/generator/forge"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// scmCreds marks the Secrets that ApplicationSets outside the control namespace may use. Source: Argo CD's strict mode.
const scmCreds = "scm-creds" //nolint:gosec // the value of a label

var scmKind = answering("scmProvider", func(
	g *Generators, ctx context.Context, by Asker, spec *v1alpha1.SCMProviderGenerator,
) ([]appset.Repository, error) {
	return forge.Repositories(ctx, g.access(by), spec)
})

var pullRequestKind = answering("pullRequest", func(
	g *Generators, ctx context.Context, by Asker, spec *v1alpha1.PullRequestGenerator,
) ([]appset.PullRequest, error) {
	return forge.PullRequests(ctx, g.access(by), spec)
})

// access is what an ApplicationSet may use to reach forges.
func (g *Generators) access(by Asker) forge.Access {
	return forge.Access{
		Secret: func(ctx context.Context, name string) (map[string][]byte, error) {
			return g.credentials(ctx, by.Namespace, name)
		},
		CA: func(ctx context.Context, ref *v1alpha1.ConfigMapKeyRef) (*x509.CertPool, error) {
			return g.authorities(ctx, by.Namespace, ref)
		},
		Allowed: func(address string) error { return g.allowed(by.Namespace, address) },
	}
}

// credentials reads a Secret of the set's namespace. Outside the control namespace it must be marked for the purpose:
// who may write an ApplicationSet there must not send others' Secrets to a server of their choice.
func (g *Generators) credentials(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	var s corev1.Secret
	if err := g.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s); err != nil {
		return nil, err
	}
	if namespace != g.Control && s.Labels[SecretTypeLabel] != scmCreds {
		return nil, fmt.Errorf("secret %s/%s lacks the label %s: %s, which it needs outside namespace %s",
			namespace, name, SecretTypeLabel, scmCreds, g.Control)
	}
	return s.Data, nil
}

// authorities reads certificates of a ConfigMap; nil for no reference.
func (g *Generators) authorities(
	ctx context.Context, namespace string, ref *v1alpha1.ConfigMapKeyRef,
) (*x509.CertPool, error) {
	if ref == nil {
		return nil, nil
	}
	var c corev1.ConfigMap
	if err := g.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.ConfigMapName}, &c); err != nil {
		return nil, fmt.Errorf("caRef: %w", err)
	}
	text, there := c.Data[ref.Key]
	if !there {
		return nil, &secret.MissingError{Kind: "configmap", Namespace: namespace, Name: ref.ConfigMapName, Key: ref.Key}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, fmt.Errorf("caRef: configmap %s/%s key %q holds no certificate", namespace, ref.ConfigMapName, ref.Key)
	}
	return pool, nil
}

// allowed says whether a forge may be asked. One that no manifest names is the public one, which always may. Source:
// Argo CD.
func (g *Generators) allowed(namespace, address string) error {
	if address == "" || len(g.AllowedSCM) == 0 && namespace == g.Control {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	address = strings.TrimRight(address, "/")
	if slices.ContainsFunc(g.AllowedSCM, func(pattern string) bool {
		pattern = strings.TrimRight(pattern, "/")
		return project.Match(pattern, address) || project.Match(pattern, u.Scheme+"://"+u.Host) ||
			project.Match(pattern, u.Hostname())
	}) {
		return nil
	}
	return fmt.Errorf("api: %s is not among those of --allowed-scm-providers", address)
}
