package bench

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Spread is what is told of a number of samples.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// SpreadOf sums samples up; of none it is the zero value.
func SpreadOf(samples []float64) Spread {
	if len(samples) == 0 {
		return Spread{}
	}
	return Spread{Median: Median(samples), Min: slices.Min(samples), Max: slices.Max(samples), N: len(samples)}
}

// Once is the spread of a figure that was measured once.
func Once(value float64) Spread { return SpreadOf([]float64{value}) }

// String is "median [min-max]", or only the value where there is one sample.
func (s Spread) String() string {
	switch s.N {
	case 0:
		return "-"
	case 1:
		return digits(s.Median)
	}
	return fmt.Sprintf("%s [%s-%s]", digits(s.Median), digits(s.Min), digits(s.Max))
}

// Median is the middle sample, or the mean of the two in the middle; NaN of none.
func Median(samples []float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile is the nearest-rank percentile for 0 < p <= 100; NaN of no samples.
func Percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Ratio prints value as a share of floor: "1.07x", or "-" without a floor.
func Ratio(value, floor Spread) string {
	if floor.N == 0 || value.N == 0 || floor.Median == 0 {
		return "-"
	}
	return strconv.FormatFloat(value.Median/floor.Median, 'f', 2, 64) + "x"
}

// digits keeps three significant digits, and all of those before the point.
func digits(v float64) string {
	switch {
	case math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
