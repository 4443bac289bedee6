package hydrate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/facts"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/hydration"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// work is one hydration of a batch.
type work struct {
	*Hydrator
	hydration.Batch
	members members
	dry     hydration.Dry
	chain   lineage.Lineage
	folders []hydration.Folder
	began   time.Time
}

// batch hydrates one batch if it has to be, and says when to look again.
func (h *Hydrator) batch(ctx context.Context, all members, b hydration.Batch) (time.Time, error) {
	w := &work{Hydrator: h, Batch: b, members: all, began: time.Now()}
	want, told := h.want(all, b)
	head, err := h.Sources.Head(ctx, b.Project, hydration.DrySource(b.Apps[0].Spec), want)
	if err != nil {
		return time.Time{}, w.failed(ctx, "", err)
	}
	told()
	plan := b.Decide(head.SHA, w.began)
	if !plan.Hydrate {
		return plan.Wake, nil
	}
	w.dry = hydration.Dry{
		Repository: b.Repository, SHA: head.SHA, Author: head.Author, Date: head.Authored, Message: head.Message,
	}
	w.chain = chain(all, b, w.dry)
	var problems map[string]string
	if w.folders, problems = h.render(ctx, all, b, head.SHA); len(problems) > 0 {
		h.outcomes.WithLabelValues("unrenderable").Inc()
		return w.began.Add(hydration.Again), w.refuse(ctx, head.SHA, problems)
	}
	commit, made, err := w.commit(ctx)
	if err != nil {
		return time.Time{}, w.failed(ctx, head.SHA, err)
	}
	outcome := "unchanged"
	if made {
		outcome = "committed"
	}
	h.outcomes.WithLabelValues(outcome).Inc()
	h.Log.InfoContext(
		ctx, "branch is hydrated", "repository", hydration.BranchOf(b.Apps[0].Spec).Repository, "branch",
		hydration.BranchOf(b.Apps[0].Spec).Name, "dry", head.SHA, "commit", commit.SHA, "outcome", outcome,
	)
	return time.Time{}, w.tell(ctx, commit)
}

// commit writes the folders that changed as one commit, and notes which dry commit the branch is of. Doing so again
// changes nothing.
func (w *work) commit(ctx context.Context) (git.Commit, bool, error) {
	first := w.Apps[0].Spec
	m, err := w.Sources.Writer(ctx, hydration.Repository(first), w.Project)
	if err != nil {
		return git.Commit{}, false, err
	}
	branch, err := m.Branch(ctx, hydration.BranchOf(first).Name)
	if err != nil {
		return git.Commit{}, false, err
	}
	base, err := m.Branch(ctx, first.SyncSource.TargetBranch)
	if err != nil {
		return git.Commit{}, false, err
	}
	head, made, err := m.Apply(ctx, git.Change{
		Branch: branch, Base: base, Root: true, Author: w.Author,
		Edit: func(head git.Head) (git.Edit, error) { return w.edit(ctx, head) },
	})
	if err != nil {
		return head, made, err
	}
	if head.SHA == "" {
		return head, made, fmt.Errorf("branch %s does not exist, and there is nothing to write", branch)
	}
	// A crash before this is made up for by the next attempt, which finds nothing to commit and comes here.
	return head, made, m.Note(ctx, w.Author, hydration.NotesRef, head.SHA, w.dry.Note())
}

// edit says what differs from a head of the branch.
func (w *work) edit(ctx context.Context, head git.Head) (git.Edit, error) {
	manifests := map[string][]byte{}
	for _, f := range w.folders {
		manifests[f.Name()] = f.Manifest
	}
	names, err := head.Differ(manifests)
	if err != nil || len(names) == 0 {
		return git.Edit{}, err
	}
	var changed []hydration.Folder
	for _, f := range w.folders {
		if slices.Contains(names, f.Name()) {
			changed = append(changed, f)
		}
	}
	for _, f := range changed {
		if err := w.report(ctx, w.members[f.App.Name], f.App.Begun(w.dry.SHA, w.began), nil); err != nil {
			return git.Edit{}, err
		}
	}
	files, err := hydration.Files(w.dry, changed)
	return git.Edit{Files: files, Message: w.dry.CommitMessage(w.trailers(changed))}, err
}

// key makes the hydration of an Application happen once.
func (w *work) key(a hydration.App) string {
	spec, _ := json.Marshal(a.Spec) // was read from JSON
	return bus.Key(a.UID, w.dry.SHA, string(spec), "hydrated")
}

