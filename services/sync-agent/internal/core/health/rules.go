package health

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// rule tells the health of an object of one kind; zero when it has none.
type rule func(view) Health

// anyKind is the name of the rule for the kinds of a group that have none of their own.
const anyKind = "*"

// group is what is known of the kinds of an API group: by kind, what tells the health of one.
type group map[string]rule

// groups are the rules that are built in, one file for each API group or family of groups. A name that begins with
// "*." holds for all groups that end so, after those that are named in full.
var groups = map[string]group{
	"":                       pods,
	"apiextensions.k8s.io":   apiextensions,
	"apiregistration.k8s.io": apiregistration,
	"apps":                   apps,
	"autoscaling":            autoscaling,
	"batch":                  batch,
	"networking.k8s.io":      networking,
	"policy":                 policy,

	"argoproj.io":           argoproj,
	"numaflow.numaproj.io":  numaflow,
	"numaplane.numaproj.io": numaplane,
	"promoter.argoproj.io":  promoter,

	"*.cnrm.cloud.google.com":           cnrm,
	"*.crossplane.io":                   crossplane,
	"*.services.k8s.aws":                ack,
	"*.k8s.elastic.co":                  elastic,
	"*.solo.io":                         solo,
	"*.toolkit.fluxcd.io":               flux,
	"*.upbound.io":                      crossplane,
	"apps.kruise.io":                    kruiseApps,
	"astra.netapp.io":                   astra,
	"cassandra.rook.io":                 rookCassandra,
	"cdi.kubevirt.io":                   cdi,
	"ceph.rook.io":                      rookCeph,
	"cert-manager.io":                   certManager,
	"certmanager.k8s.io":                certManager,
	"cluster.x-k8s.io":                  clusterAPI,
	"core.gardener.cloud":               gardener,
	"core.spinkube.dev":                 spinkube,
	"db.atlasgo.io":                     atlas,
	"flink.apache.org":                  flink,
	"game.kruise.io":                    kruiseGame,
	"gateway.networking.k8s.io":         gatewayAPI,
	"grafana.integreatly.org":           grafana,
	"k8s.mariadb.com":                   mariadb,
	"kafka.banzaicloud.io":              banzai,
	"kafka.strimzi.io":                  strimzi,
	"karpenter.sh":                      karpenter,
	"keda.sh":                           keda,
	"kubevirt.io":                       kubevirt,
	"mariadb.mmontes.io":                mariadb,
	"metrics.keptn.sh":                  keptnMetrics,
	"microgateway.airlock.com":          airlock,
	"minio.min.io":                      minio,
	"networking.gke.io":                 gke,
	"opentelemetry.io":                  opentelemetry,
	"operator.openshift.io":             openshiftOperator,
	"operators.coreos.com":              olm,
	"pkg.crossplane.io":                 packages,
	"platform.confluent.io":             confluent,
	"policy.open-cluster-management.io": ocmPolicy,
	"postgresql.cnpg.io":                cnpg,
	"proclaim.dogmatiq.io":              proclaim,
	"rabbitmq.com":                      rabbitmq,
	"rollouts.kruise.io":                kruiseRollouts,
	"route.openshift.io":                openshiftRoute,
	"services.cloud.sap.com":            sap,
	"serving.kserve.io":                 kserve,
}

// ruleOf finds the rule of a kind, nil when there is none.
func ruleOf(name, kind string) rule {
	if r := groups[name].rule(kind); r != nil {
		return r
	}
	for _, suffix := range families() {
		if strings.HasSuffix(name, suffix[1:]) {
			if r := groups[suffix].rule(kind); r != nil {
				return r
			}
		}
	}
	return nil
}

func (g group) rule(kind string) rule {
	if r := g[kind]; r != nil {
		return r
	}
	return g[anyKind]
}

