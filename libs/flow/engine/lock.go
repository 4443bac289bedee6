package engine

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/scope"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// workflowHolder is who holds the locks of a workflow itself. Its root node has the workflow's name as its id, and may
// have locks of its own.
func workflowHolder(workflow string) string { return workflow + "/workflow" }

// lockedOut asks for the locks of a template or workflow and reports whether it must wait.
func (k *engine) lockedOut(holder string, s *v1alpha1.Synchronization, sc scope.Scope) bool {
	if s == nil || k.World.Held[holder] {
		return false
	}
	k.Memory.WaitForAnswer()
	locks, err := k.locks(s, sc)
	if err != nil {
		// What cannot be known yet is asked for; what cannot be read keeps the node waiting and says so.
		return true
	}
	if len(locks) == 0 {
		return false
	}
	a := flow.Acquire{Holder: holder, Locks: locks}
	if k.World.Spec.Priority != nil {
		a.Priority = *k.World.Spec.Priority
	}
	k.Actions = append(k.Actions, a)
	return true
}

// locks lists what a synchronization names. Source: Argo Workflows merges the singular forms of version 3 with the
// lists.
func (k *engine) locks(s *v1alpha1.Synchronization, sc scope.Scope) ([]flow.Lock, error) {
	s = s.DeepCopy()
	if err := scope.Substitute(s, sc); err != nil {
		return nil, err
	}
	var out []flow.Lock
	for _, m := range mutexes(s) {
		out = append(out, flow.Lock{Name: k.lockName(m.Namespace, "Mutex", m.Name), Limit: 1})
	}
	for _, ref := range semaphores(s) {
		lock, err := k.semaphore(ref)
		if err != nil {
			return nil, err
		}
		out = append(out, lock)
	}
	return out, nil
}

func mutexes(s *v1alpha1.Synchronization) []v1alpha1.Mutex {
	var out []v1alpha1.Mutex
	if s.Mutex != nil {
		out = append(out, *s.Mutex)
	}
	return append(out, s.Mutexes...)
}

func semaphores(s *v1alpha1.Synchronization) []v1alpha1.SemaphoreRef {
	var out []v1alpha1.SemaphoreRef
	if s.Semaphore != nil {
		out = append(out, *s.Semaphore)
	}
	return append(out, s.Semaphores...)
}

func (k *engine) lockName(namespace, kind, name string) string {
	return cmp.Or(namespace, k.World.Namespace) + "/" + kind + "/" + name
}

// semaphore finds the size of a semaphore: a key of a ConfigMap, read anew for each who asks.
func (k *engine) semaphore(ref v1alpha1.SemaphoreRef) (flow.Lock, error) {
	kind := "ConfigMap"
	var name, key string
	switch {
	case ref.ConfigMapKeyRef != nil:
		name, key = ref.ConfigMapKeyRef.Name, ref.ConfigMapKeyRef.Key
	case ref.Database != nil:
		// Upstream keeps these in a database that controllers share; here every lock is shared, and its size stands in
		// the ConfigMap of its name.
		name, key, kind = semaphoreLimits, ref.Database.Key, "Database"
	default:
		return flow.Lock{}, fmt.Errorf("semaphore: neither configMapKeyRef nor database is given")
	}
	text, err := k.ConfigValue(name, key)
	if err != nil {
		return flow.Lock{}, err
	}
	limit, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || limit < 0 {
		return flow.Lock{}, fmt.Errorf("semaphore %s/%s: %q is no size", name, key, text)
	}
	return flow.Lock{Name: k.lockName(ref.Namespace, kind, name+"/"+key), Limit: limit}, nil
}

// semaphoreLimits is the ConfigMap with the sizes of semaphores that upstream keeps in its database.
const semaphoreLimits = "argosy-semaphores"

// waiting shows on a node what it waits for.
func (k *engine) waiting(n v1alpha1.NodeStatus, s *v1alpha1.Synchronization) v1alpha1.NodeStatus {
	var names []string
	for _, m := range mutexes(s) {
		names = append(names, k.lockName(m.Namespace, "Mutex", m.Name))
	}
	for _, r := range semaphores(s) {
		if r.ConfigMapKeyRef != nil {
			names = append(names, k.lockName(r.Namespace, "ConfigMap",
				r.ConfigMapKeyRef.Name+"/"+r.ConfigMapKeyRef.Key))
		}
	}
	text := strings.Join(names, ", ")
	if n.SynchronizationStatus != nil && n.SynchronizationStatus.Waiting == text {
		return n
	}
	n.SynchronizationStatus = &v1alpha1.NodeSynchronizationStatus{Waiting: text}
	n.Message = "Waiting for " + text
	return k.Put(n)
}
