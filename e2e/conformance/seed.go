package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Where the demo's Git server and registry are, from this machine and from pods.
const (
	seedNamespace   = "seed"
	seedRepository  = "seed/my-app.git"
	gitOutside      = "http://127.0.0.1:30080/"
	gitInside       = "http://git.argosy-demo.svc:8080/"
	registryOutside = "http://127.0.0.1:30500/v2/"
	registryInside  = "registry.local:5000/"
	seedImage       = "seed/my-app"
	seedPatience    = 5 * time.Minute
)

// seedFiles are the repository that the CI pipeline clones: its Dockerfile is where the pipeline looks for it, and
// its test leaves a report where the pipeline collects one.
var seedFiles = map[string]string{
	"app/app/Dockerfile": "FROM registry.local:5000/base/web:dev\nWORKDIR /app\nCOPY package.json /app/package.json\nUSER 65532:65532\n",
	"app/package.json": `{"name": "my-app", "version": "1.0.0", "scripts": {"test": "node test.js"}}
`,
	"app/test.js": `const { mkdirSync, writeFileSync } = require('fs')
require('assert').strictEqual(1 + 1, 2)
mkdirSync('/app/test-results', { recursive: true })
writeFileSync('/app/test-results/junit.xml', '<testsuite tests="1" failures="0"><testcase name="adds"/></testsuite>')
console.log('1 test passed')
`,
}

// seedSuite judges the manifests of a guide on the running product.
type seedSuite struct {
	kube   client.Client
	config Config
	report *Report
}

// Seed judges a folder of manifests as a guide shows them: the API takes each as it stands, and workflows run to
// their end against the demo's Git server and registry. Their arguments, the registry and nothing else are filled in.
func Seed(ctx context.Context, c Config) (*Report, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	s := &seedSuite{config: c, report: &Report{}}
	if s.kube, err = client.New(cfg, client.Options{}); err != nil {
		return nil, err
	}
	found, err := manifests(c.Dir, func(text string) string { return text })
	if err != nil {
		return nil, err
	}
	if err := (&stage{kube: s.kube}).apply(ctx, object("v1", "Namespace", seedNamespace, nil)); err != nil {
		return nil, err
	}
	for _, m := range found {
		if !chosen(m.file, c.Only) || m.object.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
			continue
		}
		m.object.SetNamespace(seedNamespace)
		s.report.Judge(m.file+": accepted", s.kube.Create(ctx, m.object.DeepCopy(), client.DryRunAll))
		if m.object.GetKind() == "Workflow" {
			s.report.Judge(m.file+": runs", s.run(ctx, m.object))
		}
	}
	return s.report, ctx.Err()
}

// run plays the pipeline and looks for what it says it makes.
func (s *seedSuite) run(ctx context.Context, wf *unstructured.Unstructured) error {
	commit, err := seedCommit(ctx)
	if err != nil {
		return err
	}
	if err := overlay(wf, commit); err != nil {
		return err
	}
	if err := s.kube.Create(ctx, wf); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	progressf(s.config.Progress, "workflow %s/%s of commit %s", seedNamespace, wf.GetName(), commit)
	err = (&stage{}).await(ctx, seedPatience, func() error {
		if err := s.kube.Get(ctx, client.ObjectKeyFromObject(wf), wf); err != nil {
			return err
		}
		phase, message := phaseOf(wf)
		if !v1alpha1.WorkflowPhase(phase).Completed() {
			return fmt.Errorf("it is %q %s", phase, message)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if phase, message := phaseOf(wf); phase != string(v1alpha1.WorkflowSucceeded) {
		return fmt.Errorf("it ended %s (%s)%s", phase, message, (&workflowSuite{}).stuck(wf))
	}
	return errors.Join(pushed(ctx, commit), reported(wf))
}

// overlay fills in what the manifest leaves to whoever submits it, and the registry.
func overlay(wf *unstructured.Unstructured, commit string) error {
	parameters := []any{
		map[string]any{"name": "repo-url", "value": gitInside + seedRepository},
		map[string]any{"name": "revision", "value": commit},
	}
	walkJSON(wf.Object, func(m map[string]any) {
		if value, _ := m["value"].(string); m["name"] == "image-name" && strings.HasPrefix(value, "my-app:") {
			m["value"] = registryInside + "seed/" + value
		}
	})
	return unstructured.SetNestedSlice(wf.Object, parameters, "spec", "arguments", "parameters")
}

// seedCommit pushes the repository and returns its commit.
func seedCommit(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "argosy-seed-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	// A server that has no such repository makes it.
	if _, err := git(ctx, "", "clone", "--quiet", gitOutside+seedRepository, dir); err != nil {
		return "", err
	}
	for name, text := range seedFiles {
		path := filepath.Join(dir, name)
		if err := errors.Join(
			os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(text), 0o600),
		); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{
		{"add", "-A"}, {"commit", "--quiet", "--allow-empty", "-m", "app: as it is"},
		{"push", "--quiet", "origin", "HEAD:refs/heads/main"},
	} {
		if _, err := git(ctx, dir, args...); err != nil {
			return "", err
		}
	}
	return git(ctx, dir, "rev-parse", "HEAD")
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(
		os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Guide", "GIT_AUTHOR_EMAIL=guide@example.com", "GIT_COMMITTER_NAME=Guide",
		"GIT_COMMITTER_EMAIL=guide@example.com",
	)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// pushed wants the image of the commit in the registry.
func pushed(ctx context.Context, commit string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, registryOutside+seedImage+"/manifests/"+commit, nil)
	if err != nil {
		return err
	}
	request.Header.Set(
		"Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json",
	)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the registry for the image: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry answers %s for %s:%s", answer.Status, seedImage, commit)
	}
	return nil
}

// reported wants the test reports among the stored artifacts, under the key that the manifest names.
func reported(wf *unstructured.Unstructured) error {
	want := "test-reports/" + string(wf.GetUID()) + "/junit.xml"
	found := false
	nodes, _, _ := unstructured.NestedMap(wf.Object, "status", "nodes")
	walkJSON(nodes, func(m map[string]any) {
		place, _ := m["s3"].(map[string]any)
		found = found || m["name"] == "test-reports" && place["key"] == want
	})
	if !found {
		return fmt.Errorf("no node has an artifact test-reports at %s", want)
	}
	return nil
}
