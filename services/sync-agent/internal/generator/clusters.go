package generator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Labels of the Secrets that describe clusters, in the control namespace.
const (
	SecretTypeLabel = "argocd.argoproj.io/secret-type" //nolint:gosec // the name of a label
	ClusterSecret   = "cluster"
)

// ownServer is the installation's own cluster, which needs no Secret.
const ownServer = "https://kubernetes.default.svc"

// WatchClusters returns a cache of the Secrets of clusters, which the manager runs. It is one of its own: the manager's
// holds Secrets of all kinds where Applications have some.
func WatchClusters(mgr manager.Manager, namespace string) (cache.Cache, error) {
	c, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), DefaultTransform: cache.TransformStripManagedFields(),
		DefaultNamespaces:    map[string]cache.Config{namespace: {}},
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{SecretTypeLabel: ClusterSecret}),
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of clusters: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("run the cache of clusters: %w", err)
	}
	return c, nil
}

var clustersKind = answering("clusters", func(
	g *Generators, ctx context.Context, _ Asker, _ *v1alpha1.ClusterGenerator,
) ([]appset.Cluster, error) {
	return g.clusters(ctx)
})

// clusters are those of the installation, by name.
func (g *Generators) clusters(ctx context.Context) ([]appset.Cluster, error) {
	var secrets corev1.SecretList
	if err := g.Cached.List(
		ctx, &secrets, client.InNamespace(g.Control), client.MatchingLabels{SecretTypeLabel: ClusterSecret},
	); err != nil {
		return nil, fmt.Errorf("list the secrets of clusters in %s: %w", g.Control, err)
	}
	own := false
	var out []appset.Cluster
	for i := range secrets.Items {
		s := &secrets.Items[i]
		c := appset.Cluster{
			Name: string(s.Data["name"]), Server: strings.TrimRight(string(s.Data["server"]), "/"),
			Project: string(s.Data["project"]), Labels: s.Labels, Annotations: s.Annotations,
		}
		own = own || c.Server == ownServer
		out = append(out, c)
	}
	if !own {
		out = append(out, appset.Cluster{Name: "in-cluster", Server: ownServer, Implicit: true})
	}
	slices.SortStableFunc(out, func(a, b appset.Cluster) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Server, b.Server))
	})
	return out, nil
}
