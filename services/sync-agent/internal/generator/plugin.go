package generator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	pluginPath    = "/api/v1/getparams.execute"
	pluginBody    = 8 << 20 // bytes of an answer
	pluginTimeout = 30 * time.Second
)

// partOfLabel marks the Secrets whose keys ConfigMaps may name. Source: Argo CD.
const partOfLabel = "app.kubernetes.io/part-of"

var pluginKind = answering("plugin", func(
	g *Generators, ctx context.Context, by Asker, spec *v1alpha1.PluginGenerator,
) ([]map[string]any, error) {
	var config corev1.ConfigMap
	key := client.ObjectKey{Namespace: by.Namespace, Name: spec.ConfigMapRef.Name}
	if err := g.Reader.Get(ctx, key, &config); err != nil {
		return nil, fmt.Errorf("configMapRef: %w", err)
	}
	base, err := url.Parse(config.Data["baseUrl"])
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("configMapRef: ConfigMap %s: baseUrl %q is no URL of http or https", key, config.Data["baseUrl"])
	}
	token, err := g.pluginToken(ctx, by.Namespace, config.Data["token"])
	if err != nil {
		return nil, fmt.Errorf("configMapRef: ConfigMap %s: token: %w", key, err)
	}
	timeout := pluginTimeout
	if text := config.Data["requestTimeout"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > int(patience/time.Second) {
			return nil, fmt.Errorf("configMapRef: ConfigMap %s: requestTimeout %q is no number of seconds up to %d", key, text,
				int(patience/time.Second))
		}
		timeout = time.Duration(n) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return callPlugin(ctx, base.JoinPath(pluginPath).String(), token, by.Name, spec)
})

// callPlugin asks a plugin.
func callPlugin(
	ctx context.Context, address, token, set string, spec *v1alpha1.PluginGenerator,
) ([]map[string]any, error) {
	parameters := spec.Input.Parameters
	if parameters == nil {
		parameters = map[string]json.RawMessage{}
	}
	body, err := json.Marshal(map[string]any{
		"applicationSetName": set, "input": map[string]any{"parameters": parameters},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	// A redirect would take the token elsewhere.
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, pluginBody+1))
	if err != nil {
		return nil, fmt.Errorf("plugin %s: read the answer: %w", address, err)
	}
	if len(raw) > pluginBody {
		return nil, fmt.Errorf("plugin %s: the answer has more than %d bytes", address, pluginBody)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("plugin %s: answers %s", address, res.Status)
	}
	return pluginOutput(raw)
}

// pluginOutput reads output.parameters, a list of objects.
func pluginOutput(raw []byte) ([]map[string]any, error) {
	var answer struct {
		Output struct {
			Parameters []json.RawMessage `json:"parameters"`
		} `json:"output"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("plugin: its answer: %w", err)
	}
	out := make([]map[string]any, len(answer.Output.Parameters))
	for i, p := range answer.Output.Parameters {
		v, err := script.Decode(p)
		if err != nil {
			return nil, fmt.Errorf("plugin: output.parameters[%d]: %w", i, err)
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("plugin: output.parameters[%d] is no object", i)
		}
		out[i] = m
	}
	return out, nil
}

// pluginToken follows a reference of the form $key, into argocd-secret, or $secret:key.
func (g *Generators) pluginToken(ctx context.Context, namespace, ref string) (string, error) {
	rest, is := strings.CutPrefix(ref, "$")
	if !is || rest == "" {
		return "", errors.New("it must be of the form $key or $secret:key, which keeps it in a Secret")
	}
	name, key, other := strings.Cut(rest, ":")
	if !other {
		name, key = "argocd-secret", rest
	}
	var s corev1.Secret
	if err := g.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s); err != nil {
		return "", err
	}
	if other && s.Labels[partOfLabel] != "argocd" {
		return "", fmt.Errorf("secret %s/%s lacks the label %s: argocd", namespace, name, partOfLabel)
	}
	if len(s.Data[key]) == 0 {
		return "", &secret.MissingError{Kind: "secret", Namespace: namespace, Name: name, Key: key}
	}
	return strings.TrimSpace(string(s.Data[key])), nil
}
