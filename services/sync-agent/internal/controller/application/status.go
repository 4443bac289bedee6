package application

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// historyLimit is how many deployments are remembered when nobody says otherwise.
const historyLimit = 10

// report collects the status of one pass; patch writes it when it says something
// new.
type report struct {
	app        *v1alpha1.Application
	status     v1alpha1.ApplicationStatus
	conditions []v1alpha1.ApplicationCondition
	operation  *v1alpha1.OperationState
	taken      bool   // the request on the object has begun
	refreshed  bool   // Git was asked because someone said so
	hold       string // why automation is held from now on
	changed    bool   // the last operation applied or pruned something
}

func newReport(app *v1alpha1.Application) report {
	status := *app.Status.DeepCopy()
	return report{app: app, status: status, operation: status.OperationState}
}

func (r *report) condition(kind, message string) {
	now := metav1.Now()
	for _, old := range r.app.Status.Conditions {
		if old.Type == kind && old.Message == message && old.LastTransitionTime != nil {
			now = *old.LastTransitionTime
		}
	}
	r.conditions = append(
		r.conditions, v1alpha1.ApplicationCondition{Type: kind, Message: message, LastTransitionTime: &now},
	)
}

// unknownFields says which fields of an application have no effect.
func (r *report) unknownFields(warnings []v1alpha1.FieldWarning) {
	for _, w := range warnings {
		r.condition("UnknownFieldWarning", w.String())
	}
}

// unknown is the comparison that could not be made.
func (r *report) unknown() {
	r.status.Sync.Status = "Unknown"
	if r.status.Health.Status == "" {
		r.status.Health.Status = health.Unknown
	}
}

// end is what becomes of the operation, and of the history when it deployed something as a whole.
func (r *report) end(w *operation.World, plan operation.Plan) {
	r.operation = operation.End(*w, plan, time.Now())
	o := r.operation.Operation.Sync
	if plan.Phase != v1alpha1.OperationSucceeded || o.DryRun || len(o.Resources) > 0 {
		return
	}
	limit := historyLimit
	if l := r.app.Spec.RevisionHistoryLimit; l != nil {
		limit = max(0, int(*l))
	}
	entry := v1alpha1.RevisionHistory{
		Revision: w.Target.Revision, Revisions: w.Target.Revisions, Sources: w.Target.Sources,
		DeployStartedAt: r.operation.StartedAt, DeployedAt: r.operation.FinishedAt,
		InitiatedBy: &r.operation.Operation.InitiatedBy,
	}
	if len(w.Target.Sources) == 0 {
		source := w.Target.Source
		entry.Source = &source
	}
	if n := len(r.status.History); n > 0 {
		entry.ID = r.status.History[n-1].ID + 1
	}
	r.status.History = append(r.status.History, entry)
	r.status.History = r.status.History[max(0, len(r.status.History)-limit):]
}

func (r *report) compared(w operation.World, plan operation.Plan, found *source.Rendered) {
	r.status.SourceType, r.status.SourceTypes = found.Manifests.Type, nil
	if len(w.Target.Sources) > 0 {
		r.status.SourceType, r.status.SourceTypes = "", found.Types()
	}
	r.status.Sync = v1alpha1.SyncStatus{
		Status:    synced(plan.Synced),
		Revision:  w.Target.Revision,
		Revisions: w.Target.Revisions,
		ComparedTo: v1alpha1.ComparedTo{
			Source:            w.Target.Source,
			Sources:           w.Target.Sources,
			Destination:       r.app.Spec.Destination,
			IgnoreDifferences: r.app.Spec.IgnoreDifferences,
		},
	}
	health := v1alpha1.AppHealthStatus{
		Status: plan.Health.Status, Message: plan.Health.Message,
		LastTransitionTime: r.status.Health.LastTransitionTime,
	}
	if health.Status != r.status.Health.Status {
		now := metav1.Now()
		health.LastTransitionTime = &now
	}
	r.status.Health = health
	r.status.Resources = nil
	images := map[string]bool{}
	for _, i := range plan.Items {
		if i.Untracked {
			continue
		}
		r.status.Resources = append(r.status.Resources, resource(i))
		if i.Live != nil {
			imagesOf(i.Live.Object["spec"], images)
		}
		if i.Shared != "" {
			r.condition("SharedResourceWarning", i.Key.String()+" "+i.Reason)
		}
	}
	r.status.Summary.Images = nil
	for image := range images {
		r.status.Summary.Images = append(r.status.Summary.Images, image)
	}
	slices.Sort(r.status.Summary.Images)
}

