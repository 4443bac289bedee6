package application

import (
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/operation"
	corev1 "k8s.io/api/core/v1"
)

// Reasons of the events that an Application has, as Argo CD names them.
const (
	reasonStarted   = "OperationStarted"
	reasonCompleted = "OperationCompleted"
	reasonUpdated   = "ResourceUpdated"
)

// auditf records on the Application what happened to it, for people and for what watches events.
func (p *pass) auditf(warning bool, reason, action, format string, args ...any) {
	if p.Recorder == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if warning {
		kind = corev1.EventTypeWarning
	}
	p.Recorder.Eventf(p.raw, nil, kind, reason, action, format, args...)
}

func (p *pass) auditBegin(w *operation.World, plan operation.Plan) {
	by := plan.Operation.InitiatedBy.Username
	if plan.Operation.InitiatedBy.Automated {
		by = "automated sync"
	}
	p.auditf(false, reasonStarted, "Sync", "%s initiated sync to %s", or(by, "unknown user"), w.Target)
}

func (p *pass) auditEnd(s *v1alpha1.OperationState, plan operation.Plan) {
	bad := plan.Phase != v1alpha1.OperationSucceeded
	verdict := "succeeded"
	if bad {
		verdict = "failed: " + s.Message
	}
	p.auditf(bad, reasonCompleted, "Sync", "Sync operation to %s %s", operation.TargetOf(s.SyncResult), verdict)
}

// auditStatus records changes of what people look at first.
func (p *pass) auditStatus(before v1alpha1.ApplicationStatus) {
	after := p.report.status
	for _, c := range []struct{ what, from, to, bad string }{
		{"sync status", before.Sync.Status, after.Sync.Status, "Unknown"},
		{"health status", before.Health.Status, after.Health.Status, "Degraded"},
	} {
		if c.from != c.to && c.from != "" && c.to != "" {
			p.auditf(
				c.to == c.bad,
				reasonUpdated,
				"Refresh",
				"Updated %s: %s",
				c.what,
				fmt.Sprintf("%s -> %s", c.from, c.to),
			)
		}
	}
}
