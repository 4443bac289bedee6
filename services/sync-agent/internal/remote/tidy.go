package remote

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	core "github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// tidy withdraws from agents what is not theirs any more: Applications that are gone or went elsewhere, and projects
// that none of theirs uses.
func (h *Hub) tidy(ctx context.Context) {
	for agent, keys := range h.given() {
		for _, k := range keys {
			name := k.In(h.Control)
			if !h.Owns(name.String()) || ctx.Err() != nil {
				continue
			}
			if err := h.Withdraw(ctx, agent, k); err != nil {
				h.Log.WarnContext(
					ctx, "an application is withdrawn later", "agent", agent, "application", name, "error", err,
				)
			}
		}
		if h.Owns("agent/" + agent) {
			h.dropProjects(ctx, agent)
		}
	}
}

// compact has the mailboxes forget what was removed long ago. One replica does.
func (h *Hub) compact(ctx context.Context) {
	for agent := range h.given() {
		if !h.Owns("agent/" + agent) {
			continue
		}
		if err := h.Bus.KV(bus.MailboxBucket(agent)).Compact(ctx); err != nil {
			h.Log.WarnContext(ctx, "a mailbox is compacted later", "agent", agent, "error", err)
		}
	}
}

// strays is how many Applications of one agent that it should not have are seen to at once.
const strays = 100

// given lists what each agent that is heard has of Applications.
func (h *Hub) given() map[string][]core.Key {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string][]core.Key{}
	for agent, l := range h.agents {
		if l.current {
			out[agent] = append(l.assigned(), l.strays(strays)...)
		}
	}
	return out
}

// Withdraw takes an Application from an agent that should not have it, and does nothing otherwise.
func (h *Hub) Withdraw(ctx context.Context, agent string, k core.Key) error {
	theirs, err := h.belongs(ctx, agent, k.In(h.Control))
	if err != nil || theirs {
		return err
	}
	state, err := h.Look(agent, k)
	if err != nil {
		return err
	}
	uid := ""
	switch {
	case state.Given != nil:
		uid = state.Given.UID
	case state.Report != nil:
		uid = state.Report.UID
	}
	if core.IsGone(state.Report, uid) {
		return h.Drop(ctx, agent, k)
	}
	if state.Given != nil && state.Given.Withdrawn {
		return nil
	}
	text, err := core.Assignment{UID: uid, Withdrawn: true}.Encode()
	if err != nil {
		return err
	}
	return h.Put(ctx, agent, k.Down(), text)
}

// Elsewhere withdraws an Application from all agents but one, which may be "".
func (h *Hub) Elsewhere(ctx context.Context, agent string, k core.Key) error {
	for _, other := range h.holders(k) {
		if other == agent {
			continue
		}
		if err := h.Withdraw(ctx, other, k); err != nil {
			return err
		}
	}
	return nil
}

// holders are the agents that have an Application.
func (h *Hub) holders(k core.Key) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for agent, l := range h.agents {
		if l.current && (l.down[k.Down()] != nil || l.up[k] != nil) {
			out = append(out, agent)
		}
	}
	return out
}

// belongs reports whether an Application is an agent's. The one that is being deleted is.
func (h *Hub) belongs(ctx context.Context, agent string, name types.NamespacedName) (bool, error) {
	o := object.New("Application")
	err := h.Client.Get(ctx, name, o)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	app, _, err := v1alpha1.DecodeTolerant[v1alpha1.Application](o.Object)
	if err != nil {
		return true, nil //nolint:nilerr // what it is cannot be read: nothing changes
	}
	d := app.Spec.Destination
	whose, err := h.AgentOf(ctx, d.Server, d.Name)
	return whose == agent, err
}

// dropProjects takes away projects that no Application of an agent uses.
func (h *Hub) dropProjects(ctx context.Context, agent string) {
	for _, key := range h.unused(agent) {
		if err := h.Remove(ctx, agent, key); err != nil {
			h.Log.WarnContext(ctx, "a project is withdrawn later", "agent", agent, "key", key, "error", err)
		}
	}
}

func (h *Hub) unused(agent string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.agents[agent]
	if l == nil || !l.current {
		return nil
	}
	used := map[string]bool{}
	for key, text := range l.down {
		var a struct {
			Spec struct {
				Project string `json:"project"`
			} `json:"spec"`
		}
		if _, is := core.ParseApp(key, core.Down); is && json.Unmarshal(text, &a) == nil {
			used[core.ProjectKey(or(a.Spec.Project, defaultProject))] = true
		}
	}
	return slices.DeleteFunc(slices.Collect(maps.Keys(l.down)), func(key string) bool {
		_, is := core.ParseProject(key)
		return !is || used[key]
	})
}

// defaultProject is that of Applications that name none.
const defaultProject = "default"

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