func synced(yes bool) string {
	if yes {
		return "Synced"
	}
	return "OutOfSync"
}

func resource(i operation.Item) v1alpha1.ResourceStatus {
	s := v1alpha1.ResourceStatus{
		Group:           i.Key.Group,
		Version:         i.Version,
		Kind:            i.Key.Kind,
		Namespace:       i.Key.Namespace,
		Name:            i.Key.Name,
		Status:          synced(i.Action == operation.Skip && i.Shared == ""),
		Hook:            i.Hook,
		RequiresPruning: i.Action == operation.Prune,
		SyncWave:        int64(i.Wave),
	}
	if i.Hook {
		s.Status = "" // hooks are never compared
	}
	s.RequiresDeletionConfirmation = i.Confirm
	if i.Health.Status != "" {
		s.Health = &v1alpha1.HealthStatus{Status: i.Health.Status, Message: i.Health.Message}
	}
	return s
}

// imagesOf collects the images of every pod template below a node.
func imagesOf(node any, into map[string]bool) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			list, ok := value.([]any)
			if ok && (key == "containers" || key == "initContainers") {
				for _, c := range list {
					if m, ok := c.(map[string]any); ok {
						if image, _ := m["image"].(string); image != "" {
							into[image] = true
						}
					}
				}
				continue
			}
			imagesOf(value, into)
		}
	case []any:
		for _, value := range node {
			imagesOf(value, into)
		}
	}
}

// persist writes how far the operation is while the pass goes on.
func (p *pass) persist(ctx context.Context) error {
	p.report.status.OperationState = p.report.operation
	return p.patch(ctx)
}

// conclude writes the status at the end of a pass.
func (p *pass) conclude(ctx context.Context) error {
	p.report.status.Conditions, p.report.status.OperationState = p.report.conditions, p.report.operation
	before := p.app.Status
	if err := p.patch(ctx); err != nil {
		return err
	}
	p.auditStatus(before)
	return nil
}

// patch writes status, and takes away what was asked for on the object.
func (p *pass) patch(ctx context.Context) error {
	r := &p.report
	before, err := plainMap(p.app.Status)
	if err != nil {
		return err
	}
	after, err := plainMap(r.status)
	if err != nil {
		return err
	}
	asked := p.app.Annotations[operation.RefreshAnnotation] != ""
	if reflect.DeepEqual(before, after) && !asked && !r.taken && r.hold == "" {
		return nil
	}
	now := metav1.Now()
	r.status.ReconciledAt = &now
	if after, err = plainMap(r.status); err != nil {
		return err
	}
	next := p.raw.DeepCopy()
	next.Object["status"] = after
	if asked {
		annotations := next.GetAnnotations()
		delete(annotations, operation.RefreshAnnotation)
		next.SetAnnotations(annotations)
	}
	if r.hold != "" {
		annotations := maps.Clone(next.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[hold] = r.hold
		next.SetAnnotations(annotations)
	}
	base := client.MergeFrom(p.raw)
	if r.taken {
		// A request that came meanwhile must not be taken away unseen.
		delete(next.Object, "operation")
		annotations := maps.Clone(next.GetAnnotations())
		delete(annotations, remote.OperationAnnotation)
		next.SetAnnotations(annotations)
		base = client.MergeFromWithOptions(p.raw, client.MergeFromWithOptimisticLock{})
	}
	if err := p.Client.Patch(ctx, next, base); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status of %s: %w", p.name(), err)
	}
	p.known.written = next
	p.raw, r.taken, r.hold = next, false, ""
	p.app.Annotations, p.app.Status = next.GetAnnotations(), *r.status.DeepCopy()
	return nil
}

func plainMap(status v1alpha1.ApplicationStatus) (map[string]any, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return out, nil
}

func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	if strings.Contains(err.Error(), "cannot render") {
		return "unrenderable"
	}
	return "unreachable"
}
