package eventsource

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// OwnPaths begins the paths that each event has beside its endpoint.
const OwnPaths = "/hooks/"

// Endpoint is a path on which an event listens. Parts of it may be variables: {name} is
// one element of the path, {name:pattern} what the pattern takes. Source: Argo Events
// hands its endpoints to gorilla/mux, Route.Path.
type Endpoint struct {
	// Path is how it is written, in its plain form.
	Path    string
	pattern *regexp.Regexp // nil for one without variables
}

// patternMost bounds what an endpoint may look for.
const patternMost = 1024

// NewEndpoint reads an endpoint; the empty one is the zero Endpoint, which takes nothing.
func NewEndpoint(text string) (Endpoint, error) {
	path := CleanPath(text)
	if path == "" || !strings.ContainsAny(path, "{}") {
		return Endpoint{Path: path}, reserved(path)
	}
	if len(path) > patternMost {
		return Endpoint{}, fmt.Errorf(
			"%.64q... is longer than the %d bytes that an endpoint with variables may have", path, patternMost,
		)
	}
	var pattern strings.Builder
	pattern.WriteString("^")
	for rest := path; rest != ""; {
		literal, after, open := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return Endpoint{}, fmt.Errorf("%q has a } without its {", text)
		}
		pattern.WriteString(regexp.QuoteMeta(literal))
		if !open {
			break
		}
		end := closing(after)
		if end < 0 {
			return Endpoint{}, fmt.Errorf("%q has a { without its }", text)
		}
		name, inner, has := strings.Cut(after[:end], ":")
		if name == "" || has && inner == "" {
			return Endpoint{}, fmt.Errorf("%q has a variable that is neither {name} nor {name:pattern}", text)
		}
		if !has {
			inner = "[^/]+"
		}
		pattern.WriteString("(?:" + inner + ")")
		rest = after[end+1:]
	}
	compiled, err := regexp.Compile(pattern.String() + "$")
	if err != nil {
		return Endpoint{}, fmt.Errorf("%q: %w", text, err)
	}
	return Endpoint{Path: path, pattern: compiled}, reserved(path)
}

// closing finds the brace that closes a variable; its pattern may hold braces too.
func closing(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

func reserved(path string) error {
	if strings.HasPrefix(path+"/", OwnPaths) {
		return fmt.Errorf("%s is below %s, where each event has its path already; choose another one", path, OwnPaths)
	}
	return nil
}

// Variable reports whether parts of the endpoint are variables.
func (e Endpoint) Variable() bool { return e.pattern != nil }

// Takes reports whether a path in its plain form is one of the endpoint's.
func (e Endpoint) Takes(path string) bool {
	if e.pattern == nil {
		return e.Path != "" && path == e.Path
	}
	return e.pattern.MatchString(path)
}

// CleanPath is a path with a slash in front and none behind; "/" stays as it is.
func CleanPath(path string) string {
	if path == "" {
		return ""
	}
	return "/" + strings.Trim(path, "/")
}

// methods are those of HTTP. Source: Argo Events, ValidateWebhookContext.
var methods = []string{
	http.MethodHead, http.MethodPut, http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodOptions,
	http.MethodPatch, http.MethodPost, http.MethodTrace,
}

// Method is the method of a hook in capitals, POST where none is given.
func Method(text string) (string, error) {
	if text == "" {
		return http.MethodPost, nil
	}
	method := strings.ToUpper(text)
	if !slices.Contains(methods, method) {
		return method, fmt.Errorf("%q is no method of HTTP; %s is the usual one", text, http.MethodPost)
	}
	return method, nil
}
