package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
)

// secretLabel and secretType mark the Secrets that describe clusters. Source: Argo CD, declarative setup.
const (
	secretLabel = "argocd.argoproj.io/secret-type" //nolint:gosec // the name of a label
	secretType  = "cluster"
)

// skipReconcile, on the Secret of a cluster, pauses everything that goes there.
const skipReconcile = "argocd.argoproj.io/skip-reconcile"

// credentials is what a cluster Secret says of how to reach the cluster.
type credentials struct {
	Username        string          `json:"username"`
	Password        string          `json:"password"`
	BearerToken     string          `json:"bearerToken"`
	TLSClientConfig tlsClientConfig `json:"tlsClientConfig"`
	AWSAuthConfig   *awsAuth        `json:"awsAuthConfig"`
	Exec            *execProvider   `json:"execProviderConfig"`
	NoCompression   bool            `json:"disableCompression"`
	ProxyURL        string          `json:"proxyUrl"`
}

type tlsClientConfig struct {
	Insecure   bool   `json:"insecure"`
	ServerName string `json:"serverName"`
	CAData     []byte `json:"caData"`
	CertData   []byte `json:"certData"`
	KeyData    []byte `json:"keyData"`
}

type execProvider struct {
	Command     string            `json:"command"`
	Args        []string          `json:"args"`
	Env         map[string]string `json:"env"`
	APIVersion  string            `json:"apiVersion"`
	InstallHint string            `json:"installHint"`
}

// ErrSecret is wrapped by errors about a cluster Secret that cannot be followed.
var ErrSecret = errors.New("cluster secret")

// configOf reads how to reach the cluster of a Secret.
func configOf(s *corev1.Secret) (*rest.Config, error) {
	fail := func(field string, err error) (*rest.Config, error) {
		return nil, fmt.Errorf("%w %s/%s: %s: %w", ErrSecret, s.Namespace, s.Name, field, err)
	}
	server := strings.TrimSpace(string(s.Data["server"]))
	if u, err := url.Parse(server); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fail("server", fmt.Errorf("%q is no address of an API server", server))
	}
	var c credentials
	if text := s.Data["config"]; len(text) > 0 {
		if err := json.Unmarshal(text, &c); err != nil {
			return fail("config", err)
		}
	}
	t := c.TLSClientConfig
	config := &rest.Config{
		Host: server, Username: c.Username, Password: c.Password, BearerToken: c.BearerToken,
		DisableCompression: c.NoCompression, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{
			Insecure: t.Insecure, ServerName: t.ServerName, CAData: t.CAData, CertData: t.CertData, KeyData: t.KeyData,
		},
	}
	if t.Insecure && len(t.CAData) > 0 {
		return fail("config.tlsClientConfig", errors.New("insecure and caData exclude each other"))
	}
	if c.ProxyURL != "" {
		proxy, err := url.Parse(c.ProxyURL)
		if err != nil {
			return fail("config.proxyUrl", err)
		}
		config.Proxy = httpProxy(proxy)
	}
	if c.AWSAuthConfig != nil {
		if err := c.AWSAuthConfig.use(config); err != nil {
			return fail("config.awsAuthConfig", err)
		}
	}
	if e := c.Exec; e != nil {
		config.ExecProvider = &api.ExecConfig{
			Command: e.Command, Args: e.Args, APIVersion: e.APIVersion, InstallHint: e.InstallHint,
			InteractiveMode: api.NeverExecInteractiveMode,
		}
		for name, value := range e.Env {
			config.ExecProvider.Env = append(config.ExecProvider.Env, api.ExecEnvVar{Name: name, Value: value})
		}
	}
	return config, nil
}
