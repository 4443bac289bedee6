package script

import (
	"errors"
	"slices"
	"strings"
)

// Lua's patterns (reference manual 5.1, section 5.4.1), matched by backtracking
// that costs steps: an innocent-looking pattern may take years on a hostile string.

// maxCaptures is Lua's own limit.
const maxCaptures = 32

// The length of a capture that is still open, and of one that is a position.
const (
	captureOpen     = -1
	capturePosition = -2
)

type capture struct{ start, length int }

type matcher struct {
	src, pat string
	caps     []capture
	depth    int
	budget   *budget
	err      error
}

// maxMatchDepth bounds the recursion of one match.
const maxMatchDepth = 10_000

// match tries the pattern from p at s; -1 means that it does not match there.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		return m.fail("pattern too complex")
	}
	defer func() { m.depth-- }()
	for p < len(m.pat) {
		if m.err != nil || !m.budget.charge(1) {
			return m.fail("")
		}
		switch c := m.pat[p]; {
		case c == '(':
			return m.open(s, p)
		case c == ')':
			return m.close(s, p)
		case c == '$' && p+1 == len(m.pat):
			return m.atEnd(s)
		case c == '%':
			if next, after, special := m.special(s, p); special {
				if next < 0 {
					return -1
				}
				s, p = next, after
				continue
			}
		}
		end := m.classEnd(p)
		if m.err != nil {
			return -1
		}
		if m.repeats(end) {
			return m.repeat(s, p, end)
		}
		if !m.single(s, p, end) {
			return -1
		}
		s, p = s+1, end
	}
	return s
}

func (m *matcher) fail(why string) int {
	if m.err == nil {
		m.err = errors.New(why)
		if m.budget.err != nil {
			m.err = m.budget.err
		}
	}
	return -1
}

// repeat matches a class with one of * + - ? behind it, which stands at end.
func (m *matcher) repeat(s, p, end int) int {
	rest := end + 1
	switch m.pat[end] {
	case '?':
		if m.single(s, p, end) {
			if r := m.match(s+1, rest); r >= 0 {
				return r
			}
		}
		return m.match(s, rest)
	case '-':
		for m.err == nil {
			if r := m.match(s, rest); r >= 0 {
				return r
			}
			if !m.single(s, p, end) {
				return -1
			}
			s++
		}
		return -1
	case '+':
		if !m.single(s, p, end) {
			return -1
		}
		s++
	}
	n := 0
	for m.single(s+n, p, end) {
		n++
	}
	m.budget.charge(n / 8)
	for ; n >= 0 && m.err == nil; n-- {
		if r := m.match(s+n, rest); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) open(s, p int) int {
	length, next := captureOpen, p+1
	if next < len(m.pat) && m.pat[next] == ')' {
		length, next = capturePosition, p+2
	}
	if len(m.caps) >= maxCaptures {
		return m.fail("too many captures")
	}
	m.caps = append(m.caps, capture{s, length})
	r := m.match(s, next)
	if r < 0 {
		m.caps = m.caps[:len(m.caps)-1]
	}
	return r
}

func (m *matcher) close(s, p int) int {
	for i := len(m.caps) - 1; i >= 0; i-- {
		if m.caps[i].length != captureOpen {
			continue
		}
		m.caps[i].length = s - m.caps[i].start
		r := m.match(s, p+1)
		if r < 0 {
			m.caps[i].length = captureOpen
		}
		return r
	}
	return m.fail("invalid pattern capture")
}

// balance matches %bxy.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		return m.fail("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	depth := 1
	for i := s + 1; i < len(m.src); i++ {
		switch m.src[i] {
		case m.pat[p+1]:
			if depth--; depth == 0 {
				m.budget.charge((i - s) / 8)
				return i + 1
			}
		case m.pat[p]:
			depth++
		}
	}
	m.budget.charge((len(m.src) - s) / 8)
	return -1
}

