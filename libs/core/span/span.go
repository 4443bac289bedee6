// Package span computes with durations that manifests give. What would overflow is the longest duration there is, never
// a negative one: time.Duration ends at 292 years, and a backoff that doubles gets there in sixty steps.
package span

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Longest is the longest duration.
const Longest = time.Duration(math.MaxInt64)

// Seconds is a number of seconds.
func Seconds[N ~int | ~int32 | ~int64](n N) time.Duration { return Times(time.Second, float64(n)) }

// Times is d times factor. A factor that is no number counts as 0.
func Times(d time.Duration, factor float64) time.Duration {
	switch product := float64(d) * factor; {
	case math.IsNaN(product):
		return 0
	case product >= math.MaxInt64:
		return Longest
	case product <= math.MinInt64:
		return -Longest
	default:
		return time.Duration(product)
	}
}

// Parse reads seconds, or a duration as Go writes it. Source: Argo Workflows takes both everywhere.
func Parse(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Seconds(seconds), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is neither seconds nor a duration such as 1m30s", text)
	}
	return d, nil
}
