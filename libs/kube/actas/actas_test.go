package actas

import (
	"errors"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func TestAnAccountHasItsOwnRightsAndNoMore(t *testing.T) {
	cfg := kubetest.Load(t, kubetest.StartPath(t))
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	own := a.Own()
	for _, name := range []string{"mine", "other"} {
		if _, err := own.CoreV1().Namespaces().Create(
			t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{},
		); err != nil {
			t.Fatal(err)
		}
	}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
	}
	if _, err := own.RbacV1().Roles("mine").Create(
		t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "writer"}, Rules: rules}, metav1.CreateOptions{},
	); err != nil {
		t.Fatal(err)
	}
	bind := func(name string, subject rbacv1.Subject) {
		t.Helper()
		b := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "writer"},
			Subjects:   []rbacv1.Subject{subject},
		}
		if _, err := own.RbacV1().RoleBindings("mine").Create(t.Context(), b, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	bind("account", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "mine", Name: "robot"})
	bind(
		"group",
		rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts:other"},
	)
	for _, account := range []types.NamespacedName{
		{Namespace: "mine", Name: "robot"}, {Namespace: "other", Name: "any"},
	} {
		kubetest.AwaitRight(t, cfg, account, "create", "configmaps", "mine")
	}
	for i, c := range []struct {
		namespace, account, in string
		allowed                bool
	}{
		{"mine", "robot", "mine", true},
		{"mine", "robot", "other", false},
		{"mine", "", "mine", false},
		{"other", "any", "mine", true}, // by its group, which the server adds
		{"other", "any", "other", false},
	} {
		who, err := a.As(c.namespace, c.account)
		if err != nil {
			t.Fatal(err)
		}
		_, err = who.Core.CoreV1().ConfigMaps(c.in).Create(
			t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}},
			metav1.CreateOptions{},
		)
		if allowed := err == nil; allowed != c.allowed || err != nil && !apierrors.IsForbidden(err) {
			t.Errorf("%s/%s in %s: %v", c.namespace, c.account, c.in, err)
		}
	}
}

func TestAnAccountThatThereIsNotIsNamed(t *testing.T) {
	cfg := kubetest.Load(t, kubetest.StartPath(t))
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Own().CoreV1().ServiceAccounts("default").Create(
		t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{},
	); err != nil {
		t.Fatal(err)
	}
	if err := a.Exists(t.Context(), "default", "robot"); err != nil {
		t.Error(err)
	}
	if _, is := errors.AsType[*UnknownAccountError](a.Exists(t.Context(), "default", "nobody")); !is {
		t.Error("an account that there is not is none")
	}
}

func TestClientsAreBounded(t *testing.T) {
	a, err := New(&rest.Config{Host: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := a.As("ns", "0")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := a.As("ns", "0"); again != first {
		t.Error("an account has a client each time anew")
	}
	for i := range keptClients + 10 {
		if _, err := a.As("ns", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.clients.Len(); n != keptClients {
		t.Errorf("%d clients are kept", n)
	}
}
