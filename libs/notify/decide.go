package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/argosy-mesh/argosy/libs/flow/expression"
)

// Notification is one message to one recipient.
type Notification struct {
	// ID is made of causes alone: the same fact for the same recipient has the same one each time it is decided.
	ID        string
	Key       string // in the state
	Trigger   string
	Templates []string
	To        Destination
}

// Decision is what is to be done about an object.
type Decision struct {
	Send   []Notification
	Forget []string // keys whose condition does not hold any more: the next time it does is another fact
	Wrong  []error  // conditions that cannot be evaluated: they hold for nobody
}

// Subject is an object that may be told about.
type Subject struct {
	Object map[string]any // as the API has it
	// Fact tells one state of the object from another, such as its UID with the time of its last operation.
	Fact string
	// Variables are the functions and values that conditions and templates see beside app and context.
	Variables map[string]any
}

func (s Subject) environment(c *Config) map[string]any {
	out := maps.Clone(s.Variables)
	if out == nil {
		out = map[string]any{}
	}
	out["app"], out["context"] = s.Object, c.context
	return out
}

// Decide compares what holds with what was told. A condition that holds is told once to each destination until it does
// not hold any more; one with oncePer is told once for each value of that.
func (c *Config) Decide(s Subject, destinations map[string][]Destination, told State) Decision {
	var out Decision
	env := s.environment(c)
	for _, trigger := range slices.Sorted(maps.Keys(destinations)) {
		conditions, is := c.triggers[trigger]
		if !is {
			out.Wrong = append(out.Wrong, fmt.Errorf("trigger %s is not configured", trigger))
			continue
		}
		for i, condition := range conditions {
			holds, oncePer, err := condition.evaluate(env)
			if err != nil {
				out.Wrong = append(out.Wrong, fmt.Errorf("trigger %s, condition %d: %w", trigger, i, err))
			}
			for _, to := range destinations[trigger] {
				key := stateKey(trigger, i, condition.When, oncePer, to)
				_, was := told[key]
				switch {
				case holds && !was:
					out.Send = append(out.Send, Notification{
						ID: id(s.Fact, key), Key: key, Trigger: trigger, Templates: condition.Send, To: to,
					})
				case !holds && was && condition.OncePer == "" && err == nil:
					out.Forget = append(out.Forget, key)
				}
			}
		}
	}
	return out
}

func (c Condition) evaluate(env map[string]any) (holds bool, oncePer string, err error) {
	if c.When == "" {
		return false, "", nil
	}
	// A field that is not there yet makes many conditions fail: they do not hold.
	result, err := expression.Evaluate(c.When, env)
	if err != nil {
		return false, "", err
	}
	holds, _ = result.(bool)
	if !holds || c.OncePer == "" {
		return holds, "", nil
	}
	value, err := expression.Evaluate(c.OncePer, env)
	if err != nil {
		return false, "", fmt.Errorf("oncePer: %w", err)
	}
	return true, fmt.Sprint(value), nil
}

// maxID bounds ids: some services take no more.
const maxID = 32

func id(fact, key string) string {
	sum := sha256.Sum256([]byte(fact + "\x00" + key))
	return hex.EncodeToString(sum[:])[:maxID]
}
