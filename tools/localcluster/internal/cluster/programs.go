package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/kubeapi"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/render"
)

// program is one of a cluster's programs: how it is started and how it tells
// that it works.
type program struct {
	name   string
	argv   []string
	inNode bool // runs in the node's mount namespace
	ready  func(context.Context) error
}

// stages are the programs in the order in which they need each other; those of
// one stage start together.
func (s *session) stages() [][]program {
	all := [][]program{{s.etcd()}, {s.apiserver()}}
	var rest []program
	if s.Controllers {
		rest = append(rest, s.controllerManager())
	}
	if s.Full() {
		all[0] = append(all[0], s.containerd())
		rest = append(rest, s.scheduler(), s.kubelet(), s.proxy(), s.dns())
	}
	if len(rest) > 0 {
		all = append(all, rest)
	}
	return all
}

func (s *session) etcd() program {
	url := fmt.Sprintf("https://127.0.0.1:%d", s.Ports.Etcd)
	return program{
		name: "etcd",
		argv: []string{
			s.kube, "etcd", "--data-dir=" + s.Path("etcd"), "--client-url=" + url,
			fmt.Sprintf("--peer-url=https://127.0.0.1:%d", s.Ports.EtcdPeer),
			"--ca=" + s.authority.Cert("ca"), "--cert=" + s.authority.Cert("etcd"), "--key=" + s.authority.Key("etcd"),
			"--unsafe-no-fsync",
		},
		ready: func(ctx context.Context) error {
			client, err := kubeapi.New(url, s.identity())
			if err != nil {
				return err
			}
			_, err = client.Get(ctx, "/health")
			return err
		},
	}
}

func (s *session) apiserver() program {
	a := s.authority
	argv := []string{
		s.kube, "kube-apiserver",
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", s.Ports.Etcd),
		"--etcd-cafile=" + a.Cert("ca"), "--etcd-certfile=" + a.Cert("etcd"), "--etcd-keyfile=" + a.Key("etcd"),
		"--secure-port=" + strconv.Itoa(s.Ports.API),
		"--tls-cert-file=" + a.Cert("apiserver"), "--tls-private-key-file=" + a.Key("apiserver"),
		"--client-ca-file=" + a.Cert("ca"), "--cert-dir=" + s.Path("pki"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + a.Key("service-account"),
		"--service-account-signing-key-file=" + a.Key("service-account"),
		"--service-cluster-ip-range=" + s.Services,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--enable-aggregator-routing=false",
		"--max-requests-inflight=1600", "--max-mutating-requests-inflight=800",
	}
	if s.Full() {
		argv = append(argv,
			"--bind-address=0.0.0.0", "--advertise-address="+s.Network.Gateway,
			// The node's name resolves nowhere; its address always answers.
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority="+a.Cert("ca"),
			"--kubelet-client-certificate="+a.Cert("admin"), "--kubelet-client-key="+a.Key("admin"))
	} else {
		argv = append(
			argv, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		)
	}
	if !s.Controllers {
		// Nobody makes the service accounts that this plugin asks for.
		argv = append(argv, "--disable-admission-plugins=ServiceAccount")
	}
	return program{name: "kube-apiserver", argv: argv, ready: s.answers("/readyz")}
}

func (s *session) controllerManager() program {
	a := s.authority
	return program{
		name: "kube-controller-manager",
		argv: []string{
			s.kube, "kube-controller-manager", "--kubeconfig=" + s.config("kube-controller-manager"),
			"--authentication-kubeconfig=" + s.config("kube-controller-manager"),
			"--authorization-kubeconfig=" + s.config("kube-controller-manager"),
			"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(s.Ports.ControllerManager),
			"--cert-dir=" + s.Path("pki"), "--leader-elect=false", "--use-service-account-credentials",
			"--service-account-private-key-file=" + a.Key("service-account"),
			// Without the root CA no pod can verify the API server.
			"--root-ca-file=" + a.Cert("ca"),
			"--cluster-signing-cert-file=" + a.Cert("ca"), "--cluster-signing-key-file=" + a.Key("ca"),
			"--kube-api-qps=100", "--kube-api-burst=200",
		},
		ready: httpsHealth(s.Ports.ControllerManager),
	}
}

func (s *session) scheduler() program {
	return program{
		name: "kube-scheduler",
		argv: []string{
			s.kube, "kube-scheduler", "--kubeconfig=" + s.config("kube-scheduler"),
			"--authentication-kubeconfig=" + s.config("kube-scheduler"),
			"--authorization-kubeconfig=" + s.config("kube-scheduler"),
			"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(s.Ports.Scheduler),
			"--cert-dir=" + s.Path("pki"), "--leader-elect=false", "--kube-api-qps=100", "--kube-api-burst=200",
		},
		ready: httpsHealth(s.Ports.Scheduler),
	}
}

func (s *session) containerd() program {
	socket := render.Socket(s.Cluster)
	return program{
		name:   "containerd",
		argv:   []string{"containerd", "--config", s.Path("config", "containerd.toml")},
		inNode: true,
		ready: func(ctx context.Context) error {
			var dialer net.Dialer
			connection, err := dialer.DialContext(ctx, "unix", socket)
			if err != nil {
				return err
			}
			return connection.Close()
		},
	}
}

func (s *session) kubelet() program {
	return program{
		name: "kubelet",
		argv: []string{
			s.kube, "kubelet", "--config=" + s.Path("config", "kubelet.yaml"), "--kubeconfig=" + s.config("kubelet"),
			"--hostname-override=" + s.NodeName(), "--node-ip=" + s.Network.Gateway,
		},
		inNode: true,
		ready:  httpHealth(s.Ports.KubeletHealth, "/healthz"),
	}
}

func (s *session) proxy() program {
	return program{
		name:  "kube-proxy",
		argv:  []string{s.kube, "kube-proxy", "--config=" + s.Path("config", "kube-proxy.yaml")},
		ready: httpHealth(s.Ports.ProxyHealth, "/healthz"),
	}
}

func (s *session) dns() program {
	return program{
		name:  "coredns",
		argv:  []string{s.coredns, "-conf", s.Path("config", "Corefile")},
		ready: httpHealth(s.Ports.DNSHealth, "/health"),
	}
}

// config is the path of a program's kubeconfig.
func (s *session) config(user string) string { return s.Path("config", user+".kubeconfig") }

func httpHealth(port int, path string) func(context.Context) error {
	return health(http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
}

// httpsHealth asks programs that sign their own certificate; all that matters
// is that they answer.
func httpsHealth(port int) func(context.Context) error {
	return health(unverified, fmt.Sprintf("https://127.0.0.1:%d/healthz", port))
}

func health(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
