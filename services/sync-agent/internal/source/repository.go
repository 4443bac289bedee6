package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"golang.org/x/net/http/httpproxy"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// secretLabel marks the Secrets that describe repositories.
const secretLabel = "argocd.argoproj.io/secret-type" //nolint:gosec // the name of a label

// keyLabel marks the Secrets with age keys, by the value sops-age. Each of their values is a file of identities; those
// with a project are for its Applications alone.
const (
	keyLabel = "argosy.dev/secret-type"
	kindKeys = "sops-age"
)

// Kinds of such Secrets.
const (
	kindRepository = "repository"
	kindTemplate   = "repo-creds"
	// The same for writing.
	kindWriter         = "repository-write"
	kindWriterTemplate = "repo-write-creds"
)

// ConfigMaps with what hosts are known by.
const (
	knownHostsMap = "argocd-ssh-known-hosts-cm"
	tlsCertsMap   = "argocd-tls-certs-cm"
)

// secretMemory is how long credentials are remembered: rotation needs no restart.
const secretMemory = 15 * time.Second

// repository is what is known of a repository beside its content. Source: the Secrets of Argo CD, by their keys.
type repository struct {
	URL     string
	Type    string // git, helm or oci
	Name    string // by which charts name it
	Project string // "" is for all

	Username, Password, BearerToken string
	SSHKey                          string
	ClientCert, ClientKey           string
	App                             githubApp
	GoogleKey                       string // JSON
	Azure                           bool   // by the identity that Entra gives to this process

	Insecure       bool
	Proxy, NoProxy string
	OCI            bool // a Helm repository that speaks OCI without saying so in its URL
	PlainHTTP      bool
	LFS            bool // Git LFS keeps files of it

	KnownHosts string
	CA         string // PEM of the host
}

// opens reports whether a repository has anything to open it with.
func (r repository) opens() bool {
	return r.Password != "" || r.BearerToken != "" || r.SSHKey != "" || r.ClientCert != "" || r.App.ID != "" ||
		r.GoogleKey != "" || r.Azure
}

// repositoryOf reads a Secret.
func repositoryOf(s *corev1.Secret) repository {
	text := func(key string) string { return string(s.Data[key]) }
	is := func(key string) bool { return text(key) == "true" }
	return repository{
		URL: strings.TrimSpace(text("url")), Type: text("type"), Name: text("name"), Project: text("project"),
		Username: text("username"), Password: text("password"), BearerToken: text("bearerToken"),
		SSHKey: text("sshPrivateKey"), ClientCert: text("tlsClientCertData"), ClientKey: text("tlsClientCertKey"),
		App: githubApp{
			ID: text("githubAppID"), Installation: text("githubAppInstallationID"), Key: text("githubAppPrivateKey"),
			Base: text("githubAppEnterpriseBaseUrl"),
		},
		GoogleKey: text("gcpServiceAccountKey"), Azure: is("useAzureWorkloadIdentity"),
		Insecure: is("insecure") || is("insecureIgnoreHostKey"), Proxy: text("proxy"), NoProxy: text("noProxy"),
		OCI: is("enableOCI"), PlainHTTP: is("insecureOCIForceHttp"), LFS: is("enableLfs"),
	}
}

// repositories finds what Secrets and ConfigMaps say of repositories.
type repositories struct {
	reader    client.Reader // not cached
	namespace string

	mu         sync.Mutex
	at         time.Time
	known      []corev1.Secret
	knownHosts string
	certs      map[string]string
	keys       []corev1.Secret
}

// normal makes spellings of one repository equal.
func normal(location string) string {
	return push.NormalURL(strings.TrimPrefix(location, "oci://"))
}

// find returns the repository at a location for a project: that of its own Secret, opened by the template of the
// longest prefix where it does not say how itself.
func (v *repositories) find(ctx context.Context, location, project string) (repository, error) {
	return v.findKind(ctx, location, project, kindRepository, kindTemplate)
}

// findWriter is find with the credentials for writing, where there are any.
func (v *repositories) findWriter(ctx context.Context, location, project string) (repository, error) {
	r, err := v.findKind(ctx, location, project, kindWriter, kindWriterTemplate)
	if err != nil || r.opens() {
		return r, err
	}
	return v.find(ctx, location, project)
}