// fact is the id of the fact that tells about it.
func (w *work) fact(a hydration.App) string { return bus.Key(w.key(a), "told") }

func (w *work) trailer(a hydration.App) string { return events.TrailerKey + ": " + w.key(a) + "\n" }

// trailers continue the chain of the dry commit: what the hydrated one causes is caused by the first of its changes.
func (w *work) trailers(changed []hydration.Folder) string {
	l := w.chain
	l.Causation = w.fact(changed[0].App)
	var out strings.Builder
	out.WriteString(l.Trailers())
	for _, f := range changed {
		out.WriteString(w.trailer(f.App))
	}
	return out.String()
}

// tell publishes what was committed and writes the statuses, in this order: a crash in between tells the same again.
func (w *work) tell(ctx context.Context, head git.Commit) error {
	for _, a := range w.Apps {
		m := w.members[a.Name]
		notes := map[string]string{}
		if strings.Contains(head.Message+"\n", w.trailer(a)) {
			if err := facts.Publish(ctx, w.Bus, events.ServiceSyncAgent, facts.Fact{
				ID: w.fact(a), About: facts.About("Application", m.app), Lineage: w.chain,
				Body: events.ApplicationHydrated{
					Commit: head.SHA, Dry: w.dry.SHA, Repository: hydration.Repository(a.Spec),
					Branch: hydration.BranchOf(a.Spec).Name, Message: "manifests committed",
				},
			}); err != nil {
				return err
			}
		}
		if last := lastCommit(a.Status); last != head.SHA && a.Spec.HydrateTo == nil {
			// Whoever applies it need not wait for the forge to tell.
			notes[push.AnnotationRefresh], notes[push.AnnotationRevision] = w.fact(a), head.SHA
			notes[push.AnnotationCorrelation], notes[push.AnnotationTrace] = w.chain.Correlation, w.chain.Trace
		}
		if err := w.report(ctx, m, a.Ended(w.dry.SHA, head.SHA, w.began, time.Now()), notes); err != nil {
			return err
		}
	}
	return nil
}

func lastCommit(s *v1alpha1.SourceHydratorStatus) string {
	if s == nil || s.LastSuccessfulOperation == nil {
		return ""
	}
	return s.LastSuccessfulOperation.HydratedSHA
}

// failed says why a whole batch could not be hydrated, and has it tried again.
func (w *work) failed(ctx context.Context, dry string, err error) error {
	w.outcomes.WithLabelValues("failed").Inc()
	problems := map[string]string{}
	for _, a := range w.Apps {
		problems[a.Name] = err.Error()
	}
	if perr := w.refuse(ctx, dry, problems); perr != nil {
		return perr
	}
	return err
}

// refuse writes the statuses of a batch that cannot be hydrated.
func (w *work) refuse(ctx context.Context, dry string, problems map[string]string) error {
	for _, a := range w.Apps {
		next := a.Refused(dry, hydration.Failure(a, problems), w.began, time.Now())
		if err := w.report(ctx, w.members[a.Name], next, map[string]string{}); err != nil {
			return err
		}
	}
	return nil
}

// report writes the status of a hydration, and annotations where it is over: what asked for it is taken away then. An
// annotation without a value goes.
func (h *Hydrator) report(
	ctx context.Context, m *member, status *v1alpha1.SourceHydratorStatus, notes map[string]string,
) error {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	next := m.raw.DeepCopy()
	all, _ := next.Object["status"].(map[string]any)
	if all == nil {
		all = map[string]any{}
	}
	all["sourceHydrator"] = tree
	next.Object["status"] = all
	if annotations := next.GetAnnotations(); notes != nil && (len(notes) > 0 || annotations[hydration.Asked] != "") {
		if annotations == nil {
			annotations = map[string]string{}
		}
		delete(annotations, hydration.Asked)
		for name, value := range notes {
			annotations[name] = value
			if value == "" {
				delete(annotations, name)
			}
		}
		next.SetAnnotations(annotations)
	}
	patch := client.MergeFrom(m.raw)
	body, err := patch.Data(next)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	if string(body) == "{}" {
		return nil
	}
	if err := h.Client.Patch(ctx, next, client.RawPatch(patch.Type(), body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write how application %s was hydrated: %w", m.Name, err)
	}
	m.raw = next
	return nil
}
