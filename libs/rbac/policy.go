package rbac

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Mode is how resource, action and object of a rule are compared.
type Mode string

// The modes of policy.matchMode.
const (
	Glob  Mode = "glob"  // * and ? stand for any characters, / included
	Regex Mode = "regex" // a regular expression that may match anywhere
)

// File is a text of policies, with the name that problems call it by.
type File struct {
	Name, Text string
}

// Policy is what argocd-rbac-cm says.
type Policy struct {
	Files   []File
	Default string   // role of everybody; "" for none
	Scopes  []string // claims of a login that name groups
	Mode    Mode
}

const (
	policyKey  = "policy.csv"
	defaultKey = "policy.default"
	scopesKey  = "scopes"
	modeKey    = "policy.matchMode"
)

// FromConfigMap reads the data of argocd-rbac-cm: policy.csv first, then every policy.NAME.csv by name.
func FromConfigMap(data map[string]string) (Policy, []Problem) {
	var problems []Problem
	p := Policy{Default: strings.TrimSpace(data[defaultKey]), Scopes: []string{"groups"}, Mode: Glob}
	if text, is := data[policyKey]; is {
		p.Files = append(p.Files, File{policyKey, text})
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if strings.HasPrefix(key, "policy.") && strings.HasSuffix(key, ".csv") && key != policyKey {
			p.Files = append(p.Files, File{key, data[key]})
		}
	}
	switch mode := Mode(strings.TrimSpace(data[modeKey])); mode {
	case "", Glob:
	case Regex:
		p.Mode = Regex
	default:
		problems = append(problems, Problem{File: modeKey, Text: fmt.Sprintf("%q is neither glob nor regex", mode)})
	}
	if text, is := data[scopesKey]; is {
		scopes, err := readScopes(text)
		if err != nil {
			problems = append(problems, Problem{File: scopesKey, Text: err.Error()})
		}
		p.Scopes = scopes
	}
	return p, problems
}

// readScopes reads a list as YAML writes it in one line, such as [groups, email].
func readScopes(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	inner, begins := strings.CutPrefix(text, "[")
	inner, ends := strings.CutSuffix(inner, "]")
	if begins != ends || strings.ContainsAny(inner, "[]{}\n") {
		return nil, fmt.Errorf("%q is no list of claims, such as [groups, email]", brief(text))
	}
	out := []string{}
	for name := range strings.SplitSeq(inner, ",") {
		if name = strings.Trim(strings.TrimSpace(name), `"'`); name != "" {
			out = append(out, name)
		}
	}
	return out, nil
}

// brief shortens text of others for messages.
func brief(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
