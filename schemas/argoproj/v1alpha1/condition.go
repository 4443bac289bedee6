package v1alpha1

import (
	"encoding/json"
	"slices"
)

// SameConditions reports whether an object's status.conditions already say what fresh says; times do not count.
func SameConditions(object map[string]any, fresh []EventCondition) bool {
	text, err := json.Marshal(object["status"])
	if err != nil {
		return false
	}
	var old struct {
		Conditions []EventCondition `json:"conditions"`
	}
	if json.Unmarshal(text, &old) != nil {
		return false
	}
	return slices.EqualFunc(old.Conditions, fresh, func(a, b EventCondition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message
	})
}
