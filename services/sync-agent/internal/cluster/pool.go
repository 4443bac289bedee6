package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// How Applications name the cluster that the agent runs in.
const (
	InCluster       = "in-cluster"
	InClusterServer = "https://kubernetes.default.svc"
)

// secretMemory is how long cluster Secrets are remembered: a new cluster needs no restart.
const secretMemory = 10 * time.Second

// openPatience bounds the wait for a cluster to answer for the first time, and how long one that did not is left alone:
// many Applications of a cluster that is away must not hold those of others back.
const (
	openPatience = 10 * time.Second
	restAfter    = 15 * time.Second
)

// ErrUnknown is wrapped by the error about a destination that no cluster Secret describes.
var ErrUnknown = errors.New("there is no such cluster")

// Cluster is one destination.
type Cluster struct {
	Server, Name string
	Project      string // whose Applications alone may go there; "" is every project's
	Own          bool   // the agent's own
	Agent        string // who sees to it there; "" where its API server is reached from here
	Paused       bool
	Live         *Cache
	Reader       client.Reader // not cached
	Writers      *Writers
	Discovery    discovery.DiscoveryInterface
}

// Pool holds the clusters of an installation, each connected when something goes there first. Safe for concurrent use.
type Pool struct {
	own       *Cluster
	secrets   client.Reader // not cached
	namespace string
	control   string
	out       chan event.GenericEvent

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of all connections, which outlive requests; nil until Begin
	at      time.Time
	known   []corev1.Secret
	clients map[string]*connection // by uid of the Secret
}

// connection is a cluster that is connected or was tried to be.
type connection struct {
	version string // of the Secret
	once    sync.Mutex
	cluster *Cluster
	stop    context.CancelFunc
	err     error
	at      time.Time // of err
}

// NewPool returns the pool of an installation whose cluster Secrets are in a namespace. own is the agent's cluster,
// whose changes are told, too.
func NewPool(own *Cluster, secrets client.Reader, namespace string) *Pool {
	own.Own, own.Server, own.Name = true, InClusterServer, InCluster
	return &Pool{
		own: own, secrets: secrets, namespace: namespace, control: own.Live.control, out: own.Live.out,
		clients: map[string]*connection{},
	}
}

// Changed receives the applications whose objects changed, in whichever cluster.
func (p *Pool) Changed() <-chan event.GenericEvent { return p.out }

// Begin lets clusters be connected until ctx ends. Watches must not wait for a controller that has stopped, so they
// stop waiting then; stop undoes that.
func (p *Pool) Begin(ctx context.Context) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx = ctx
	return context.AfterFunc(ctx, p.own.Live.Stop)
}

// Of returns the cluster that a destination names by its server or its name, connected.
func (p *Pool) Of(ctx context.Context, server, name string) (*Cluster, error) {
	secret, err := p.find(ctx, server, name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		if name == InCluster || normal(server) == InClusterServer {
			return p.own, nil
		}
		return nil, fmt.Errorf(
			"%w: %s%s; a Secret with the label %s=%s describes one",
			ErrUnknown,
			server,
			name,
			secretLabel,
			secretType,
		)
	}
	if normal(string(secret.Data["server"])) == InClusterServer {
		// The agent needs nobody's credentials to reach its own cluster; a Secret only gives it a name.
		own := *p.own
		own.Name, own.Project, own.Paused = string(
			secret.Data["name"],
		), string(
			secret.Data["project"],
		), paused(
			secret,
		)
		return &own, nil
	}
	if agent, is, err := remote.AgentOf(string(secret.Data["server"])); is {
		if err != nil {
			return nil, fmt.Errorf("%w %s/%s: server: %w", ErrSecret, secret.Namespace, secret.Name, err)
		}
		return &Cluster{
			Server: remote.Server(agent), Name: string(secret.Data["name"]), Project: string(secret.Data["project"]),
			Paused: paused(secret), Agent: agent,
		}, nil
	}
	c := p.connectionOf(secret)
	c.once.Lock()
	defer c.once.Unlock()
	if c.cluster != nil {
		return c.cluster, nil
	}
	if c.err != nil && time.Since(c.at) < restAfter {
		return nil, c.err
	}
	c.cluster, c.err = p.connect(secret, c) //nolint:contextcheck // it outlives the request
	c.at = time.Now()
	return c.cluster, c.err
}

// Known is the cluster that a control cluster names so, whose agent this is: its own.
func (p *Pool) Known(server, name string) *Cluster {
	own := *p.own
	own.Server, own.Name = server, name
	return &own
}

// AgentOf is the agent that sees to a destination, "" where there is none.
func (p *Pool) AgentOf(ctx context.Context, server, name string) (string, error) {
	secret, err := p.find(ctx, server, name)
	if err != nil || secret == nil {
		return "", err
	}
	agent, _, err := remote.AgentOf(string(secret.Data["server"]))
	return agent, err
}

