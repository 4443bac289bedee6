package pull

import (
	"os"
)

// consumerName tells replicas apart in a shared group; it is stable for a pod, so
// that a restarted container takes its own messages back.
func consumerName() string {
	name, err := os.Hostname()
	if err != nil {
		return "argosy"
	}
	return "argosy-" + name
}
