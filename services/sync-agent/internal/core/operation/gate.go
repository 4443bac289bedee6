package operation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Repeated heals of one revision back off, so that two controllers that disagree
// about a field do not spin.
const (
	healFirst = 2 * time.Second
	healCap   = 300 * time.Second
	healCalm  = healCap + 30*time.Second // after this long without one, the count starts again
)

// How often a failed operation is tried again when nobody says otherwise.
const (
	retryLimit  = 5
	retryFirst  = 5 * time.Second
	retryFactor = 2
	retryCap    = 3 * time.Minute
)

// gate decides whether an operation is at work or begins.
func (p *Plan) gate(w World) {
	automated := w.Policy.Automated
	on := automated != nil && (automated.Enabled == nil || *automated.Enabled)
	switch {
	case w.State != nil && w.State.Phase == v1alpha1.OperationTerminating && w.State.Operation.Sync != nil:
		p.Operation, p.Retry = &w.State.Operation, w.State.RetryCount
	case w.State != nil && w.State.Phase == v1alpha1.OperationRunning && w.State.Operation.Sync != nil &&
		(w.State.SyncResult == nil || w.State.SyncResult.Revision == w.Revision):
		p.Operation, p.Retry = &w.State.Operation, w.State.RetryCount
	case w.Request != nil && w.Request.Sync != nil:
		p.Requested = true
		p.begin(*w.Request.DeepCopy(), 0)
	case on && p.work(automated.Prune):
		p.automate(w, automated)
	}
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
	if automated.Prune && !automated.AllowEmpty && len(w.Desired) == 0 {
		p.Problem = "Git has no manifests left: everything would be pruned, which allowEmpty must permit"
		return
	}
	o := v1alpha1.Operation{
		Sync: &v1alpha1.SyncOperation{
			Revision: w.Revision, Prune: automated.Prune, SyncOptions: w.Policy.SyncOptions,
		},
		InitiatedBy: v1alpha1.OperationInitiator{Automated: true},
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
	p.begin(o, 0)
}

// again tries a failed operation once more when its time has come.
func (p *Plan) again(w World, o v1alpha1.Operation) {
	tried := w.State.RetryCount
	limit := int64(retryLimit)
	if o.Retry.Limit != nil {
		limit = *o.Retry.Limit
	}
	if limit >= 0 && tried >= limit {
		p.Problem = fmt.Sprintf("failed %d times at %s: %s", tried+1, w.Revision, w.State.Message)
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

// attempted reports whether the last operation was about the same thing.
func attempted(w World) bool {
	return w.State != nil && w.State.SyncResult != nil && w.State.SyncResult.Revision == w.Revision &&
		w.State.Phase.Completed() && sameSource(w.State.SyncResult.Source, w.Source)
}

// sameSource compares what would be written: an empty list is as good as none.
func sameSource(a, b v1alpha1.ApplicationSource) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func finished(w World) time.Time {
	if w.State.FinishedAt == nil {
		return time.Time{}
	}
	return w.State.FinishedAt.Time
}

// healsOf counts the heals of this revision in a row.
func healsOf(w World) int64 {
	if w.State.Operation.Sync == nil || w.Now.Sub(finished(w)) > healCalm {
		return 0
	}
	return w.State.Operation.Sync.AutoHealAttemptsCount
}

// healWait is 0 s, 2 s, 6 s, 18 s and so on.
func healWait(heals int64) time.Duration {
	if heals == 0 {
		return 0
	}
	wait := healFirst
	for range heals - 1 {
		if wait *= 3; wait >= healCap {
			return healCap
		}
	}
	return wait
}

func retryWait(b *v1alpha1.SyncBackoff, tried int64) time.Duration {
	wait, factor, limit := retryFirst, int64(retryFactor), retryCap
	if b != nil {
		wait, limit = durationOr(b.Duration, wait), durationOr(b.MaxDuration, limit)
		if b.Factor != nil && *b.Factor > 0 {
			factor = *b.Factor
		}
	}
	for range tried {
		if wait = span.Times(wait, float64(factor)); wait >= limit {
			return limit
		}
	}
	return min(wait, limit)
}

// durationOr reads a duration; a bare number counts seconds.
func durationOr(text string, fallback time.Duration) time.Duration {
	if d, err := span.Parse(text); err == nil {
		return d
	}
	return fallback
}
