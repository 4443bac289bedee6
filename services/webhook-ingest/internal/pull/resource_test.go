package pull

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/kube/kubetest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// reading lets the default account of the rig's namespace read ConfigMaps of namespace default.
func reading(t *testing.T, cfg *rest.Config) *actas.Accounts {
	t.Helper()
	accounts, err := actas.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	api := accounts.Own().RbacV1()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reading"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
		},
	}
	if _, err := api.Roles("default").Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reading"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reading"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "ns", Name: actas.Default}},
	}
	if _, err := api.RoleBindings("default").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubetest.AwaitRight(
		t, cfg, types.NamespacedName{Namespace: "ns", Name: actas.Default}, "watch", "configmaps", "default",
	)
	return accounts
}

// Whoever writes an EventSource sees what the account of the EventSource may see.
func TestResourcesThatTheAccountMayNotSeeAreNotTold(t *testing.T) {
	cfg := kubetest.Start(t)
	accounts := reading(t, cfg)
	for name, c := range map[string]v1alpha1.ResourceEventSource{
		"another kind":      {Namespace: "default", Version: "v1", Resource: "secrets"},
		"another namespace": {Namespace: "kube-system", Version: "v1", Resource: "configmaps"},
		"all namespaces":    {Version: "v1", Resource: "configmaps"},
	} {
		r := newRig(t)
		r.env.Accounts = accounts
		if err := resource(c).Run(t.Context(), r.env, r.emit); err == nil ||
			!strings.Contains(err.Error(), "system:serviceaccount:ns:default") {
			t.Errorf("%s: %v", name, err)
		}
		r.quiet()
	}
	r := newRig(t)
	r.env.Accounts, r.env.Account = accounts, "other"
	if err := resource(v1alpha1.ResourceEventSource{Namespace: "default", Version: "v1", Resource: "configmaps"}).Run(
		t.Context(), r.env, r.emit,
	); err == nil ||
		!strings.Contains(err.Error(), "system:serviceaccount:ns:other") {
		t.Errorf("another account: %v", err)
	}
}

func TestResourcesAreToldOnce(t *testing.T) {
	cfg := kubetest.Start(t)
	accounts := reading(t, cfg)
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	maps := client.CoreV1().ConfigMaps("default")
	object := func(name, value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": "a"}},
			Data:       map[string]string{"v": value},
		}
	}
	create := func(name string) {
		t.Helper()
		if _, err := maps.Create(t.Context(), object(name, "1"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create("app-before")
	r := newRig(t)
	r.env.Accounts = accounts
	c := v1alpha1.ResourceEventSource{
		Namespace:  "default",
		Version:    "v1",
		Resource:   "configmaps",
		EventTypes: []string{"ADD", "UPDATE", "DELETE"},
		Filter: &v1alpha1.ResourceFilter{
			Prefix: "app-",
			Labels: []v1alpha1.EventSelector{{Key: "team", Operation: "in", Value: "a,b"}},
		},
		Metadata: map[string]string{"k": "v"},
	}
	stop := r.start(resource(c))
	expect := func(kind, name string) told {
		t.Helper()
		e := r.next()
		if e.get("type") != kind || e.get("body.metadata.name") != name || e.get("resource") != "configmaps" ||
			e.get("metadata.k") != "v" {
			t.Fatalf("want %s of %s: %+v", kind, name, e)
		}
		return e
	}
	expect("ADD", "app-before")
	create("other")
	create("app-new")
	expect("ADD", "app-new")
	if _, err := maps.Update(t.Context(), object("app-new", "2"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := expect("UPDATE", "app-new"); e.get("oldBody.data.v") != "1" || e.get("body.data.v") != "2" {
		t.Errorf("%+v", e)
	}
	if err := maps.Delete(t.Context(), "app-new", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("DELETE", "app-new")
	_ = stop()
	create("app-while-away")
	r.start(resource(c))
	expect("ADD", "app-while-away")
	r.quiet()

	other := newRig(t) // another replica, without what the first remembers
	other.env.Accounts = accounts
	c.Filter.AfterStart = true
	other.start(resource(c))
	create("app-last")
	one, two := r.next(), other.next()
	if one.id != two.id || one.get("body.metadata.name") != "app-last" {
		t.Errorf("%s and %s: every replica must tell the same event", one, two)
	}
	c.Filter.Labels[0].Operation = "like"
	if err := resource(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("an operation that is none")
	}
}

// Cases 10 and 11.
func TestFieldsAndLabelsOfResources(t *testing.T) {
	cfg := kubetest.Start(t)
	accounts := reading(t, cfg)
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	maps := client.CoreV1().ConfigMaps("default")
	for _, o := range []corev1.ConfigMap{
		{
			ObjectMeta: metav1.ObjectMeta{
				Name: "shop-eu", Labels: map[string]string{"team": "a"},
				Annotations: map[string]string{"state": "done"},
			},
			Data: map[string]string{"v": "2"},
		},
		{ObjectMeta: metav1.ObjectMeta{Name: "shop-euro"}, Data: map[string]string{"v": "1"}},
	} {
		if _, err := maps.Create(t.Context(), &o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	field := func(key, value string) *v1alpha1.ResourceFilter {
		return &v1alpha1.ResourceFilter{Fields: []v1alpha1.EventSelector{{Key: key, Operation: "==", Value: value}}}
	}
	for name, c := range map[string]struct {
		filter *v1alpha1.ResourceFilter
		want   string
	}{
		"byData":       {field("data.v", "2"), "shop-eu"},
		"byAnnotation": {field("metadata.annotations.state", "done"), "shop-eu"},
		"byPattern":    {field("metadata.name", "^shop-(eu|us)$"), "shop-eu"},
		"exists": {
			&v1alpha1.ResourceFilter{
				Prefix: "shop-", Labels: []v1alpha1.EventSelector{{Key: "team", Operation: "exists"}},
			},
			"shop-eu",
		},
		"does not exist": {
			&v1alpha1.ResourceFilter{Prefix: "shop-", Labels: []v1alpha1.EventSelector{{Key: "team", Operation: "!"}}},
			"shop-euro",
		},
	} {
		r := newRig(t)
		r.env.Accounts = accounts
		stop := r.start(
			resource(
				v1alpha1.ResourceEventSource{
					Namespace: "default", Version: "v1", Resource: "configmaps", EventTypes: []string{"ADD"},
					Filter: c.filter,
				},
			),
		)
		if e := r.next(); e.get("body.metadata.name") != c.want {
			t.Errorf("%s: %+v", name, e)
		}
		r.quiet()
		_ = stop()
	}
}
