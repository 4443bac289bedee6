package operation

import (
	"cmp"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Stage is a part of the deletion of an application. Source: the finalizers of Argo CD's deletion hooks.
type Stage struct {
	Phase Phase // PreDelete or PostDelete
	// Cleanup is the part that takes away what hooks left, once all have ended: a hook whose policy deletes it would be
	// run again otherwise.
	Cleanup bool
}

// Deletion is what to do now in a stage of a deletion.
type Deletion struct {
	Step   []Task
	Wait   string // why nothing is done
	Failed string // why the stage cannot end
	Done   bool
}

// keepPolicy, set to keep, leaves an object when its application goes. Source: Helm.
const keepPolicy = "helm.sh/resource-policy"

// Stays reports whether an object stays when its application goes. Definitions always do: whatever is of their kinds
// would go with them.
func (w World) Stays(o *track.Object) bool {
	return o.GetKind() == definitionKind || w.effective("Delete", o) == "false" ||
		o.GetAnnotations()[keepPolicy] == "keep"
}

// Unapproved lists the objects whose deletion someone must approve, by an annotation on the application, and nobody did
// since the application was deleted.
func (w World) Unapproved(objects []*track.Object, deleted time.Time) []track.Key {
	if !w.Approved.Before(deleted) {
		return nil
	}
	var out []track.Key
	for _, o := range objects {
		if w.effective("Delete", o) == "confirm" {
			out = append(out, track.KeyOf(o))
		}
	}
	slices.SortFunc(out, func(a, b track.Key) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

// HasHooks reports whether an application has hooks of a phase.
func HasHooks(hooks []*track.Object, phase Phase) bool {
	return slices.ContainsFunc(hooks, func(o *track.Object) bool { return slices.Contains(PhasesOf(o), phase) })
}

// DecideDeletion says what is to be done in a stage: hooks are run wave after wave, and taken away as their policy
// says. The state of the world is the deletion: it began when the application was deleted.
func DecideDeletion(w World, stage Stage) Deletion {
	var tasks []Task
	for _, o := range w.Hooks {
		if !slices.Contains(PhasesOf(o), stage.Phase) {
			continue
		}
		o := named(o, stage.Phase, w.Target.Revision, w.State)
		i := Item{
			Key: track.KeyOf(o), Version: o.GroupVersionKind().Version, Wave: Wave(o), Desired: o, Action: Create,
			Hook: true,
		}
		if i.Live = w.Live[i.Key]; i.Live != nil {
			i.Health = w.Assess(i.Live)
		}
		tasks = append(tasks, Task{Item: i, Phase: stage.Phase, Mode: Mode{Validate: true}})
	}
	slices.SortStableFunc(tasks, compareTasks)
	d := deletion{w: w, stage: stage}
	if stage.Cleanup {
		return d.cleanup(tasks)
	}
	return d.run(tasks)
}

type deletion struct {
	w     World
	stage Stage
}

// made reports whether a live hook was made by this deletion.
func (d deletion) made(t Task) bool {
	return t.Live != nil && t.Live.GetAnnotations()[OperationAnnotation] == HookID(d.w.Instance, d.w.State, t.Phase)
}

func (d deletion) run(tasks []Task) Deletion {
	for len(tasks) > 0 {
		n := 1
		for n < len(tasks) && tasks[n].Wave == tasks[0].Wave {
			n++
		}
		if out := d.wave(tasks[:n]); !out.Done {
			return out
		}
		tasks = tasks[n:]
	}
	return Deletion{Done: true}
}

func (d deletion) wave(tasks []Task) Deletion {
	var out Deletion
	for _, t := range tasks {
		if d.made(t) {
			switch phase, message := outcome(t); phase {
			case v1alpha1.OperationRunning:
				out.Wait = "waiting for " + waitFor(t)
			case v1alpha1.OperationFailed:
				out.Failed = "hook " + t.Key.String() + " failed: " + message
			}
			continue
		}
		if d.w.Deny != nil {
			if reason := d.w.Deny(t.Desired); reason != "" {
				out.Failed = "hook " + t.Key.String() + " is not permitted: " + reason
				continue
			}
		}
		switch {
		case t.Live == nil:
			out.Step = append(out.Step, t)
		case d.w.Tracking.Owner(t.Live) != d.w.Instance:
			out.Failed = "hook " + t.Key.String() + ": there is an object of that name that is no hook of this application"
		case t.Live.GetDeletionTimestamp() == nil || slices.Contains(t.Live.GetFinalizers(), HookFinalizer):
			out.Step = append(out.Step, t.to(Delete)) // of an earlier sync, or of an earlier application of this name
		default:
			out.Wait = "waiting for deletion of hook " + t.Key.String()
		}
	}
	out.Done = len(out.Step) == 0 && out.Wait == "" && out.Failed == ""
	return out
}

func (d deletion) cleanup(tasks []Task) Deletion {
	var out Deletion
	for _, t := range tasks {
		held := t.Live != nil && slices.Contains(t.Live.GetFinalizers(), HookFinalizer)
		switch {
		case t.Live == nil || !d.made(t):
		case deletesAt(t.Desired, policySucceeded) && (t.Live.GetDeletionTimestamp() == nil || held):
			out.Step = append(out.Step, t.to(Delete))
		case held:
			out.Step = append(out.Step, t.to(Release))
		case t.Live.GetDeletionTimestamp() != nil:
			out.Wait = "waiting for deletion of hook " + t.Key.String()
		}
	}
	out.Done = len(out.Step) == 0 && out.Wait == ""
	return out
}
