// Package demo sets the whole chain up on a cluster, and plays its two acts.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/tools/demo/install"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Config says where things are.
type Config struct {
	Root        string // the repository
	Bin         string // built tools
	Images      string // image archives
	Kubeconfig  string
	GatewayCRDs string // folder of the Gateway API's definitions
	Node        string // address of the node, for its ports
	Registry    string // where our images were pushed; empty means that the node has them
	Out         io.Writer
}

// Ports of the node at which the demo's parts are reached from outside.
const (
	gitPort      = 30080
	loadPort     = 30081
	webPort      = 30082
	promPort     = 30090
	busPort      = 30422
	registryPort = 30500
)

func (c Config) at(port int, path string) string {
	return fmt.Sprintf("http://%s:%d%s", c.Node, port, path)
}

// Rest is how to reach the cluster.
func (c Config) Rest() (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("load kubeconfig %q: %w", c.Kubeconfig, err)
	}
	cfg.QPS = -1
	return cfg, nil
}

// Up brings everything up; what is there already stays.
func Up(ctx context.Context, c Config) error {
	cfg, err := c.Rest()
	if err != nil {
		return err
	}
	i, err := install.New(cfg, c.Out)
	if err != nil {
		return err
	}
	i.Images = c.Registry
	deploy := filepath.Join(c.Root, "deploy")
	if err := i.Apply(ctx, filepath.Join(deploy, "demo/manifests/00-namespace.yaml")); err != nil {
		return err
	}
	if err := secrets(ctx, i); err != nil {
		return err
	}
	// Helm leaves definitions as they are once they are there.
	if err := i.Apply(
		ctx, filepath.Join(c.Root, "schemas/crds"), c.GatewayCRDs, filepath.Join(deploy, "demo/manifests"),
	); err != nil {
		return err
	}
	if err := c.chart(ctx); err != nil {
		return err
	}
	for _, namespace := range []string{"argosy-demo", "argosy"} {
		if err := i.Ready(ctx, namespace, 3*time.Minute); err != nil {
			return err
		}
	}
	if err := c.seed(ctx); err != nil {
		return err
	}
	if err := i.Apply(ctx, filepath.Join(deploy, "demo/chain")); err != nil {
		return err
	}
	if err := c.awaitServing(ctx, i.Client()); err != nil {
		return err
	}
	// Load starts when there is something to load: connections from before the
	// first route would keep the router's 404 for as long as they live.
	if err := i.Apply(ctx, filepath.Join(deploy, "demo/traffic")); err != nil {
		return err
	}
	if err := i.Ready(ctx, "argosy-demo", time.Minute); err != nil {
		return err
	}
	return c.awaitLoad(ctx)
}

// awaitLoad returns when the load answers at its port of the node, which is some time after its pod is ready.
func (c Config) awaitLoad(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := c.Stats(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// services are what the chart deploys, beside the bus. The bus, as the Git server and the registry of the demo, has
// data that lives as long as its pod, and is not deployed anew for a new image.
var services = []string{
	events.ServiceWebhookIngest, events.ServiceSensor, events.ServiceWorkflowRunner, events.ServiceSyncAgent,
	events.ServiceRolloutAnalyzer,
}

// Values are those of the chart that depend on where it is installed, and on what its images hold.
func (c Config) Values() (map[string]any, error) {
	stamps := map[string]any{}
	for _, name := range services {
		stamp, err := install.Stamp(c.Images, name)
		if err != nil {
			return nil, err
		}
		if stamp != "" {
			stamps[name] = map[string]any{"podAnnotations": map[string]string{install.StampAnnotation: stamp}}
		}
	}
	out := map[string]any{"services": stamps}
	if c.Registry != "" {
		out["image"] = map[string]any{"registry": c.Registry}
	}
	return out, nil
}

// chart installs or upgrades the chart.
func (c Config) chart(ctx context.Context) error {
	values, err := c.Values()
	if err != nil {
		return err
	}
	text, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("write the values of the chart: %w", err)
	}
	f, err := os.CreateTemp("", "argosy-values-*.yaml")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is in a folder for such
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the values of the chart: %w", err)
	}
	// The definitions are applied already: Helm installs those it lacks and leaves the others as they were.
	return c.tool(
		ctx, "helm", "upgrade", "--install", "argosy", filepath.Join(c.Root, "deploy/chart"), "--namespace", "argosy",
		"--create-namespace", "--skip-crds", "--force-conflicts", "--timeout", "3m", "--kubeconfig", c.Kubeconfig,
		"--values", filepath.Join(c.Root, "deploy/demo/values.yaml"), "--values", f.Name(),
	)
}

