package script

import "strings"

// atEnd matches the end of the source.
func (m *matcher) atEnd(s int) int {
	if s == len(m.src) {
		return s
	}
	return -1
}

// special matches %b, %f and back references, and says where the source and the pattern go on; a negative next means
// that it does not match, and special that it was one of them.
func (m *matcher) special(s, p int) (next, after int, special bool) {
	if p+1 == len(m.pat) {
		return s, p, false
	}
	switch c := m.pat[p+1]; {
	case c == 'b':
		return m.balance(s, p+2), p + 4, true
	case c == 'f':
		after, ok := m.frontier(s, p+2)
		if !ok {
			return -1, p, true
		}
		return s, after, true
	case isDigit(c):
		return m.back(s, c), p + 2, true
	}
	return s, p, false
}

// repeats reports whether a class that ends before end is followed by one of * + - ?.
func (m *matcher) repeats(end int) bool {
	return end < len(m.pat) && strings.IndexByte("*+-?", m.pat[end]) >= 0
}