// families are the names in groups that stand for several groups, the longest first.
var families = sync.OnceValue(func() []string {
	var out []string
	for name := range maps.Keys(groups) {
		if strings.HasPrefix(name, "*.") {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return out
})

// knownGroup reports whether some kind of a group has a rule.
func knownGroup(name string) bool {
	return groups[name] != nil || slices.ContainsFunc(families(), func(f string) bool {
		return strings.HasSuffix(name, f[1:])
	})
}

// native are the groups of Kubernetes itself: their kinds have health only by a rule of their own.
var native = set(`admissionregistration.k8s.io apiextensions.k8s.io apiregistration.k8s.io apps authentication.k8s.io
	authorization.k8s.io autoscaling batch certificates.k8s.io coordination.k8s.io discovery.k8s.io events.k8s.io
	extensions flowcontrol.apiserver.k8s.io internal.apiserver.k8s.io metrics.k8s.io networking.k8s.io node.k8s.io
	policy rbac.authorization.k8s.io resource.k8s.io scheduling.k8s.io storage.k8s.io storagemigration.k8s.io`)

func isNative(name string) bool { return name == "" || native[name] }

// silent are kinds whose objects are configuration: nobody writes a status into them, although their definitions have
// room for one. "*" stands for all kinds of a group.
var silent = map[string]map[string]bool{
	"networking.istio.io":            set("*"),
	"security.istio.io":              set("*"),
	"telemetry.istio.io":             set("*"),
	"extensions.istio.io":            set("*"),
	"traefik.io":                     set("*"),
	"traefik.containo.us":            set("*"),
	"k8s.cni.cncf.io":                set("*"),
	"generators.external-secrets.io": set("*"),
	"metallb.io":                     set("*"),
	"crd.projectcalico.org":          set("*"),
	"projectcalico.org":              set("*"),
	"config.gatekeeper.sh":           set("*"),
	"linkerd.io":                     set("*"),
	"policy.linkerd.io":              set("*"),
	"monitoring.coreos.com":          set("ServiceMonitor PodMonitor PrometheusRule Probe ScrapeConfig AlertmanagerConfig"),
	"keda.sh":                        set("TriggerAuthentication ClusterTriggerAuthentication"),
	"postgresql.cnpg.io":             set("ImageCatalog ClusterImageCatalog"),
	"kyverno.io":                     set("PolicyException CleanupPolicy ClusterCleanupPolicy"),
	"policy.karmada.io":              set("*"),
	"cloud.google.com":               set("BackendConfig"),
	"networking.gke.io":              set("FrontendConfig"),
	"kuma.io":                        set("*"),
	"config.kubernetes.io":           set("*"),
	"kustomize.config.k8s.io":        set("*"),
	"cilium.io":                      set("CiliumNetworkPolicy CiliumClusterwideNetworkPolicy CiliumCIDRGroup"),
	"secrets-store.csi.x-k8s.io":     set("*"),
}

// reporting are groups without a rule whose controllers write a status into every object that they have seen, silent
// kinds apart.
var reporting = set(`acid.zalan.do addons.cluster.x-k8s.io app.terraform.io bitnami.com cassandra.datastax.com
	clickhouse.altinity.com coralogix.com core.humio.com couchbase.com databases.spotahome.com dragonflydb.io
	external-secrets.io grafana-org-operator.kubitus-project.gitlab.io hive.openshift.io infinispan.org
	k8s.keycloak.org k8ssandra.io kubeflow.org kubernetes-client.io kyverno.io metal3.io mongodbcommunity.mongodb.com
	nmstate.io opensearch.opster.io pingcap.com postgres-operator.crunchydata.com psmdb.percona.com pxc.percona.com
	ray.io scylla.scylladb.com secrets.hashicorp.com snapshot.storage.k8s.io solr.apache.org sparkoperator.k8s.io
	tower.ansible.com velero.io volsync.backube zookeeper.pravega.io`)

func isSilent(group, kind string) bool { return silent[group][anyKind] || silent[group][kind] }
