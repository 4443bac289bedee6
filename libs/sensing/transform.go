package sensing

import (
	"encoding/json"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// maxTransform bounds the data that scripts are given.
const maxTransform = 8 << 20

// transform changes the data of an event before the filters see it. The zero value
// changes nothing.
type transform struct {
	jq  *script.JQ
	lua *script.Lua
}

// compileTransform prepares dependencies[].transform; with both given, jq wins.
// Source: Argo Events.
func compileTransform(t *v1alpha1.EventDependencyTransformer) (transform, error) {
	var out transform
	var err error
	switch {
	case t == nil:
	case t.JQ != "":
		if out.jq, err = script.CompileJQ(t.JQ); err != nil {
			return out, fmt.Errorf("transform.jq: %w", err)
		}
	case t.Script != "":
		if out.lua, err = script.CompileLua(t.Script); err != nil {
			return out, fmt.Errorf("transform.script: %w", err)
		}
	}
	return out, nil
}

// apply returns the event with its data transformed, which must be and stay a JSON
// object. The event given is left as it is.
func (t transform) apply(e Event, limits script.Limits) (Event, error) {
	if t.jq == nil && t.lua == nil {
		return e, nil
	}
	if len(e.Data) > maxTransform {
		return e, fmt.Errorf("transform: data has more than %d bytes", maxTransform)
	}
	input, err := objectOf(e.Data)
	if err != nil {
		return e, fmt.Errorf("transform: %w", err)
	}
	var result any
	if t.jq != nil {
		result, err = t.jq.Run(input, limits)
	} else {
		result, err = t.lua.Run(input, limits)
	}
	if err != nil {
		return e, fmt.Errorf("transform: %w", err)
	}
	if _, isObject := result.(map[string]any); !isObject && (t.jq != nil || !isTable(result)) {
		return e, fmt.Errorf("transform: the result is no object")
	}
	if e.Data, err = json.Marshal(result); err != nil {
		return e, fmt.Errorf("transform: %w", err)
	}
	return e, nil
}

func isTable(v any) bool {
	_, list := v.([]any)
	return list
}