func secrets(ctx context.Context, i *install.Installer) error {
	hook, err := i.Secret(ctx, "argosy-demo", "github-webhook-secret", "secret")
	if err != nil {
		return err
	}
	if _, err := i.Share(ctx, "ci", "github-webhook-secret", "secret", hook); err != nil {
		return err
	}
	token, err := i.Secret(ctx, "ci", "registry-webhook-secret", "token")
	if err != nil {
		return err
	}
	_, err = i.Share(ctx, "argosy-demo", "registry-config", "config.yml", fmt.Sprintf(registryConfig, token))
	return err
}

// registryConfig turns notifications on; the registry keeps them in memory and
// tries again until they are taken.
const registryConfig = `version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: /data}
  delete: {enabled: true}
http: {addr: ":5000"}
notifications:
  endpoints:
  - name: argosy
    url: http://webhook-ingest.argosy.svc:12000/registry
    headers: {Authorization: ["Bearer %s"]}
    timeout: 2s
    threshold: 3
    backoff: 500ms
`

// seed fills the registry and the repositories, before anything listens to them.
func (c Config) seed(ctx context.Context) error {
	registry := fmt.Sprintf("%s:%d", c.Node, registryPort)
	if err := c.tool(
		ctx, "images", "push", filepath.Join(c.Images, "web.tar"), registry+"/base/web:dev", "--insecure",
	); err != nil {
		return err
	}
	err := c.tool(ctx, "images", "context", "--context", filepath.Join(c.Root, "deploy/demo/repos/app/app"),
		"--base", registry+"/base/web:dev", "--tag", registry+"/app:v0", "--push", "--insecure")
	if err != nil {
		return err
	}
	for _, name := range []string{"app", "gitops"} {
		if err := c.seedRepository(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) seedRepository(ctx context.Context, name string) error {
	url := c.at(gitPort, "/demo/"+name+".git")
	out, err := git(ctx, "", "ls-remote", url, "refs/heads/main")
	if err != nil || strings.TrimSpace(out) != "" {
		return err
	}
	_, err = c.Commit(ctx, name, "start", func(dir string) error {
		return os.CopyFS(dir, os.DirFS(filepath.Join(c.Root, "deploy/demo/repos", name)))
	})
	return err
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(
		os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Demo", "GIT_AUTHOR_EMAIL=demo@example.com", "GIT_COMMITTER_NAME=Demo",
		"GIT_COMMITTER_EMAIL=demo@example.com",
	)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (c Config) tool(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(c.Bin, name), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// awaitServing waits until a version of the app serves users and no change is under way.
func (c Config) awaitServing(ctx context.Context, k client.Client) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	rollout := object.New("Rollout")
	for {
		err := k.Get(ctx, client.ObjectKey{Namespace: "demo-app", Name: "web"}, rollout)
		if err == nil && serving(rollout) {
			fmt.Fprintf(c.Out, "rollout demo-app/web serves (%s)\n", time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		select {
		case <-ctx.Done():
			phase, message := phaseOf(rollout)
			return fmt.Errorf(
				"rollout demo-app/web is %q (%s) after %s: %w", phase, message, time.Since(began).Round(time.Second),
				ctx.Err(),
			)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// serving reports whether the rollout is at rest with a version that works: promoted, or back from one that was
// aborted, as the last act of an earlier demo leaves it.
func serving(rollout *unstructured.Unstructured) bool {
	phase, _ := phaseOf(rollout)
	aborted, _, _ := unstructured.NestedBool(rollout.Object, "status", "abort")
	stable, _, _ := unstructured.NestedString(rollout.Object, "status", "stableRS")
	return phase == string(v1alpha1.RolloutHealthy) ||
		phase == string(v1alpha1.RolloutDegraded) && aborted && stable != ""
}

func phaseOf(rollout *unstructured.Unstructured) (phase, message string) {
	phase, _, _ = unstructured.NestedString(rollout.Object, "status", "phase")
	message, _, _ = unstructured.NestedString(rollout.Object, "status", "message")
	return phase, message
}
