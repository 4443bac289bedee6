package cluster

import (
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/argosy-mesh/argosy/libs/kube/actas"
)

// keptWriters bounds the accounts whose clients are kept; one that was dropped is made again.
const keptWriters = 256

// Writers make clients that write to the cluster as service accounts. Safe for concurrent use.
type Writers struct {
	config *rest.Config
	mapper meta.RESTMapper
	own    client.Client

	mu   sync.Mutex
	made *lru.Cache[string, client.Client]
}

// NewWriters returns writers that act through a configuration, whose user must be allowed to impersonate service
// accounts. own is the client of the process itself.
func NewWriters(config *rest.Config, mapper meta.RESTMapper, own client.Client) *Writers {
	made, err := lru.New[string, client.Client](keptWriters)
	if err != nil {
		panic(err) // only for a size under one
	}
	return &Writers{config: config, mapper: mapper, own: own, made: made}
}

// As returns a client that writes as an account, as the process itself where name is "".
func (w *Writers) As(namespace, name string) (client.Client, error) {
	if name == "" {
		return w.own, nil
	}
	user := actas.User(namespace, name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.made.Get(user); ok {
		return c, nil
	}
	config := rest.CopyConfig(w.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	config.QPS = -1 // the API server's own fairness knows who asks
	c, err := client.New(config, client.Options{Mapper: w.mapper, Scheme: w.own.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("act as %s: %w", user, err)
	}
	w.made.Add(user, c)
	return c, nil
}
