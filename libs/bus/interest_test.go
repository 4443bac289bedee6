package bus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// matches is the rule of NATS, one filter at a time.
func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(f) == len(s)
}

func TestInterestFindsWhatTheRuleSays(t *testing.T) {
	token := func(wild bool) string {
		n := rand.N(5)
		if wild && n == 0 {
			return "*"
		}
		return string(rune('a' + n))
	}
	for range 200 {
		var x interest[string]
		wants := map[string]string{}
		for v := range 30 {
			var parts []string
			for range 1 + rand.N(4) {
				parts = append(parts, token(true))
			}
			if rand.N(4) == 0 {
				parts = append(parts, ">")
			}
			name := fmt.Sprint(v)
			wants[name] = strings.Join(parts, ".")
			x.add(wants[name], name)
		}
		for name, filter := range wants {
			if rand.N(3) == 0 {
				x.remove(filter, name)
				delete(wants, name)
			}
		}
		for range 50 {
			parts := make([]string, 1+rand.N(4))
			for i := range parts {
				parts[i] = token(false)
			}
			subject := strings.Join(parts, ".")
			var want, got []string
			for name, filter := range wants {
				if matches(filter, subject) {
					want = append(want, name)
				}
			}
			x.match(subject, func(v string) { got = append(got, v) })
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Fatalf("%s: got %v, want %v of %v", subject, got, want, wants)
			}
		}
		for name, filter := range wants {
			x.remove(filter, name)
		}
		if !x.root.empty() {
			t.Fatalf("something is left: %+v", x.root)
		}
	}
}
