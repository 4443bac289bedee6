package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/libs/flow/state"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// remembered looks for the outputs of a template in its cache. With done the node is decided without work, or waits
// for the answer.
func (k *engine) remembered(c state.Call, t v1alpha1.Template, sc scope.Scope) (n v1alpha1.NodeStatus, done bool) {
	if t.Memoize == nil {
		return n, false
	}
	existing, started := k.Nodes.Named(c.Name)
	m := *t.Memoize.DeepCopy()
	if err := scope.Substitute(&m, sc); err != nil {
		return k.Fail(c, typeOf(t), fmt.Errorf("memoize: %w", err)), true
	}
	if started {
		return k.memorize(existing, m, func() v1alpha1.NodeStatus { return k.dispatch(c, t, sc) }), true
	}
	raw, err := k.Find(flow.Lookup{Kind: flow.LookupMemo, Name: m.Cache.ConfigMap.Name, Key: m.Key,
		Node: k.Nodes.ID(c.Name)})
	if errors.Is(err, state.ErrPending) {
		return n, true
	}
	status := &v1alpha1.MemoizationStatus{CacheName: m.Cache.ConfigMap.Name, Key: m.Key}
	if entry, ok := fresh(raw, m.MaxAge, k.World.Now); err == nil && ok {
		n = k.Begin(c, typeOf(t), v1alpha1.NodeSucceeded)
		status.Hit, n.MemoizationStatus, n.Outputs = true, status, entry.Outputs
		return k.Put(n), true
	}
	if n = k.dispatch(c, t, sc); n.ID != "" {
		n.MemoizationStatus = status
		n = k.Put(n)
	}
	return n, true
}

// memorize goes on with a node that the cache did not have, and asks to remember it when it succeeds.
func (k *engine) memorize(before v1alpha1.NodeStatus, m v1alpha1.Memoize,
	work func() v1alpha1.NodeStatus) v1alpha1.NodeStatus {
	after := work()
	if !before.Phase.Fulfilled() && after.Phase == v1alpha1.NodeSucceeded {
		k.Actions = append(k.Actions, flow.SaveMemo{ConfigMap: m.Cache.ConfigMap.Name, Key: m.Key, NodeID: after.ID,
			Outputs: after.Outputs})
	}
	return after
}

func fresh(raw json.RawMessage, maxAge string, now time.Time) (flow.MemoEntry, bool) {
	var entry flow.MemoEntry
	if json.Unmarshal(raw, &entry) != nil || entry.CreationTimestamp.IsZero() {
		return entry, false
	}
	if maxAge == "" {
		return entry, true
	}
	limit, err := span.Parse(maxAge)
	return entry, err == nil && now.Before(entry.CreationTimestamp.Add(limit))
}
