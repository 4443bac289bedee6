package appset

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// selects reports whether labels, or flat parameters, meet a selector. Values may be any text, URLs among them, unlike
// those of labels.
func selects(s *metav1.LabelSelector, labels map[string]string) (bool, error) {
	if s == nil {
		return true, nil
	}
	all := true
	for k, want := range s.MatchLabels {
		got, there := labels[k]
		all = all && there && got == want
	}
	for i, e := range s.MatchExpressions {
		got, there := labels[e.Key]
		var met bool
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			met = there && slices.Contains(e.Values, got)
		case metav1.LabelSelectorOpNotIn:
			met = !there || !slices.Contains(e.Values, got)
		case metav1.LabelSelectorOpExists:
			met = there
		case metav1.LabelSelectorOpDoesNotExist:
			met = !there
		default:
			return false, fmt.Errorf("matchExpressions[%d].operator: %q: there is In, NotIn, Exists and DoesNotExist", i, e.Operator)
		}
		all = all && met
	}
	return all, nil
}

// selectsAll reports whether a selector excludes nothing.
func selectsAll(s metav1.LabelSelector) bool { return len(s.MatchLabels)+len(s.MatchExpressions) == 0 }
