package operation

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// gate decides whether an operation is at work or begins.
func (p *Plan) gate(w World) {
	automated := w.Policy.Automated
	on := automated != nil && (automated.Enabled == nil || *automated.Enabled)
	running := w.running()
	switch {
	case running != nil && p.resume(w, *running):
	case w.Request != nil && w.Request.Sync != nil:
		if w.Held.Requested != "" {
			p.Problem = "the requested sync waits: " + w.Held.Requested
			return
		}
		p.Requested = true
		p.begin(*w.Request.DeepCopy(), 0)
	case on && p.work(automated.Prune):
		p.automate(w, automated)
	}
}

// running is the operation at work, nil when there is none.
func (w World) running() *v1alpha1.Operation {
	if w.State == nil || w.State.Operation.Sync == nil ||
		(w.State.Phase != v1alpha1.OperationRunning && w.State.Phase != v1alpha1.OperationTerminating) {
		return nil
	}
	return &w.State.Operation
}

// resume goes on with an operation, unless one that began by itself is about a commit that is no longer the newest:
// then it is over, and false is returned.
func (p *Plan) resume(w World, o v1alpha1.Operation) bool {
	if w.State.Phase == v1alpha1.OperationTerminating {
		p.Operation, p.Retry = &o, w.State.RetryCount
		return true
	}
	if !w.Pinned && o.InitiatedBy.Automated && !TargetOf(w.State.SyncResult).Same(w.Target) {
		p.Ends = "superseded by revision " + w.Target.String()
		return false
	}
	if w.State.FinishedAt == nil {
		p.Operation, p.Retry = &o, w.State.RetryCount
		return true
	}
	// It failed and is tried again when its time has come.
	if at := finished(w).Add(retryWait(o.Retry.Backoff, w.State.RetryCount-1)); w.Now.Before(at) {
		p.Wake, p.Operation, p.Wait = at, nil, w.State.Message
		return true
	}
	p.begin(o, w.State.RetryCount)
	return true
}

// Same reports whether two targets say the same thing.
func (t Target) Same(other Target) bool {
	return t.Revision == other.Revision && slices.Equal(t.Revisions, other.Revisions) &&
		sameJSON(t.Source, other.Source) && sameJSON(t.Sources, other.Sources)
}

// String is the revision, or the list of them.
func (t Target) String() string {
	return cmp.Or(t.Revision, strings.Join(t.Revisions, ", "))
}

// sameJSON compares what would be written: an empty list is as good as none.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// work reports whether a sync would change anything.
func (p *Plan) work(prune bool) bool {
	for _, i := range p.Items {
		if i.Untracked || i.Action == Skip || (i.Action == Prune && (!prune || i.Kept || ignoredExtra(i))) {
			continue
		}
		return true
	}
	return false
}

func (p *Plan) automate(w World, automated *v1alpha1.SyncPolicyAutomated) {
	if w.Held.Automated != "" {
		p.Problem = w.Held.Automated
		return
	}
	if automated.Prune && !automated.AllowEmpty && !slices.ContainsFunc(p.Items, Item.stays) {
		p.Problem = "Git has no manifests left: everything would be pruned, which allowEmpty must permit"
		return
	}
	o := v1alpha1.Operation{
		Sync: &v1alpha1.SyncOperation{
			Revision: w.Target.Revision, Revisions: w.Target.Revisions, Prune: automated.Prune,
			SyncOptions: w.Policy.SyncOptions,
		},
		InitiatedBy: v1alpha1.OperationInitiator{Automated: true},
		Retry:       v1alpha1.SyncRetryStrategy{Limit: new(int64(retryLimit))},
	}
	if w.Policy.Retry != nil {
		o.Retry = *w.Policy.Retry
	}
	if !attempted(w) {
		p.begin(o, 0)
		return
	}
	if w.State.Phase != v1alpha1.OperationSucceeded {
		p.again(w, o)
		return
	}
	if !automated.SelfHeal {
		return
	}
	heals := healsOf(w)
	if at := finished(w).Add(healWait(heals)); w.Now.Before(at) {
		p.Wake = at
		return
	}
	o.Sync.AutoHealAttemptsCount = heals + 1
	o.Sync.Resources = p.drifted(automated.Prune)
	p.begin(o, 0)
}

