package core

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep a body may nest. Whatever reads it later (filters, scripts,
// templates) recurses; hooks of the known senders stay under 20.
const maxDepth = 200

// few is up to how many keys of an object are compared with each other; beyond it
// they go into a set.
const few = 48

// scan reads JSON once and notes what encoding/json would read in silence but
// other readers would not read alike: keys that come twice.
type scan struct {
	text     []byte
	at       int
	twice    bool
	reserved []string // keys that the outermost object must not hold
	taken    bool     // it does
	fields   fields
}

// pushKeys are the keys of the outermost object that say what a push did. Where their values are is noted as a body is
// read, so that it need not be read again for them.
var pushKeys = [...]string{"ref", "after", "deleted", "repository", "head_commit"}

// fields are the values of pushKeys; what is not there is nil.
type fields [len(pushKeys)][]byte

// jsonText is what is known of a body.
type jsonText struct {
	// Object tells that it is one.
	Object bool
	// Odd tells that readers may differ over it: keys that come twice, text that is not UTF-8, a reserved key, or
	// space around it. It must be written anew before it is passed on.
	Odd bool

	fields fields // of an object; where it is odd they may not be what readers read
}

// inspect checks that text is one JSON value.
func inspect(text []byte, reserved ...string) (jsonText, error) {
	s := scan{text: text, reserved: reserved}
	s.space()
	begin := s.at
	if err := s.value(0); err != nil {
		return jsonText{}, err
	}
	end := s.at
	s.space()
	if s.at != len(text) {
		return jsonText{}, s.bad("something follows the value")
	}
	return jsonText{
		Object: text[begin] == '{',
		Odd:    s.twice || s.taken || begin != 0 || end != len(text) || !utf8.Valid(text),
		fields: s.fields,
	}, nil
}

func (s *scan) bad(why string) error { return fmt.Errorf("%s at byte %d", why, s.at) }

func (s *scan) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scan) value(depth int) error {
	if depth > maxDepth {
		return s.bad(fmt.Sprintf("it is nested over %d deep", maxDepth))
	}
	if s.at >= len(s.text) {
		return s.bad("it ends too early")
	}
	switch c := s.text[s.at]; {
	case c == '{':
		return s.object(depth)
	case c == '[':
		return s.list(depth)
	case c == '"':
		_, err := s.quoted()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.at:], []byte(word)) {
			s.at += len(word)
			return nil
		}
	}
	return s.bad("no value begins like this")
}

func (s *scan) object(depth int) error {
	var keys keySet
	s.at++
	s.space()
	if s.next('}') {
		return nil
	}
	for {
		if s.at >= len(s.text) || s.text[s.at] != '"' {
			return s.bad("a key is expected")
		}
		key, err := s.quoted()
		if err != nil {
			return err
		}
		key = s.note(&keys, key, depth)
		s.space()
		if !s.next(':') {
			return s.bad("a colon is expected")
		}
		s.space()
		begin := s.at
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if depth == 0 {
			s.fields.note(key, s.text[begin:s.at])
		}
		s.space()
		if s.next('}') {
			return nil
		}
		if !s.next(',') {
			return s.bad("a comma or brace is expected")
		}
		s.space()
	}
}

func (f *fields) note(key, value []byte) {
	for i, name := range pushKeys {
		if string(key) == name {
			f[i] = value
		}
	}
}

// note remembers a key and returns it without escapes.
func (s *scan) note(keys *keySet, key []byte, depth int) []byte {
	if bytes.IndexByte(key, '\\') >= 0 {
		var plain string
		if json.Unmarshal(append(append([]byte{'"'}, key...), '"'), &plain) == nil {
			key = []byte(plain)
		}
	}
	s.twice = keys.add(key) || s.twice
	if depth > 0 {
		return key
	}
	for _, name := range s.reserved {
		s.taken = s.taken || string(key) == name
	}
	return key
}

// keySet are the keys of one object so far.
type keySet struct {
	short [][]byte
	long  map[string]bool
	room  [8][]byte // most objects have no more
}

// add reports whether the key was there.
func (k *keySet) add(key []byte) bool {
	if k.long != nil {
		known := k.long[string(key)]
		k.long[string(key)] = true
		return known
	}
	for _, other := range k.short {
		if bytes.Equal(other, key) {
			return true
		}
	}
	if k.short == nil {
		k.short = k.room[:0]
	}
	k.short = append(k.short, key)
	if len(k.short) > few {
		k.long = make(map[string]bool, 2*few)
		for _, other := range k.short {
			k.long[string(other)] = true
		}
	}
	return false
}

func (s *scan) list(depth int) error {
	s.at++
	s.space()
	if s.next(']') {
		return nil
	}
	for {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.space()
		if s.next(']') {
			return nil
		}
		if !s.next(',') {
			return s.bad("a comma or bracket is expected")
		}
		s.space()
	}
}

func (s *scan) next(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// quoted returns what stands between the quotes, escapes and all.
func (s *scan) quoted() ([]byte, error) {
	s.at++
	begin := s.at
	for s.at < len(s.text) {
		s.at += unescaped(s.text[s.at:])
		if s.at == len(s.text) {
			break
		}
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[begin : s.at-1], nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.bad("a string holds a control character")
		default:
			s.at++
		}
	}
	return nil, s.bad("a string does not end")
}

// unescaped is how many bytes of a string, from its beginning, are neither its end nor an escape nor a control
// character. Eight are looked at together: subtracting borrows from the highest bit of a byte that is too small, and a
// byte that is looked for is 0 when it is taken away. The lowest that is found is always right.
func unescaped(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(text)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(text[n:])
		control := (w - ones*' ') & ^w
		quote, slash := w^ones*'"', w^ones*'\\'
		if found := (control | (quote-ones)&^quote | (slash-ones)&^slash) & highs; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(text) && text[n] >= ' ' && text[n] != '"' && text[n] != '\\' {
		n++
	}
	return n
}

func (s *scan) escape() error {
	s.at++
	if s.at >= len(s.text) {
		return s.bad("a string does not end")
	}
	c := s.text[s.at]
	if c != 'u' {
		if strings.IndexByte(`"\/bfnrt`, c) < 0 {
			return s.bad("an escape is unknown")
		}
		s.at++
		return nil
	}
	if len(s.text)-s.at < 5 {
		return s.bad("a string does not end")
	}
	if _, err := strconv.ParseUint(string(s.text[s.at+1:s.at+5]), 16, 16); err != nil {
		return s.bad("an escape is not four hex digits")
	}
	s.at += 5
	return nil
}

func (s *scan) number() error {
	s.next('-')
	if !s.next('0') && !s.digits() {
		return s.bad("a digit is expected")
	}
	if s.next('.') && !s.digits() {
		return s.bad("a digit is expected")
	}
	if s.next('e') || s.next('E') {
		if !s.next('+') {
			s.next('-')
		}
		if !s.digits() {
			return s.bad("a digit is expected")
		}
	}
	return nil
}

func (s *scan) digits() bool {
	begin := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > begin
}

// rewritten writes an odd text so that all readers read the same: of keys that
// come twice the last one counts, as encoding/json has it; numbers keep their
// digits; what is not UTF-8 becomes U+FFFD.
func rewritten(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body cannot be read: %v", err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body cannot be encoded again: %v", err)
	}
	return out, nil
}

// without drops keys of an object.
func without(text []byte, keys ...string) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not a JSON object: %v", err)
	}
	for _, key := range keys {
		delete(object, key)
	}
	return encoded(object), nil
}
