package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// The account of the chart's hook may make Secrets and read none.
func TestMakeSecretsMakesThoseThatAreMissing(t *testing.T) {
	path := kubetest.StartPath(t)
	api, err := kubernetes.NewForConfig(kubetest.Load(t, path))
	if err != nil {
		t.Fatal(err)
	}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}}}
	_, err = api.RbacV1().Roles("default").Create(
		t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "make-secrets"}, Rules: rules},
		metav1.CreateOptions{},
	)
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.RbacV1().RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "make-secrets"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "make-secrets"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "make-secrets"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := types.NamespacedName{Namespace: "default", Name: "make-secrets"}
	kubetest.AwaitRight(t, kubetest.Load(t, path), account, "create", "secrets", "default")
	cfg, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range cfg.AuthInfos {
		user.Impersonate = "system:serviceaccount:default:make-secrets"
	}
	restricted := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, restricted); err != nil {
		t.Fatal(err)
	}
	_, err = api.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "nats-sensor"}, StringData: map[string]string{"password": "as it was"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, errs, code := run(
		t, nil, "make-secrets", "--kubeconfig", restricted, "-n", "default", "-o", "json", "nats-sensor", "nats-reader",
	)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var made secretsMade
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	if len(made) != 2 || made[0].Made || !made[1].Made {
		t.Errorf("made %v, want nats-reader alone", made)
	}
	for name, want := range map[string]string{"nats-sensor": "as it was", "nats-reader": ""} {
		s, err := api.CoreV1().Secrets("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := string(s.Data["password"])
		if strings.Contains(out, got) {
			t.Errorf("the password of %s is printed", name)
		}
		if want != "" && got != want || len(got) < 9 {
			t.Errorf("the password of %s has %d characters", name, len(got))
		}
	}
	_, errs, code = run(t, nil, "make-secrets", "--kubeconfig", restricted, "-n", "kube-system", "x")
	if code != exitFailed || !strings.Contains(errs, "make secret kube-system/x") {
		t.Errorf("elsewhere: exit code %d: %s", code, errs)
	}
}