// Agents lists the agents that cluster Secrets name.
func (p *Pool) Agents(ctx context.Context) ([]string, error) {
	if _, err := p.find(ctx, "", ""); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for i := range p.known {
		agent, is, err := remote.AgentOf(string(p.known[i].Data["server"]))
		if is && err == nil && !slices.Contains(out, agent) {
			out = append(out, agent)
		}
	}
	slices.Sort(out)
	return out, nil
}

func normal(server string) string { return strings.TrimSuffix(strings.TrimSpace(server), "/") }

// find returns the Secret of a destination, nil when there is none.
func (p *Pool) find(ctx context.Context, server, name string) (*corev1.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) > secretMemory {
		var list corev1.SecretList
		if err := p.secrets.List(
			ctx, &list, client.InNamespace(p.namespace), client.MatchingLabels{secretLabel: secretType},
		); err != nil {
			return nil, fmt.Errorf("list cluster secrets in %s: %w", p.namespace, err)
		}
		p.known, p.at = list.Items, time.Now()
		p.drop()
	}
	var found *corev1.Secret
	for i := range p.known {
		s := &p.known[i]
		if (server != "" && normal(string(s.Data["server"])) == normal(server)) ||
			(name != "" && string(s.Data["name"]) == name) {
			if found != nil {
				return nil, fmt.Errorf(
					"%w: %s%s names two clusters: secrets %s and %s",
					ErrSecret,
					server,
					name,
					found.Name,
					s.Name,
				)
			}
			found = s
		}
	}
	return found, nil
}

// drop ends connections whose Secret is gone. The caller holds mu.
func (p *Pool) drop() {
	there := map[string]bool{}
	for i := range p.known {
		there[string(p.known[i].UID)] = true
	}
	for uid, c := range p.clients {
		if !there[uid] {
			c.close()
			delete(p.clients, uid)
		}
	}
}

func (c *connection) close() {
	if c.stop != nil {
		c.stop()
	}
}

// connectionOf returns the connection of a Secret; one of an older state of it is ended.
func (p *Pool) connectionOf(s *corev1.Secret) *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	uid := string(s.UID)
	c := p.clients[uid]
	if c != nil && c.version == s.ResourceVersion {
		return c
	}
	if c != nil {
		c.close()
	}
	c = &connection{version: s.ResourceVersion}
	p.clients[uid] = c
	return c
}

func (p *Pool) connect(s *corev1.Secret, c *connection) (*Cluster, error) {
	config, err := configOf(s)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	root := p.ctx
	p.mu.Unlock()
	if root == nil {
		return nil, errors.New("connections are not kept yet")
	}
	named := func(err error) error {
		return fmt.Errorf("cluster %s (%s): %w", s.Data["name"], config.Host, err)
	}
	probe := rest.CopyConfig(config)
	probe.Timeout = openPatience
	asked, err := discovery.NewDiscoveryClientForConfig(probe)
	if err != nil {
		return nil, named(err)
	}
	if _, err := asked.ServerVersion(); err != nil {
		return nil, named(err)
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, named(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, transport)
	if err != nil {
		return nil, named(err)
	}
	objects, err := client.New(
		config,
		client.Options{HTTPClient: transport, Mapper: mapper, Scheme: p.own.Writers.own.Scheme()},
	)
	if err != nil {
		return nil, named(err)
	}
	watched, err := cache.New(config, cache.Options{
		HTTPClient: transport, Mapper: mapper, Scheme: objects.Scheme(), DefaultTransform: Lean(p.own.Live.method),
		DefaultNamespaces: namespaces(s),
	})
	if err != nil {
		return nil, named(err)
	}
	ctx, stop := context.WithCancel(root)
	c.stop = stop
	go func() { _ = watched.Start(ctx) }() // it fails for nothing that a look would not say, too
	live := New(watched, mapper, p.control, p.own.Live.method)
	live.out = p.out
	context.AfterFunc(ctx, live.Stop)
	return &Cluster{
		Server: normal(string(s.Data["server"])), Name: string(s.Data["name"]), Project: string(s.Data["project"]),
		Paused: paused(s), Live: live, Reader: objects,
		Writers: NewWriters(config, mapper, objects), Discovery: asked,
	}, nil
}

func paused(s *corev1.Secret) bool { return s.Annotations[skipReconcile] == "true" }

// namespaces are those that a Secret restricts a cluster to; nil is all.
func namespaces(s *corev1.Secret) map[string]cache.Config {
	var out map[string]cache.Config
	for name := range strings.SplitSeq(string(s.Data["namespaces"]), ",") {
		if name = strings.TrimSpace(name); name != "" {
			if out == nil {
				out = map[string]cache.Config{}
			}
			out[name] = cache.Config{}
		}
	}
	return out
}

func httpProxy(proxy *url.URL) func(*http.Request) (*url.URL, error) { return http.ProxyURL(proxy) }
