package appset

import (
	"path"
	"strings"
	"unicode/utf8"
)

// matchFile reports whether a pattern of files matches a path: * and ** stand for any characters, those between folders
// too, and the name of a folder stands for all below it. Source: the patterns of git ls-files.
func matchFile(pattern, name string) bool {
	pattern = strings.TrimPrefix(path.Clean("/"+pattern), "/")
	return pattern == "" || strings.HasPrefix(name, pattern+"/") || greedy(pattern, name)
}

// greedy matches with * over everything. Each star is tried once at each place: the time is bounded by the product of
// the lengths.
func greedy(pattern, name string) bool {
	star, again := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, again = p, n
			p++
			continue
		}
		if width, next, ok := one(pattern, p, name[n:]); ok {
			p, n = next, n+width
			continue
		}
		if star < 0 {
			return false
		}
		again++
		p, n = star+1, again
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// one matches one character, and says how wide it is and where the pattern goes on.
func one(pattern string, p int, rest string) (width, next int, ok bool) {
	if p >= len(pattern) {
		return 0, p, false
	}
	r, width := utf8.DecodeRuneInString(rest)
	switch pattern[p] {
	case '?':
		return width, p + 1, true
	case '[':
		if end := strings.IndexByte(pattern[p+1:], ']'); end > 0 {
			class := pattern[p+1 : p+1+end]
			return width, p + end + 2, inClass(class, r)
		}
	case '\\':
		if p+1 < len(pattern) {
			return 1, p + 2, pattern[p+1] == rest[0]
		}
	}
	return 1, p + 1, pattern[p] == rest[0]
}

func inClass(class string, r rune) bool {
	wanted := true
	if strings.HasPrefix(class, "!") || strings.HasPrefix(class, "^") {
		class, wanted = class[1:], false
	}
	list := []rune(class)
	for i := 0; i < len(list); i++ {
		if i+2 < len(list) && list[i+1] == '-' {
			if list[i] <= r && r <= list[i+2] {
				return wanted
			}
			i += 2
			continue
		}
		if list[i] == r {
			return wanted
		}
	}
	return !wanted
}
