package eventsource

import (
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/events"
)

// subjectMost bounds the subject that the events of one name are stored under. Its
// parts are escaped, which can triple them; the bus ends the connection of whoever
// sends a line that is longer than it takes.
const subjectMost = 1024

// NameError says why events of this name could not be stored; nil when they can.
func NameError(namespace, eventSource, event string) error {
	if n := len(events.EventSubject(namespace, eventSource, event)); n > subjectMost {
		return fmt.Errorf(
			"its name of %d bytes is too long: with namespace and EventSource it makes a subject of %d bytes, of which %d are possible; give it a shorter name",
			len(event), n, subjectMost,
		)
	}
	return nil
}
