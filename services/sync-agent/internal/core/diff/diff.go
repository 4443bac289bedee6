// Package diff says what of a manifest is not as desired in the cluster, and what of the live object is left alone.
package diff

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Difference is one field that is not as desired. Got is what is there instead,
// as JSON; "" when the field is missing.
type Difference struct {
	Path string
	Got  string
}

// Compare returns every field that desired sets and live does not have as it is spelled, and items of lists that only
// live has. It knows no schema: the API server is asked whether what it returns is drift. Fields that only live has are
// not ours: defaults, status and those of others. One that was taken out of the manifest is noticed by its Fingerprint.
func Compare(desired, live *track.Object) []Difference {
	var out []Difference
	d := comparison{report: func(x Difference) { out = append(out, x) }}
	d.object(normal(desired), live.Object)
	return out
}

// Fingerprint identifies the content of a manifest.
func Fingerprint(desired *track.Object) string {
	text, err := json.Marshal(normal(desired))
	if err != nil {
		// Cannot happen for what came out of JSON; an empty print means "unknown".
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:10])
}

// normal is a manifest without what is never compared: status, server-made
// metadata and our own annotations. Secrets get their data encoded.
func normal(o *track.Object) map[string]any {
	n := maps.Clone(o.Object)
	delete(n, "status")
	meta, _ := n["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	for _, field := range []string{
		"creationTimestamp", "managedFields", "resourceVersion", "uid", "generation", "selfLink",
	} {
		delete(meta, field)
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		annotations = maps.Clone(annotations)
		maps.DeleteFunc(annotations, func(k string, _ any) bool { return strings.HasPrefix(k, track.OurPrefix) })
		meta["annotations"] = annotations
	}
	n["metadata"] = meta
	if o.GetKind() == "Secret" && o.GroupVersionKind().Group == "" {
		encodeSecret(n)
	}
	return n
}

// EncodeSecret moves the plain texts of a Secret to its data, as the API server would: a key that leaves stringData
// would stay for ever otherwise. Other objects are left as they are.
func EncodeSecret(o *track.Object) {
	if o.GetKind() == "Secret" && o.GroupVersionKind().Group == "" {
		encodeSecret(o.Object)
	}
}

func encodeSecret(n map[string]any) {
	plain, _ := n["stringData"].(map[string]any)
	if plain == nil {
		return
	}
	data, _ := n["data"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	for k, v := range plain {
		data[k] = base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(v)))
	}
	n["data"] = data
	delete(n, "stringData")
}

type comparison struct {
	report func(Difference)
	path   []string
}

func (c *comparison) object(want, got map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if len(c.path) == 0 && (key == "apiVersion" || key == "kind") {
			continue
		}
		c.path = append(c.path, key)
		value, there := got[key]
		c.value(want[key], value, there)
		c.path = c.path[:len(c.path)-1]
	}
}

func (c *comparison) value(want, got any, there bool) {
	if (!there || got == nil || (want == nil && empty(got))) && empty(want) {
		return
	}
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			c.object(want, got)
			return
		}
	case []any:
		if got, ok := got.([]any); ok {
			c.list(want, got)
			return
		}
	default:
		if scalarEqual(want, got) {
			return
		}
	}
	c.differ(got, there)
}

// list compares by merge key where the items have one; other lists must be equal in length and order. Items that only
// live has are a difference too: whether others may add to the list is known to the API server alone.
func (c *comparison) list(want, got []any) {
	key := mergeKey(want, got)
	if key == "" {
		if len(want) != len(got) {
			c.differ(got, true)
			return
		}
		for i := range want {
			c.item(fmt.Sprint(i), want[i], got[i], true)
		}
		return
	}
	matched := make([]bool, len(got))
	for _, w := range want {
		w := w.(map[string]any)
		i := slices.IndexFunc(got, func(g any) bool { return sameItem(key, w, g.(map[string]any)) })
		name := fmt.Sprintf("%s=%v", key, w[key])
		if i < 0 {
			c.item(name, w, nil, false)
			continue
		}
		matched[i] = true
		c.item(name, w, got[i], true)
	}
	for i, g := range got {
		if !matched[i] {
			c.item(fmt.Sprintf("%s=%v (not in the manifest)", key, g.(map[string]any)[key]), []any{}, true, true)
		}
	}
}

func (c *comparison) item(name string, want, got any, there bool) {
	c.path = append(c.path, name)
	c.value(want, got, there)
	c.path = c.path[:len(c.path)-1]
}

func (c *comparison) differ(got any, there bool) {
	d := Difference{Path: strings.Join(c.path, ".")}
	if there {
		text, _ := json.Marshal(got) // of decoded JSON: cannot fail
		d.Got = string(text)
	}
	c.report(d)
}

func mergeKey(lists ...[]any) string {
	for _, key := range []string{
		"name", "containerPort", "port", "mountPath", "devicePath", "ip", "topologyKey", "type",
	} {
		if all(key, lists) {
			return key
		}
	}
	return ""
}

func all(key string, lists [][]any) bool {
	for _, list := range lists {
		for _, item := range list {
			m, ok := item.(map[string]any)
			if !ok || m[key] == nil {
				return false
			}
		}
	}
	return true
}

// sameItem also looks at protocol, which makes ports of the same number differ.
func sameItem(key string, a, b map[string]any) bool {
	if !scalarEqual(a[key], b[key]) {
		return false
	}
	p, q := a["protocol"], b["protocol"]
	return p == nil || q == nil || p == q
}

// empty values and missing fields are the same to the API server.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case int64:
		return v == 0
	case float64:
		return v == 0
	case map[string]any:
		for _, item := range v {
			if !empty(item) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return false
}

func scalarEqual(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return a == b
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Same reports whether two states of one object are the same but for what the server counts and what we note on it.
func Same(a, b *track.Object) bool {
	x, y := normal(a), normal(b)
	for _, n := range []map[string]any{x, y} {
		meta, _ := n["metadata"].(map[string]any)
		annotations, _ := meta["annotations"].(map[string]any)
		delete(annotations, track.TrackingAnnotation)
		if len(annotations) == 0 {
			delete(meta, "annotations")
		}
	}
	return reflect.DeepEqual(x, y)
}
