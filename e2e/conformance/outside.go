package conformance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/argosy-mesh/argosy/libs/obs"
)

// helloWorkflow is what made-up files, repositories and addresses hold.
const helloWorkflow = `apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: hello-
spec:
  entrypoint: hello
  templates:
  - name: hello
    container: {image: busybox, command: [echo, hello]}
`

// outside stands for everything that manifests refer to and that is not ours: it serves files and repositories, takes
// HTTP calls, and maps the addresses that manifests name to its own.
type outside struct {
	addresses map[string]string // as in manifests -> here

	mu    sync.Mutex
	calls map[string]int // requests taken, by path
}

func newOutside(ctx context.Context, s *stage) (*outside, error) {
	w := &outside{addresses: map[string]string{}, calls: map[string]int{}}
	root := filepath.Join(s.dir, "outside")
	if err := repository(ctx, root); err != nil {
		return nil, err
	}
	files := filepath.Join(root, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(files, "hello_world.yaml"), []byte(helloWorkflow), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(
		"/git/",
		&cgi.Handler{
			Path: "/usr/lib/git-core/git-http-backend",
			Root: "/git",
			Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
		},
	)
	mux.HandleFunc("/manifests/", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprint(out, helloWorkflow) })
	mux.HandleFunc("/", w.take)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.later(stop)
	go func() { _ = obs.Serve(serving, "127.0.0.1:"+port, mux) }()
	base := "http://127.0.0.1:" + port
	maps.Copy(w.addresses, map[string]string{
		"https://github.com/argoproj/argo.git":              base + "/git/argo.git",
		"git@github.com:argoproj/argo.git":                  base + "/git/argo.git",
		"https://raw.githubusercontent.com":                 base + "/manifests",
		"/workflows/hello_world.yaml":                       "hello_world.yaml",
		"http://http-server.argo-events.svc:8090":           base,
		"http://http-server.default.svc.cluster.local:8080": base,
		"http://http-server.argo-events.svc":                base,
	})
	return w, nil
}

// take answers any call and remembers it.
func (w *outside) take(out http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 32<<20))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[r.URL.Path]++
	fmt.Fprintln(out, "ok")
}

func (w *outside) taken(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[path]
}

// repository makes the Git repository that manifests name, with a workflow in it.
func repository(ctx context.Context, root string) error {
	work := filepath.Join(root, "work")
	if err := os.MkdirAll(filepath.Join(work, "examples"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(
		filepath.Join(work, "examples", "hello-world.yaml"), []byte(helloWorkflow), 0o600,
	); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "master", work},
		{"-C", work, "add", "."},
		{
			"-C", work, "-c", "user.name=conformance", "-c", "user.email=conformance@localhost", "commit", "-qm",
			"examples: hello",
		},
		{"-C", work, "tag", "v2.4.0"},
		{"-C", work, "branch", "main"},
		{"clone", "-q", "--bare", work, filepath.Join(root, "argo.git")},
	} {
		if out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
	}
	return nil
}
