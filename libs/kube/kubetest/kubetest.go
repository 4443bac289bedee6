// Package kubetest gives tests a real kube-apiserver, without nodes.
package kubetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Start runs a control plane until the test ends and returns how to reach it as
// an administrator. The localcluster tool is found in the repository's bin
// folder, or where ARGOSY_LOCALCLUSTER says.
func Start(t testing.TB) *rest.Config {
	t.Helper()
	return Load(t, StartPath(t))
}

// StartPath is Start for processes that want a kubeconfig file.
func StartPath(t testing.TB) string {
	t.Helper()
	tool := find(t)
	dir := t.TempDir()
	t.Cleanup(func() { localcluster(t, tool, "down", "--dir", dir) })
	localcluster(t, tool, "up", "--control-plane-only", "--dir", dir)
	return filepath.Join(dir, "kubeconfig")
}

// Load reads a kubeconfig file.
func Load(t testing.TB, path string) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	return cfg
}

// AwaitRight waits until an account may do verb to resource, of the group "", in a namespace: rights count a moment
// after their binding is there.
func AwaitRight(t testing.TB, cfg *rest.Config, account types.NamespacedName, verb, resource, namespace string) {
	t.Helper()
	api, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + account.Namespace + ":" + account.Name,
		Groups: []string{
			"system:serviceaccounts", "system:serviceaccounts:" + account.Namespace, "system:authenticated",
		},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource, Namespace: namespace},
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got, err := api.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("account %s never got the right to %s %s in %s: %v", account, verb, resource, namespace, err)
		}
		if got.Status.Allowed {
			return
		}
	}
}

func localcluster(t testing.TB, tool string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("localcluster %v: %v\n%s", args, err, out)
	}
}

func find(t testing.TB) string {
	t.Helper()
	if tool := os.Getenv("ARGOSY_LOCALCLUSTER"); tool != "" {
		return tool
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		tool := filepath.Join(dir, "bin", "localcluster")
		if _, err := os.Stat(tool); err == nil {
			return tool
		}
	}
	t.Fatal(
		"bin/localcluster is not built: run `make cluster-tools` at the top of the repository, or set ARGOSY_LOCALCLUSTER",
	)
	panic("unreachable")
}
