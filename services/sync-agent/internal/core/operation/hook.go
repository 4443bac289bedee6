package operation

import (
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Phase is a part of a sync; a later one begins when the one before it is over.
type Phase string

// The phases. SyncFail runs instead of what is left when something failed. The last two belong to the deletion of an
// application and are no part of a sync.
const (
	PreSync    Phase = "PreSync"
	Sync       Phase = "Sync"
	PostSync   Phase = "PostSync"
	SyncFail   Phase = "SyncFail"
	PreDelete  Phase = "PreDelete"
	PostDelete Phase = "PostDelete"
)

// rank orders the phases of a sync.
func (p Phase) rank() int { return slices.Index([]Phase{PreSync, Sync, PostSync, SyncFail}, p) }

// Annotations of hooks.
const (
	HookAnnotation           = "argocd.argoproj.io/hook"
	hookDeletePolicy         = "argocd.argoproj.io/hook-delete-policy"
	helmHookAnnotation       = "helm.sh/hook"
	helmDeletePolicy         = "helm.sh/hook-delete-policy"
	HookFinalizer            = "argocd.argoproj.io/hook-finalizer" // keeps a hook readable until its end was seen
	OperationAnnotation      = "argosy.dev/operation"              // the operation that made a hook
	helmCRDInstall           = "crd-install"
	policyBeforeHookCreation = "BeforeHookCreation"
	policySucceeded          = "HookSucceeded"
	policyFailed             = "HookFailed"
)

// helmPhases are the phases that hooks of Helm have here; its other hooks are never run.
var helmPhases = map[string]Phase{
	"pre-install":  PreSync,
	"pre-upgrade":  PreSync,
	"post-install": PostSync,
	"post-upgrade": PostSync,
	"pre-delete":   PreDelete,
	"post-delete":  PostDelete,
}

// helmPolicies are the delete policies of Helm in our words.
var helmPolicies = map[string]string{
	"before-hook-creation": policyBeforeHookCreation,
	"hook-succeeded":       policySucceeded,
	"hook-failed":          policyFailed,
}

// IsHook reports whether o is run at a phase instead of being part of the application. What names phases that do not
// exist is a hook too, one that is never run. Source: Argo CD's sync phases and its table of Helm hooks.
func IsHook(o *track.Object) bool {
	a := o.GetAnnotations()
	if hooks := fields(a[HookAnnotation]); len(hooks) > 0 {
		return true
	}
	hooks := fields(a[helmHookAnnotation])
	return len(hooks) > 0 && !slices.Contains(hooks, helmCRDInstall)
}

// PhasesOf returns the phases at which a hook is run, each once.
func PhasesOf(o *track.Object) []Phase {
	a := o.GetAnnotations()
	var out []Phase
	add := func(p Phase) {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	if own := fields(a[HookAnnotation]); len(own) > 0 {
		for _, name := range own {
			if p := Phase(name); p.rank() >= 0 || p == PreDelete || p == PostDelete {
				add(p)
			}
		}
		return out
	}
	for _, name := range fields(a[helmHookAnnotation]) {
		if p, ok := helmPhases[name]; ok {
			add(p)
		}
	}
	return out
}

// deletesAt reports whether a hook has a delete policy; without any it is deleted before it is made again.
func deletesAt(o *track.Object, policy string) bool {
	a := o.GetAnnotations()
	var all []string
	for _, name := range fields(a[hookDeletePolicy]) {
		if name == policyBeforeHookCreation || name == policySucceeded || name == policyFailed {
			all = append(all, name)
		}
	}
	for _, name := range fields(a[helmDeletePolicy]) {
		if own, ok := helmPolicies[name]; ok {
			all = append(all, own)
		}
	}
	if len(all) == 0 {
		return policy == policyBeforeHookCreation
	}
	return slices.Contains(all, policy)
}

// fields cuts a comma separated list.
func fields(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// named gives a hook that has only the beginning of a name the rest of it: revision, phase and the time at which the
// operation began, so that it is the same name however often the operation is taken up again.
func named(o *track.Object, phase Phase, revision string, state *v1alpha1.OperationState) *track.Object {
	if o.GetName() != "" || o.GetGenerateName() == "" {
		return o
	}
	began := int64(0)
	if state != nil && state.StartedAt != nil {
		began = state.StartedAt.Unix()
	}
	o = o.DeepCopy()
	o.SetName(strings.ToLower(
		o.GetGenerateName() + revision[:min(7, len(revision))] + "-" + string(phase) + "-" +
			strconv.FormatInt(began, 10),
	))
	o.SetGenerateName("")
	return o
}

// NamedHooks are the hooks of a world as the operation at work names them; those that have only the beginning of a name
// are left out when there is none.
func NamedHooks(w World) []*track.Object {
	var out []*track.Object
	for _, o := range w.Hooks {
		for _, phase := range PhasesOf(o) {
			if n := named(o, phase, w.Target.Revision, w.State); n.GetName() != "" {
				out = append(out, n)
			}
		}
	}
	return out
}
