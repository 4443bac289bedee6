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
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
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

// Restrict gives a service the rights of its file in the chart and no other, and returns a kubeconfig that has exactly
// those, so that a rule that is missing fails a test and not an installation. rules is the path of the file.
func Restrict(t testing.TB, path, service, rules string) string {
	t.Helper()
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "argosy-" + service}}
	if err := yaml.UnmarshalStrict(text, &role.Rules); err != nil {
		t.Fatal(err)
	}
	api, err := kubernetes.NewForConfig(Load(t, path))
	if err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "argosy", Name: service}},
	}
	if _, err := api.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range cfg.AuthInfos {
		user.Impersonate = "system:serviceaccount:argosy:" + service
	}
	out := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, out); err != nil {
		t.Fatal(err)
	}
	return out
}
