package core

import (
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

func (p *pass) condition(kind v1alpha1.RolloutConditionType) *v1alpha1.RolloutCondition {
	for i := range p.st.Conditions {
		if p.st.Conditions[i].Type == kind {
			return &p.st.Conditions[i]
		}
	}
	return nil
}

func (p *pass) dropCondition(kind v1alpha1.RolloutConditionType) {
	p.st.Conditions = slices.DeleteFunc(
		p.st.Conditions,
		func(c v1alpha1.RolloutCondition) bool { return c.Type == kind },
	)
}

func (p *pass) setCondition(kind v1alpha1.RolloutConditionType, is bool, reason, message string) {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	p.put(v1alpha1.RolloutCondition{Type: kind, Status: status, Reason: reason, Message: message}, false)
}

func (p *pass) setProgress(status corev1.ConditionStatus, reason, message string, moved bool) {
	p.put(
		v1alpha1.RolloutCondition{
			Type: v1alpha1.RolloutProgressingCond, Status: status, Reason: reason, Message: message,
		},
		moved,
	)
}

// put writes a condition; times change only when the condition does, or when fresh says that something moved.
func (p *pass) put(c v1alpha1.RolloutCondition, fresh bool) {
	c.LastUpdateTime, c.LastTransitionTime = p.now(), p.now()
	had := p.condition(c.Type)
	if had == nil {
		p.st.Conditions = append(p.st.Conditions, c)
		return
	}
	if had.Status == c.Status {
		c.LastTransitionTime = had.LastTransitionTime
		if had.Reason == c.Reason && had.Message == c.Message && !fresh {
			c.LastUpdateTime = had.LastUpdateTime
		}
	}
	*had = c
}
