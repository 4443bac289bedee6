package notify

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // the annotation's format has it; nothing is kept secret by it
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// NotifiedAnnotation holds what was told about an object, in the format of notifications-engine.
const NotifiedAnnotation = "notified.notifications.argoproj.io"

// maxState is how many entries are kept, the newest. Source: notifications-engine.
const maxState = 100

// State is when each notification of an object was sent, in seconds of Unix time. The key is made of trigger, condition
// and destination, with what the condition is told once per before it.
type State map[string]int64

// ReadState reads the annotation; what cannot be read is taken for empty, as upstream does.
func ReadState(text string) State {
	s := State{}
	if json.Unmarshal([]byte(text), &s) != nil || s == nil {
		return State{}
	}
	return s
}

// Text is the annotation's value, "" for none.
func (s State) Text() string {
	if len(s) == 0 {
		return ""
	}
	keys := slices.SortedFunc(maps.Keys(s), func(a, b string) int {
		return cmp.Or(cmp.Compare(s[b], s[a]), cmp.Compare(a, b))
	})
	kept := State{}
	for _, key := range keys[:min(len(keys), maxState)] {
		kept[key] = s[key]
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return "" // a map of numbers is always written
	}
	return string(text)
}

// stateKey is the key of one notification.
func stateKey(trigger string, index int, when, oncePer string, to Destination) string {
	sum := sha1.Sum([]byte(when)) //nolint:gosec // see the import
	key := fmt.Sprintf(
		"%s:[%d].%s:%s:%s", trigger, index, base64.RawURLEncoding.EncodeToString(sum[:]), to.Service, to.Recipient,
	)
	if oncePer != "" {
		key = oncePer + ":" + key
	}
	return key
}