func (v *repositories) findKind(
	ctx context.Context, location, project, kind, templateKind string,
) (repository, error) {
	if err := v.refresh(ctx); err != nil {
		return repository{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	want := normal(location)
	var own, template *corev1.Secret
	longest := -1
	for i := range v.known {
		s := &v.known[i]
		of := string(s.Data["project"])
		if of != "" && of != project {
			continue
		}
		at := normal(string(s.Data["url"]))
		switch s.Labels[secretLabel] {
		case kind:
			// That of the project comes before that of all.
			if at == want && (own == nil || of != "") {
				own = s
			}
		case templateKind:
			if strings.HasPrefix(want, strings.TrimSuffix(at, "/")) && len(at) > longest {
				template, longest = s, len(at)
			}
		}
	}
	r := repository{URL: location}
	if own != nil {
		r = repositoryOf(own)
	}
	if template != nil && !r.opens() {
		t := repositoryOf(template)
		t.URL, t.Name, t.Project = location, r.Name, r.Project
		t.Insecure, t.OCI, t.PlainHTTP = t.Insecure || r.Insecure, t.OCI || r.OCI, t.PlainHTTP || r.PlainHTTP
		t.LFS = t.LFS || r.LFS
		if r.Type != "" {
			t.Type = r.Type
		}
		if r.Proxy != "" {
			t.Proxy, t.NoProxy = r.Proxy, r.NoProxy
		}
		r = t
	}
	r.URL = location
	r.KnownHosts, r.CA = v.knownHosts, v.certs[git.Host(location)]
	return r, nil
}

// named returns the location of the Helm repository of that name.
func (v *repositories) named(ctx context.Context, name, project string) (string, error) {
	if err := v.refresh(ctx); err != nil {
		return "", err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.known {
		r := repositoryOf(&v.known[i])
		if r.Name == name && r.Type == "helm" && (r.Project == "" || r.Project == project) {
			if r.OCI && !strings.Contains(r.URL, "://") {
				return "oci://" + r.URL, nil
			}
			return r.URL, nil
		}
	}
	return "", fmt.Errorf(
		"there is no Helm repository named %q; add a Secret with the label %s: repository and type: helm",
		name,
		secretLabel,
	)
}

// keysOf are those that open what SOPS encrypted for a project.
func (v *repositories) keysOf(ctx context.Context, project string) (render.Keys, error) {
	if err := v.refresh(ctx); err != nil {
		return render.Keys{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var texts []string
	for _, s := range v.keys {
		of := string(s.Data["project"])
		if s.Labels[keyLabel] != kindKeys || (of != "" && of != project) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(s.Data)) {
			if name != "project" {
				texts = append(texts, string(s.Data[name]))
			}
		}
	}
	keys, err := render.ParseKeys(texts...)
	if err != nil {
		return keys, fmt.Errorf("%w: Secrets with the label %s: %s: %w", render.ErrSource, keyLabel, kindKeys, err)
	}
	return keys, nil
}

func (v *repositories) refresh(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.at) < secretMemory {
		return nil
	}
	var list corev1.SecretList
	if err := v.reader.List(ctx, &list, client.InNamespace(v.namespace), client.HasLabels{secretLabel}); err != nil {
		return fmt.Errorf("list repository secrets in %s: %w", v.namespace, err)
	}
	var keys corev1.SecretList
	if err := v.reader.List(
		ctx, &keys, client.InNamespace(v.namespace), client.MatchingLabels{keyLabel: kindKeys},
	); err != nil {
		return fmt.Errorf("list secrets with keys in %s: %w", v.namespace, err)
	}
	hosts, err := v.configMap(ctx, knownHostsMap)
	if err != nil {
		return err
	}
	certs, err := v.configMap(ctx, tlsCertsMap)
	if err != nil {
		return err
	}
	v.known, v.knownHosts, v.certs, v.at = list.Items, hosts["ssh_known_hosts"], certs, time.Now()
	v.keys = keys.Items
	return nil
}

func (v *repositories) configMap(ctx context.Context, name string) (map[string]string, error) {
	var m corev1.ConfigMap
	err := v.reader.Get(ctx, client.ObjectKey{Namespace: v.namespace, Name: name}, &m)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", v.namespace, name, err)
	}
	return m.Data, nil
}

// git is how the git program opens the repository.
func (r repository) git(ctx context.Context, tokens *tokens) (git.Credentials, error) {
	c := git.Credentials{
		Username: r.Username, Password: r.Password, BearerToken: r.BearerToken, SSHKey: r.SSHKey,
		KnownHosts: r.KnownHosts,
		CA:         r.CA, ClientCert: r.ClientCert, ClientKey: r.ClientKey, Insecure: r.Insecure, Proxy: r.Proxy,
		NoProxy: r.NoProxy,
	}
	switch {
	case r.GoogleKey != "" || r.Azure:
		open := tokens.ofAzure
		if r.GoogleKey != "" {
			open = tokens.ofGoogle
		}
		cloud, err := open(ctx, r)
		if err != nil {
			return c, fmt.Errorf("repository %s: %w", r.URL, err)
		}
		c.Username, c.Password, c.BearerToken = cloud.Username, cloud.Password, cloud.BearerToken
		c.Identity = cloud.Identity
		return c, nil
	case r.App.ID == "":
		return c, nil
	}
	token, err := tokens.token(ctx, r)
	if err != nil {
		return c, fmt.Errorf("repository %s: GitHub App %s: %w", r.URL, r.App.ID, err)
	}
	c.Username, c.Password, c.Identity = "x-access-token", token, r.App.identity()
	return c, nil
}

var errCA = errors.New("it has no certificate in PEM")

// transport is how HTTP reaches the repository.
func (r repository) transport() (*http.Transport, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: r.Insecure, //nolint:gosec // the Secret says so
	}
	if r.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(r.CA)) {
			return nil, fmt.Errorf("ConfigMap %s: %s: %w", tlsCertsMap, git.Host(r.URL), errCA)
		}
	}
	if r.ClientCert != "" {
		pair, err := tls.X509KeyPair([]byte(r.ClientCert), []byte(r.ClientKey))
		if err != nil {
			return nil, fmt.Errorf("repository %s: tlsClientCertData: %w", r.URL, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	t := &http.Transport{
		TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 15 * time.Second,
	}
	if r.Proxy != "" {
		proxy := (&httpproxy.Config{HTTPProxy: r.Proxy, HTTPSProxy: r.Proxy, NoProxy: r.NoProxy}).ProxyFunc()
		t.Proxy = func(q *http.Request) (*url.URL, error) { return proxy(q.URL) }
	}
	return t, nil
}
