package diff

import (
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"k8s.io/apimachinery/pkg/runtime"
)

// Remove takes the field that a JSON pointer names out of o, if it is there.
func Remove(o *track.Object, pointer string) {
	removeAt(o.Object, pointerParts(pointer))
}

func pointerParts(pointer string) []string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts
}

func removeAt(node any, parts []string) {
	switch node := node.(type) {
	case map[string]any:
		if len(parts) == 1 {
			delete(node, parts[0])
			return
		}
		removeAt(node[parts[0]], parts[1:])
	case []any:
		for i, item := range node {
			if len(parts) > 1 && parts[0] == fmt.Sprint(i) {
				removeAt(item, parts[1:])
			}
		}
	}
}

// Adopt copies the field that a JSON pointer names from live to o.
func Adopt(o, live *track.Object, pointer string) {
	parts := pointerParts(pointer)
	from, to := any(live.Object), o.Object
	for i, part := range parts {
		m, ok := from.(map[string]any)
		if !ok || m[part] == nil {
			return
		}
		if from = m[part]; i == len(parts)-1 {
			to[part] = runtime.DeepCopyJSONValue(from)
			return
		}
		next, ok := to[part].(map[string]any)
		if !ok {
			return
		}
		to = next
	}
}
