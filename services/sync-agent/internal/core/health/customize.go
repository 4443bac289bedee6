package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/script"
	"sigs.k8s.io/yaml"
)

// Customizations are the texts of an installation's configuration, by their keys, such as those of the ConfigMap
// argocd-cm. Keys that do not concern health are ignored.
type Customizations map[string]string

// The keys that are read. Source: Argo CD, but for the one of CEL.
const (
	allKey    = "resource.customizations"
	luaPrefix = allKey + ".health."
	celPrefix = allKey + ".healthcel."
)

// Bounds of what is read: an installation has some hundred customizations at most.
const (
	maxCustomizations = 2000
	maxListBytes      = 4 << 20
)

// Problem says which customization cannot be used and why.
type Problem struct {
	Key string // as it stands in the configuration
	Err error
}

// String returns the key and the reason.
func (p Problem) String() string { return p.Key + ": " + p.Err.Error() }

// customization is one compiled text.
type customization struct {
	key   string
	judge func(object map[string]any, clock func() time.Time) *Health
}

// overrides are customizations by "group/kind", or by the kind alone in the core group.
type overrides struct {
	exact  map[string]*customization
	globs  []glob
	number int
}

// glob is a customization for several kinds.
type glob struct {
	pattern string
	*customization
}

// compile reads all customizations. Of one that cannot be used the engine says so for each object.
func compile(c Customizations) (overrides, []Problem) {
	o := overrides{exact: map[string]*customization{}}
	var problems []Problem
	add := func(key, kinds string, compiled func(string) (*customization, error), text string) {
		if o.number++; o.number > maxCustomizations {
			err := fmt.Errorf("there are more than %d customizations", maxCustomizations)
			problems = append(problems, Problem{key, err})
			return
		}
		custom, err := compiled(text)
		if err != nil {
			problems = append(problems, Problem{key, err})
			custom = broken(key, err)
		}
		custom.key = key
		o.put(kinds, custom)
	}
	listed, err := readList(c[allKey])
	if err != nil {
		problems = append(problems, Problem{allKey, err})
	}
	for _, kinds := range slices.Sorted(maps.Keys(listed)) {
		key := allKey + ": " + kinds
		if text := listed[kinds].Lua; text != "" {
			add(key+": health.lua", kinds, luaOf, text)
		} else if text := listed[kinds].CEL; text != "" {
			add(key+": health.cel", kinds, celOf, text)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c)) {
		compiled := luaOf
		name, found := strings.CutPrefix(key, luaPrefix)
		if !found {
			name, found = strings.CutPrefix(key, celPrefix)
			compiled = celOf
		}
		if !found || c[key] == "" {
			continue
		}
		kinds, err := kindsOf(name)
		if err != nil {
			problems = append(problems, Problem{key, err})
			continue
		}
		add(key, kinds, compiled, c[key])
	}
	slices.SortFunc(o.globs, func(a, b glob) int {
		if len(a.pattern) != len(b.pattern) {
			return len(b.pattern) - len(a.pattern)
		}
		return strings.Compare(a.pattern, b.pattern)
	})
	return o, problems
}

// entry is what concerns health in one entry of the list of customizations.
type entry struct {
	Lua string `json:"health.lua"`
	CEL string `json:"health.cel"`
}

func readList(text string) (map[string]entry, error) {
	if len(text) > maxListBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxListBytes)
	}
	var out map[string]entry
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("it is no list of group/kind with health.lua: %w", err)
	}
	return out, nil
}

// kindsOf turns the end of a key into group/kind: apps_Deployment, Pod, _Pod.
func kindsOf(name string) (string, error) {
	group, kind, both := strings.Cut(name, "_")
	switch {
	case !both && name != "":
		return name, nil
	case kind == "" || strings.Contains(kind, "_"):
		return "", fmt.Errorf("%q must be group_Kind, or Kind in the core group", name)
	case group == "":
		return kind, nil
	}
	return group + "/" + kind, nil
}

func (o *overrides) put(kinds string, c *customization) {
	kinds = strings.TrimPrefix(kinds, "/")
	if strings.ContainsAny(kinds, "*?") {
		o.globs = append(o.globs, glob{kinds, c})
		return
	}
	o.exact[kinds] = c
}

// of finds the customization of a kind: by its name, else the longest pattern.
func (o *overrides) of(group, kind string) *customization {
	name := kind
	if group != "" {
		name = group + "/" + kind
	}
	if c := o.exact[name]; c != nil {
		return c
	}
	for _, g := range o.globs {
		if globs(g.pattern, name) {
			return g.customization
		}
	}
	return nil
}

// globs matches with * for any text, the slash too, and ? for any character. Source: Argo CD.
func globs(pattern, name string) bool {
	star, mark := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func broken(key string, err error) *customization {
	return &customization{judge: func(map[string]any, func() time.Time) *Health {
		return &Health{Unknown, key + ": " + err.Error()}
	}}
}

// maxTime bounds one program.
const maxTime = time.Second

// limits bound one run of a program.
func limits(clock func() time.Time) script.Limits {
	l := script.DefaultLimits()
	if clock != nil {
		start := clock()
		l.Alarm = func() bool { return clock().Sub(start) > maxTime }
	}
	return l
}

// luaOf compiles a program that returns a table with status and message, of the object in the global obj.
func luaOf(text string) (*customization, error) {
	program, err := script.CompileLua(text)
	if err != nil {
		return nil, err
	}
	c := &customization{}
	c.judge = func(object map[string]any, clock func() time.Time) *Health {
		got, err := program.Eval(script.Env{Global: "obj", Value: object, Clock: clock}, limits(clock))
		if err != nil {
			return &Health{Unknown, c.key + ": " + err.Error()}
		}
		return c.result(got)
	}
	return c, nil
}

// result reads what a program returned.
func (c *customization) result(got any) *Health {
	if got == nil {
		return nil
	}
	table, ok := got.(map[string]any)
	if !ok {
		return &Health{Unknown, fmt.Sprintf("%s: it returned a %T, not a table with status and message", c.key, got)}
	}
	status, _ := table["status"].(string)
	if !slices.Contains(states, status) {
		return &Health{Unknown, fmt.Sprintf("%s: it returned status %.100q, which is none of %v", c.key, fmt.Sprint(table["status"]), states)}
	}
	message, _ := table["message"].(string)
	return &Health{status, message}
}

var states = []string{Healthy, Suspended, Progressing, Missing, Degraded, Unknown}