// stays reports whether an object is part of what Git says.
func (i Item) stays() bool { return i.Desired != nil && !i.Untracked }

// drifted are the objects that a heal is about: it runs no hooks and is no deployment.
func (p *Plan) drifted(prune bool) []v1alpha1.SyncOperationResource {
	var out []v1alpha1.SyncOperationResource
	for _, i := range p.Items {
		if i.Untracked || i.Action == Skip || (i.Action == Prune && !prune) {
			continue
		}
		out = append(out, v1alpha1.SyncOperationResource{
			Group: i.Key.Group, Kind: i.Key.Kind, Namespace: i.Key.Namespace, Name: i.Key.Name,
		})
	}
	return out
}

// again tries a failed operation once more that older versions ended before its retries were used up.
func (p *Plan) again(w World, o v1alpha1.Operation) {
	tried := w.State.RetryCount
	if !retries(o, tried) {
		p.Problem = fmt.Sprintf("failed %d times at %s: %s", tried+1, w.Target, w.State.Message)
		return
	}
	if at := finished(w).Add(retryWait(o.Retry.Backoff, tried)); w.Now.Before(at) {
		p.Wake = at
		return
	}
	p.begin(o, tried+1)
}

func (p *Plan) begin(o v1alpha1.Operation, retry int64) {
	p.Operation, p.Begins, p.Retry = &o, true, retry
}

// Begin is the state of an operation that begins.
func Begin(w World, p Plan) *v1alpha1.OperationState {
	now := metav1.NewTime(w.Now.Truncate(time.Second)) // as it will be read again
	return &v1alpha1.OperationState{
		Operation: *p.Operation, Phase: v1alpha1.OperationRunning, StartedAt: &now, RetryCount: p.Retry,
		SyncResult: w.Target.Result(),
	}
}

// End is the state of an operation that came to its end: one that failed and may be tried again stays running, with the
// time at which it ended. Source: Argo CD's operation state.
func End(w World, p Plan, ended time.Time) *v1alpha1.OperationState {
	s := w.State.DeepCopy()
	now := metav1.NewTime(ended.Truncate(time.Second))
	s.Phase, s.Message, s.FinishedAt = p.Phase, p.Message, &now
	terminated := w.State.Phase == v1alpha1.OperationTerminating
	if p.Phase == v1alpha1.OperationSucceeded || terminated || p.Operation.Sync.DryRun ||
		!retries(*p.Operation, s.RetryCount) {
		return s
	}
	s.Phase = v1alpha1.OperationRunning
	at := ended.Add(retryWait(p.Operation.Retry.Backoff, s.RetryCount))
	s.RetryCount++
	s.Message = fmt.Sprintf("%s. Retrying attempt #%d at %s", p.Message, s.RetryCount, at.UTC().Format(time.RFC3339))
	return s
}

// Supersede is the state of an operation that another one takes the place of.
func Supersede(w World, p Plan) *v1alpha1.OperationState {
	s := w.State.DeepCopy()
	now := metav1.NewTime(w.Now.Truncate(time.Second))
	s.Phase, s.Message, s.FinishedAt = v1alpha1.OperationFailed, p.Ends, &now
	return s
}

// OperationID identifies one attempt of an operation, the same in every process.
func OperationID(instance string, s *v1alpha1.OperationState) string {
	if s == nil || s.StartedAt == nil {
		return ""
	}
	t := TargetOf(s.SyncResult)
	sum := sha256.Sum256([]byte(strings.Join([]string{
		instance, t.String(), strconv.FormatInt(s.StartedAt.Unix(), 10), strconv.FormatInt(s.RetryCount, 10),
	}, "\x00")))
	return hex.EncodeToString(sum[:10])
}

// HookID identifies what one attempt of an operation makes of a hook at a phase.
func HookID(instance string, s *v1alpha1.OperationState, phase Phase) string {
	return OperationID(instance, s) + "-" + strings.ToLower(string(phase))
}

// attempted reports whether the last operation was about the same thing.
func attempted(w World) bool {
	return w.State != nil && w.State.SyncResult != nil && w.State.Phase.Completed() &&
		TargetOf(w.State.SyncResult).Same(w.Target)
}

func finished(w World) time.Time {
	if w.State.FinishedAt == nil {
		return time.Time{}
	}
	return w.State.FinishedAt.Time
}
