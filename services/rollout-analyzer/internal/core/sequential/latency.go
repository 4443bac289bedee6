package sequential

import (
	"cmp"
	"slices"
)

// Bucket is one of a histogram: how many requests took at most Most.
type Bucket struct {
	Most  float64
	Count float64
}

// Threshold is the upper end of the first bucket that holds a quantile of a histogram whose buckets count all that is
// below them; false when it is beyond the last one, or when nothing was counted. A threshold must come from ticks
// before those that it is applied to.
func Threshold(buckets []Bucket, quantile float64) (float64, bool) {
	sorted := ordered(buckets)
	if len(sorted) == 0 || sorted[len(sorted)-1].Count <= 0 {
		return 0, false
	}
	total := sorted[len(sorted)-1].Count
	for _, b := range sorted[:len(sorted)-1] {
		if b.Count >= quantile*total {
			return b.Most, true
		}
	}
	return 0, false
}

// Slower is how many of all requests of a histogram took longer than a threshold of it.
func Slower(buckets []Bucket, threshold float64) (slower, all float64) {
	sorted := ordered(buckets)
	if len(sorted) == 0 {
		return 0, 0
	}
	all = sorted[len(sorted)-1].Count
	for _, b := range sorted {
		if b.Most >= threshold {
			return max(0, all-b.Count), all
		}
	}
	return 0, all
}

func ordered(buckets []Bucket) []Bucket {
	out := slices.Clone(buckets)
	slices.SortFunc(out, func(a, b Bucket) int { return cmp.Compare(a.Most, b.Most) })
	return out
}
