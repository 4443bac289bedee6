package sensing

import "strings"

// maxLabel is how long the value of a label may be. Source: Kubernetes.
const maxLabel = 63

// LabelValue is a name as the value of a label: unchanged if it is one, else with everything that labels do not take
// replaced by "-", and cut.
func LabelValue(name string) string {
	value := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(value[:min(len(value), maxLabel)], "-_.")
}
