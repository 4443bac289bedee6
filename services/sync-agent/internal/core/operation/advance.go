package operation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Results of single objects, as status.operationState.syncResult.resources says them.
const (
	ResultSynced       = "Synced"
	ResultSyncFailed   = "SyncFailed"
	ResultPruned       = "Pruned"
	ResultPruneSkipped = "PruneSkipped"
)

// machine advances one operation.
type machine struct {
	*Plan
	w       World
	sync    *v1alpha1.SyncOperation
	tasks   []Task
	results map[resultKey]v1alpha1.ResourceResult
}

// resultKey identifies a task: a hook may run at several phases.
type resultKey struct {
	track.Key
	phase Phase
}

func (t Task) key() resultKey { return resultKey{t.Key, t.Phase} }

// advance chooses the next step of the operation, or its end.
func (p *Plan) advance(w World) {
	m := &machine{Plan: p, w: w, sync: p.Operation.Sync, results: map[resultKey]v1alpha1.ResourceResult{}}
	if !p.Begins && w.State != nil && w.State.SyncResult != nil {
		for _, r := range w.State.SyncResult.Resources {
			key := track.Key{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
			m.results[resultKey{key, Phase(r.SyncPhase)}] = r
		}
	}
	m.tasks = m.plan()
	for _, next := range []func() bool{m.blocked, m.terminated, m.refused, m.observe, m.failed, m.deleting, m.next} {
		if next() {
			return
		}
	}
	m.finish(v1alpha1.OperationSucceeded, "successfully synced (all tasks run)")
}

// plan lists the tasks in their order.
func (m *machine) plan() []Task {
	var tasks []Task
	for _, i := range m.chosen() {
		if i.Hook || i.Shared != "" {
			continue
		}
		if i.Action == Skip && m.w.options().Has("ApplyOutOfSyncOnly=true") {
			continue
		}
		t := Task{Item: i, Phase: Sync, Mode: m.mode(i)}
		if i.Untracked {
			t.Phase = PreSync
		}
		tasks = append(tasks, t)
	}
	reverseWaves(tasks)
	m.pruneLast(tasks)
	if m.hooked() {
		tasks = append(tasks, m.hooks()...)
	}
	slices.SortStableFunc(tasks, compareTasks)
	hoistPrerequisites(tasks)
	return tasks
}

// hooked reports whether the operation runs hooks: one of chosen objects, or one that only applies, does not.
func (m *machine) hooked() bool {
	only := m.sync.SyncStrategy != nil && m.sync.SyncStrategy.Apply != nil && m.sync.SyncStrategy.Hook == nil
	return !only && len(m.sync.Resources) == 0
}

func (m *machine) hooks() []Task {
	var out []Task
	for _, o := range m.w.Hooks {
		for _, phase := range PhasesOf(o) {
			if phase.rank() < 0 {
				continue
			}
			o := named(o, phase, m.w.Target.Revision, m.began())
			i := Item{
				Key: track.KeyOf(o), Version: o.GroupVersionKind().Version, Wave: Wave(o), Desired: o, Action: Create,
				Hook: true,
			}
			if i.Live = m.w.Live[i.Key]; i.Live != nil {
				i.Health = m.w.Assess(i.Live)
			}
			out = append(out, Task{Item: i, Phase: phase, Mode: m.mode(i)})
		}
	}
	return out
}

// began is the state of the operation; one that begins now has none yet.
func (m *machine) began() *v1alpha1.OperationState {
	if !m.Begins {
		return m.w.State
	}
	return Begin(m.w, *m.Plan)
}

func (m *machine) mode(i Item) Mode {
	force := m.sync.SyncStrategy != nil &&
		((m.sync.SyncStrategy.Apply != nil && m.sync.SyncStrategy.Apply.Force) ||
			(m.sync.SyncStrategy.Hook != nil && m.sync.SyncStrategy.Hook.Force))
	own := func(option string) bool { return OptionsOf(i.Desired).Has(option) || OptionsOf(i.Live).Has(option) }
	return Mode{
		Replace:  own("Replace=true") || m.w.options().Has("Replace=true"),
		Force:    (force || own("Force=true")) && !holdsOthers(i.Key),
		Validate: m.w.effective("Validate", i.Desired) != "false",
	}
}

// holdsOthers reports whether other objects go with one: it is never deleted to be made again. Source: Argo CD updates
// definitions and namespaces in place.
func holdsOthers(k track.Key) bool {
	return k.Kind == definitionKind || (k.Group == "" && k.Kind == "Namespace")
}

// pruneLast moves what is pruned behind all waves of the Sync phase, where the application or the object asks for it.
func (m *machine) pruneLast(tasks []Task) {
	last := 0
	for _, t := range tasks {
		if t.Phase == Sync && t.Action != Prune {
			last = max(last, t.Wave)
		}
	}
	for i, t := range tasks {
		if t.Action == Prune && m.w.effective("PruneLast", t.Live) == "true" {
			tasks[i].Wave = last + 1
		}
	}
}

// chosen are the objects that the operation is about.
func (m *machine) chosen() []Item {
	if len(m.sync.Resources) == 0 {
		return m.Items
	}
	var out []Item
	for _, i := range m.Items {
		if i.Untracked || slices.ContainsFunc(m.sync.Resources, func(r v1alpha1.SyncOperationResource) bool {
			return r.Group == i.Key.Group && r.Kind == i.Key.Kind && r.Name == i.Key.Name &&
				(r.Namespace == "" || r.Namespace == i.Key.Namespace)
		}) {
			out = append(out, i)
		}
	}
	return out
}

// blocked waits where nothing may be done now although the operation has begun.
func (m *machine) blocked() bool {
	m.Wait = m.w.Held.Running
	return m.Wait != ""
}

// terminated ends an operation that someone ended: hooks that still run are deleted.
func (m *machine) terminated() bool {
	if m.w.State == nil || m.w.State.Phase != v1alpha1.OperationTerminating || m.Begins {
		return false
	}
	for _, t := range m.tasks {
		if t.Hook && m.results[t.key()].HookPhase == string(v1alpha1.OperationRunning) && t.Live != nil {
			m.Step = append(m.Step, t.to(Delete))
			m.result(t, ResultSyncFailed, v1alpha1.OperationFailed, "operation terminated")
		}
	}
	if len(m.Step) == 0 {
		m.Phase, m.Message = v1alpha1.OperationFailed, "operation terminated"
	}
	return true
}

func (t Task) to(a Action) Task {
	t.Action = a
	return t
}

// refused ends an operation before anything is done when something of it must not or cannot be done.
func (m *machine) refused() bool {
	if len(m.results) > 0 {
		return false
	}
	var denied []string
	for _, t := range m.tasks {
		if reason := m.denied(t); reason != "" {
			m.result(t, ResultSyncFailed, v1alpha1.OperationFailed, reason)
			denied = append(denied, t.Key.String()+": "+reason)
		}
	}
	if len(denied) > 0 {
		m.fail("not permitted: " + strings.Join(denied, "; "))
		return true
	}
	if shared := m.shared(); shared != "" && m.w.options().Has("FailOnSharedResource=true") {
		m.fail("shared resource found: " + shared)
		return true
	}
	return m.dryRun()
}

// denied says why a task must not be performed: the project forbids its object, or a hook would take the place of an
// object that is none of its application's.
func (m *machine) denied(t Task) string {
	if t.Desired == nil || t.Untracked || t.Action == Skip {
		return ""
	}
	if live := m.w.Live[t.Key]; t.Hook && live != nil && m.w.Tracking.Owner(live) != m.w.Instance {
		return "there is an object of that name that is no hook of this application"
	}
	if m.w.Deny == nil {
		return ""
	}
	return m.w.Deny(t.Desired)
}

func (m *machine) shared() string {
	i := slices.IndexFunc(m.Items, func(i Item) bool { return i.Shared != "" })
	if i < 0 {
		return ""
	}
	return m.Items[i].Key.String() + " " + m.Items[i].Reason
}

// dryRun has the API server judge all tasks before the first is performed, so that nothing is half applied. One object
// alone is judged by being applied.
func (m *machine) dryRun() bool {
	var all []Task
	for _, t := range m.tasks {
		if t.Action == Create || t.Action == Update {
			all = append(all, t)
		}
	}
	if m.w.Refused == nil {
		if len(all) < 2 && !m.sync.DryRun {
			return false
		}
		m.DryRun = all
		return len(all) > 0
	}
	for _, t := range all {
		if reason := m.w.Refused[t.Key]; reason != "" {
			m.result(t, ResultSyncFailed, v1alpha1.OperationFailed, reason)
		}
	}
	if len(m.Results) > 0 {
		m.fail("one or more objects failed to apply (dry run): " + firstMessage(m.Results))
		return true
	}
	if m.sync.DryRun {
		for _, t := range all {
			m.result(t, ResultSynced, v1alpha1.OperationSucceeded, t.Describe()+" (dry run)")
		}
		m.Phase, m.Message = v1alpha1.OperationSucceeded, "successfully synced (dry run)"
		return true
	}
	return false
}

func firstMessage(results []v1alpha1.ResourceResult) string {
	first := results[0]
	text := first.Kind + " " + first.Name + ": " + first.Message
	if more := len(results) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// result records what became known of a task.
func (m *machine) result(t Task, status string, phase v1alpha1.OperationPhase, message string) {
	r := t.Result(status, phase, message)
	m.results[t.key()] = r
	m.Results = append(m.Results, r)
}

// Result is what status says of a task.
func (t Task) Result(status string, phase v1alpha1.OperationPhase, message string) v1alpha1.ResourceResult {
	r := v1alpha1.ResourceResult{
		Group: t.Key.Group, Version: t.Version, Kind: t.Key.Kind, Namespace: t.Key.Namespace, Name: t.Key.Name,
		Status: status, HookPhase: string(phase), SyncPhase: string(t.Phase), Message: message,
	}
	if t.Hook {
		r.HookType = string(t.Phase)
	}
	return r
}

// MergeResults takes fresh results into those that are known; each task has one.
func MergeResults(known, fresh []v1alpha1.ResourceResult) []v1alpha1.ResourceResult {
	for _, r := range fresh {
		i := slices.IndexFunc(known, func(x v1alpha1.ResourceResult) bool {
			return x.Group == r.Group && x.Kind == r.Kind && x.Namespace == r.Namespace && x.Name == r.Name &&
				x.SyncPhase == r.SyncPhase
		})
		if i < 0 {
			known = append(known, r)
			continue
		}
		known[i] = r
	}
	return known
}

// Describe says in the words of kubectl what is done.
func (t Task) Describe() string {
	verb := map[Action]string{Create: "created", Update: "configured", Skip: "unchanged", Prune: "pruned"}[t.Action]
	if t.Mode.Replace && t.Action == Update {
		verb = "replaced"
	}
	return strings.ToLower(t.Key.Kind) + "/" + t.Key.Name + " " + verb
}

// stepwise reports whether tasks have to wait for the health of earlier ones.
func (m *machine) stepwise() bool {
	for _, t := range m.tasks {
		if t.Hook || compareSteps(t, m.tasks[0]) != 0 {
			return true
		}
	}
	return false
}

// observe reads from live objects how running tasks come along; it waits while some do.
func (m *machine) observe() bool {
	if !m.stepwise() {
		return false
	}
	var waits []string
	for _, t := range m.tasks {
		r := m.results[t.key()]
		if r.HookPhase != string(v1alpha1.OperationRunning) {
			continue
		}
		switch phase, message := outcome(t); phase {
		case v1alpha1.OperationRunning:
			waits = append(waits, waitFor(t))
		default:
			m.result(t, r.Status, phase, message)
		}
	}
	if len(waits) == 0 {
		return false
	}
	m.Wait = "waiting for " + waits[0]
	if len(waits) > 1 {
		m.Wait += fmt.Sprintf(" and %d more", len(waits)-1)
	}
	return true
}

func waitFor(t Task) string {
	if t.Hook {
		return "completion of hook " + t.Key.String()
	}
	return fmt.Sprintf("healthy state of %s (wave %d)", t.Key, t.Wave)
}

// outcome is how a task that was performed stands. What has no health is over once it was applied.
func outcome(t Task) (v1alpha1.OperationPhase, string) {
	message := t.Health.Message
	switch {
	case t.Action == Prune:
		return v1alpha1.OperationSucceeded, "pruned"
	case t.Live == nil:
		return v1alpha1.OperationFailed, "it was deleted while the sync waited for it"
	case t.Health.Status == health.Degraded:
		return v1alpha1.OperationFailed, message
	case t.Health.Status == "" || t.Health.Status == health.Healthy:
		return v1alpha1.OperationSucceeded, message
	case t.Health.Status == health.Suspended && !t.Hook:
		return v1alpha1.OperationSucceeded, message
	}
	return v1alpha1.OperationRunning, message
}

// failed runs the hooks of SyncFail once something failed, and then ends the operation.
func (m *machine) failed() bool {
	var failures []v1alpha1.ResourceResult
	for _, t := range m.tasks {
		if r := m.results[t.key()]; t.Phase != SyncFail &&
			(r.Status == ResultSyncFailed || r.HookPhase == string(v1alpha1.OperationFailed)) {
			failures = append(failures, r)
		}
	}
	if len(failures) == 0 {
		return false
	}
	if m.perform(func(t Task) bool { return t.Phase == SyncFail }) {
		return true
	}
	m.fail("one or more objects failed to apply: " + firstMessage(failures))
	return true
}

// deleting waits for pruned objects that are still there.
func (m *machine) deleting() bool {
	for _, t := range m.tasks {
		if t.Action == Prune && t.Live.GetDeletionTimestamp() != nil && m.results[t.key()].Status == ResultPruned {
			m.Wait = "waiting for deletion of " + t.Key.String()
			return true
		}
	}
	return false
}

// next performs the tasks of the first step that has any left.
func (m *machine) next() bool {
	return m.perform(func(t Task) bool { return t.Phase != SyncFail })
}

// perform chooses what to do of the first phase and wave that is not over.
func (m *machine) perform(eligible func(Task) bool) bool {
	var step []Task
	for _, t := range m.tasks {
		if _, done := m.results[t.key()]; done || !eligible(t) || (len(step) > 0 && compareSteps(t, step[0]) != 0) {
			continue
		}
		step = append(step, t)
	}
	if len(step) == 0 {
		return false
	}
	return m.unchanged(step) || m.delayed(step) || m.prunes(step) || m.clears(step) || m.applies(step)
}

// delayed leaves controllers the time to see what the wave before changed.
func (m *machine) delayed(step []Task) bool {
	at := m.w.Progressed.Add(m.w.Delay)
	begun := slices.ContainsFunc(m.tasks, func(t Task) bool {
		r, done := m.results[t.key()]
		return done && r.Status != ResultPruneSkipped && t.Action != Skip && compareSteps(t, step[0]) == 0
	})
	if m.w.Progressed.IsZero() || begun || !m.w.Now.Before(at) {
		return false
	}
	m.Wake, m.Wait = at, "waiting between waves"
	return true
}

// unchanged settles what needs nothing; it never is a step of its own.
func (m *machine) unchanged(step []Task) bool {
	for _, t := range step {
		switch {
		case t.Action == Skip:
			m.result(t, ResultSynced, v1alpha1.OperationRunning, t.Describe())
		case t.Action == Prune && (t.Kept || !m.sync.Prune):
			m.result(t, ResultPruneSkipped, v1alpha1.OperationSucceeded, "ignored (no prune)")
		}
	}
	left := slices.ContainsFunc(step, func(t Task) bool { _, done := m.results[t.key()]; return !done })
	if !left {
		// The next step is looked for at once.
		return m.observe() || m.failed() || m.deleting() || m.next()
	}
	return false
}

// prunes deletes before anything is applied.
func (m *machine) prunes(step []Task) bool {
	for _, t := range step {
		if _, done := m.results[t.key()]; done || t.Action != Prune {
			continue
		}
		if t.Confirm && m.w.Approved.Before(m.began().StartedAt.Time) {
			m.Wait = "waiting for approval to prune " + t.Key.String()
			continue
		}
		m.Step = append(m.Step, t)
	}
	slices.Reverse(m.Step)
	return len(m.Step) > 0 || m.Wait != ""
}

// clears deletes hooks of earlier operations that are to be made again, and waits until they are gone.
func (m *machine) clears(step []Task) bool {
	for _, t := range step {
		if !t.Hook || t.Live == nil || m.made(t) ||
			!deletesAt(t.Desired, policyBeforeHookCreation) {
			continue
		}
		m.Wait = "waiting for deletion of hook " + t.Key.String()
		if t.Live.GetDeletionTimestamp() == nil || slices.Contains(t.Live.GetFinalizers(), HookFinalizer) {
			m.Step = append(m.Step, t.to(Delete))
		}
	}
	return m.Wait != ""
}

// made reports whether a live hook was made by this very task.
func (m *machine) made(t Task) bool {
	return t.Live != nil && t.Live.GetAnnotations()[OperationAnnotation] == HookID(m.w.Instance, m.began(), t.Phase)
}

// applies creates and changes what is left of a step.
func (m *machine) applies(step []Task) bool {
	for _, t := range step {
		if _, done := m.results[t.key()]; done {
			continue
		}
		if t.Hook && m.made(t) {
			// It was made before its result could be written.
			m.result(t, ResultSynced, v1alpha1.OperationRunning, t.Describe())
			continue
		}
		m.Durable = m.Durable || t.Hook
		m.Step = append(m.Step, t)
	}
	if len(m.Step) == 0 {
		m.Wait = "waiting for hooks"
	}
	return true
}

// fail ends the operation or has it tried again.
func (m *machine) fail(message string) { m.finish(v1alpha1.OperationFailed, message) }

// finish ends the operation once the hooks are gone whose policy asks for that, and the others let go of.
func (m *machine) finish(phase v1alpha1.OperationPhase, message string) {
	policy := policySucceeded
	if phase != v1alpha1.OperationSucceeded {
		policy = policyFailed
	}
	for _, t := range m.tasks {
		if _, ran := m.results[t.key()]; !ran || !t.Hook || t.Live == nil ||
			slices.ContainsFunc(m.Step, func(x Task) bool { return x.Key == t.Key }) {
			continue
		}
		held := slices.Contains(t.Live.GetFinalizers(), HookFinalizer)
		switch {
		case deletesAt(t.Desired, policy) && (t.Live.GetDeletionTimestamp() == nil || held):
			m.Step = append(m.Step, t.to(Delete))
		case held:
			m.Step = append(m.Step, t.to(Release))
		}
	}
	if len(m.Step) > 0 {
		m.Durable = true // how the hooks ended is known from their results alone once they are gone
		m.Wait = "hooks are taken away"
		return
	}
	m.Phase, m.Message = phase, message
}
