package diff

import (
	"regexp"
	"strings"
)

// Glob matches with * and ?, which also cross slashes; "" matches only itself.
func Glob(pattern, text string) bool {
	if pattern == "*" || pattern == text {
		return true
	}
	if !strings.ContainsAny(pattern, "*?") {
		return false
	}
	expr := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	ok, err := regexp.MatchString("^"+expr+"$", text)
	return ok && err == nil
}
