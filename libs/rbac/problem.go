package rbac

import "fmt"

// Problem is what is wrong with a policy.
type Problem struct {
	File string // key of the ConfigMap, or "project NAME, role ROLE"
	Line int    // from 1; 0 where no line is meant
	// Text says what is wrong and what would be right.
	Text string
	// Warning marks what is odd yet read: the policy counts.
	Warning bool
}

// String names the place and what is wrong there.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s, line %d: %s", p.File, p.Line, p.Text)
}

// Refused reports whether one of the problems is more than a warning.
func Refused(problems []Problem) bool {
	for _, p := range problems {
		if !p.Warning {
			return true
		}
	}
	return false
}
