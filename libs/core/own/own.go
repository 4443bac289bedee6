// Package own decides which replica works on an object.
//
// Rendezvous hashing: every member scores every key, the highest score owns it.
// A member that joins or leaves moves only its own share. Ownership is an
// optimisation; two replicas that disagree for a moment must do no harm.
package own

import (
	"hash/fnv"
)

// Owner returns the member that owns key, or "" when there is none. Ties are
// broken by name, so that the order of members does not matter.
func Owner(key string, members []string) string {
	var owner string
	var best uint64
	for _, m := range members {
		s := score(key, m)
		if owner == "" || s > best || (s == best && m < owner) {
			owner, best = m, s
		}
	}
	return owner
}

func score(key, member string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(member))
	h.Write([]byte{0})
	h.Write([]byte(key))
	// FNV alone leaves the high bits of short inputs correlated; one round of
	// the splitmix64 finaliser spreads them.
	x := h.Sum64()
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