// frontier matches %f[set] and returns where the pattern goes on.
func (m *matcher) frontier(s, p int) (int, bool) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.fail("missing '[' after '%f' in pattern")
		return 0, false
	}
	end := m.classEnd(p)
	if m.err != nil {
		return 0, false
	}
	var before, here byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		here = m.src[s]
	}
	return end, !inSet(before, m.pat[p:end]) && inSet(here, m.pat[p:end])
}

// back matches what a capture holds once more.
func (m *matcher) back(s int, digit byte) int {
	i := int(digit - '1')
	if i < 0 || i >= len(m.caps) || m.caps[i].length < 0 {
		return m.fail("invalid capture index")
	}
	text := m.src[m.caps[i].start : m.caps[i].start+m.caps[i].length]
	m.budget.charge(len(text) / 8)
	if !strings.HasPrefix(m.src[s:], text) {
		return -1
	}
	return s + len(text)
}

// classEnd is where the single class at p ends.
func (m *matcher) classEnd(p int) int {
	switch m.pat[p] {
	case '%':
		if p+1 >= len(m.pat) {
			m.fail("malformed pattern (ends with '%')")
		}
		return p + 2
	case '[':
		i := p + 1
		if i < len(m.pat) && m.pat[i] == '^' {
			i++
		}
		for first := true; first || i >= len(m.pat) || m.pat[i] != ']'; first = false {
			if i >= len(m.pat) {
				m.fail("malformed pattern (missing ']')")
				return p + 1
			}
			if m.pat[i] == '%' {
				i++
			}
			i++
		}
		return i + 1
	}
	return p + 1
}

// single matches one character against the class at p.
func (m *matcher) single(s, p, end int) bool {
	if s >= len(m.src) {
		return false
	}
	c := m.src[s]
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return inSet(c, m.pat[p:end])
	}
	return c == m.pat[p]
}

// inSet tests a set such as [^a-z%d].
func inSet(c byte, set string) bool {
	body, wanted := set[1:len(set)-1], true
	if strings.HasPrefix(body, "^") {
		body, wanted = body[1:], false
	}
	for i := 0; i < len(body); i++ {
		switch {
		case body[i] == '%' && i+1 < len(body):
			i++
			if inClass(c, body[i]) {
				return wanted
			}
		case i+2 < len(body) && body[i+1] == '-':
			if body[i] <= c && c <= body[i+2] {
				return wanted
			}
			i += 2
		case body[i] == c:
			return wanted
		}
	}
	return !wanted
}

// classes are those of the manual; the upper-case letter is the complement.
var classes = map[byte]func(byte) bool{
	'a': isLetter,
	'c': func(c byte) bool { return c < ' ' || c == 0x7f },
	'd': isDigit,
	'l': func(c byte) bool { return 'a' <= c && c <= 'z' },
	'p': func(c byte) bool { return '!' <= c && c <= '~' && !isLetter(c) && !isDigit(c) },
	's': func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
	'u': func(c byte) bool { return 'A' <= c && c <= 'Z' },
	'w': func(c byte) bool { return isLetter(c) || isDigit(c) },
	'x': func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
	'z': func(c byte) bool { return c == 0 },
}

func inClass(c, class byte) bool {
	in, ok := classes[class|0x20]
	if !ok || !isLetter(class) {
		return c == class
	}
	return in(c) == (class|0x20 == class)
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// find looks for the pattern from init on and returns the bounds of the match.
func (m *matcher) find(init int) (start, end int) {
	anchored := strings.HasPrefix(m.pat, "^")
	p := 0
	if anchored {
		p = 1
	}
	for s := init; s <= len(m.src); s++ {
		m.caps = m.caps[:0]
		if e := m.match(s, p); e >= 0 {
			if slices.ContainsFunc(m.caps, func(c capture) bool { return c.length == captureOpen }) {
				m.fail("unfinished capture")
				break
			}
			return s, e
		}
		if anchored || m.err != nil {
			break
		}
	}
	return -1, -1
}
