package health

import (
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// hookFinalizer keeps a hook until its operation has seen how it ended: one that is deleted has not gone yet.
const hookFinalizer = "argocd.argoproj.io/hook-finalizer"

// Options are what an engine cannot know by itself. The zero value is valid.
type Options struct {
	// Clock is what "os.time" of Lua tells, and what bounds Lua to a second; without one, steps alone bound it.
	Clock func() time.Time
}

// Engine tells the health of objects. It is immutable, and may be asked by many at once.
type Engine struct {
	options Options
	custom  overrides
	general bool
}

// New makes an engine of the customizations of an installation. Those that cannot be read are problems and have no
// effect on the others: the kinds they are for are Unknown, with the problem as message.
func New(c Customizations, o Options) (*Engine, []Problem) {
	custom, problems := compile(c)
	return &Engine{options: o, custom: custom}, problems
}

// General returns an engine that knows no kind: it says what the rules for all of them say.
func (e *Engine) General() *Engine { return &Engine{options: e.options, general: true} }

// Assess tells the health of a live object, nil when it has none.
func (e *Engine) Assess(o *track.Object) *Health {
	if o.GetDeletionTimestamp() != nil && !hasHookFinalizer(o) {
		return &Health{Progressing, "Pending deletion"}
	}
	return e.Judge(o)
}

func hasHookFinalizer(o *track.Object) bool {
	return slices.Contains(o.GetFinalizers(), hookFinalizer)
}

// Judge is Assess for an object as if nobody had asked for its deletion: what the customization or the rules say.
func (e *Engine) Judge(o *track.Object) *Health {
	gvk := o.GroupVersionKind()
	if c := e.custom.of(gvk.Group, gvk.Kind); c != nil {
		return c.judge(o.Object, e.options.Clock)
	}
	h := e.byRules(gvk.Group, gvk.Kind, view{o.Object})
	if h.Status == "" {
		return nil
	}
	return &h
}

func (e *Engine) byRules(group, kind string, v view) Health {
	if assess := ruleOf(group, kind); assess != nil && !e.general {
		return assess(v)
	}
	if isNative(group) {
		return Health{}
	}
	h := general(v)
	if h.Status == "" && v.empty() && expects(group, kind) {
		return progressing("Waiting for a status")
	}
	return h
}

// expects reports whether an object without a status is one that its controller has not seen yet: kinds of groups that
// have rules, and of those that are listed, are known to get one.
func expects(group, kind string) bool {
	return (knownGroup(group) || reporting[group]) && !isSilent(group, kind)
}
