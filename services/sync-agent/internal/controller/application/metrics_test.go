package application

import (
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Dashboards of Argo CD read these; what is gone, or somebody else's, is told no more.
func TestMetricsOfApplications(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	app := func(name string) *v1alpha1.Application {
		a := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: name}}
		a.Spec.Source = &v1alpha1.ApplicationSource{RepoURL: "https://git.example.org/r"}
		a.Spec.Destination.Name = "in-cluster"
		a.Status.Sync.Status, a.Status.Health.Status = "Synced", "Healthy"
		return a
	}
	for _, name := range []string{"mine", "gone", "other"} {
		m.looked(app(name), time.Second)
		m.ended(app(name), &v1alpha1.OperationState{}, v1alpha1.OperationSucceeded)
	}
	m.forget(types.NamespacedName{Namespace: "argocd", Name: "gone"})
	m.apps.owns = func(key string) bool { return key != "argocd/other" }
	if n := testutil.CollectAndCount(m.apps, "argocd_app_info"); n != 1 {
		t.Errorf("%d applications are told", n)
	}
	if n := testutil.CollectAndCount(m.appSyncs, "argocd_app_sync_total"); n != 2 {
		t.Errorf("%d series of syncs", n)
	}
}
