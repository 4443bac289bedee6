// Package sequential compares a canary with its stable version while both serve, and may be asked at any time.
//
// Promise: pure, and valid at any number of looks: a canary whose rate of events is at most 1 + tolerance times that
// of the stable is called worse with probability of at most alpha, however often, and for however long, one looks,
// and however its share of the requests changes. Two numbers per version and tick are all that is needed; the order
// of ticks does not matter.
//
// How: given the share ρ of the requests that went to the canary, an event is the canary's with probability θ(r) = ρr
// / (1 − ρ + ρr) when the canary has r times the stable's rate of events. The likelihood of a grid of ratios r is
// kept. The mean, over the ratios above 1 + tolerance, of their likelihood divided by that of 1 + tolerance is an
// e-process: by Ville's inequality it ever exceeds 1/alpha with probability of at most alpha. The same, turned round,
// bounds the ratio from above, which is what promotes early. Where events come in bursts, as when one pod fails all
// its requests for a tick, no tick alone is enough for a verdict against the canary, and evidence is divided by how
// much more events scatter than independent ones would. This guard is a rule of thumb; the rest is a theorem.
//
// An event is whatever is counted: a failed request, or one slower than a quantile of the stable.
//
// Source: Lindon, Malek, "Anytime-Valid Inference for Multinomial Count Data" (2022); Ville (1939).
package sequential

import (
	"fmt"
	"math"
	"slices"
)

// Defaults of a [Design].
const (
	DefaultAlpha        = 0.01
	DefaultTolerance    = 0.1
	DefaultPromoteBelow = 1.5
	DefaultMinEvents    = 10
	DefaultMinRequests  = 100
)

const (
	// maxRatio is the largest ratio that is told apart, and 1/maxRatio the smallest.
	maxRatio = 20
	// gridSize is how many ratios are kept, evenly spaced by their logarithm.
	gridSize = 41
	// burstTicks is from how many ticks with events on scatter is judged.
	burstTicks = 10
	// tickShare is how much of the evidence that is needed one tick may give.
	tickShare = 0.75
)

// Design is what is asked. The zero value asks with the defaults.
type Design struct {
	// Alpha bounds the probability of an abort of a canary that is not worse; between 0 and 0.5.
	Alpha float64
	// Tolerance is how much worse than the stable is good enough: 0.1 is ten percent.
	Tolerance float64
	// PromoteBelow is the ratio that the canary must be shown to be below for an early end; above 1 + Tolerance.
	PromoteBelow float64
	// MinEvents are the events of both versions before anything is concluded against the canary.
	MinEvents float64
	// MinRequests are those that the canary must have served before anything is concluded.
	MinRequests float64
	// Independent says that events do not come in bursts, so that scatter is not looked at.
	Independent bool
}

// WithDefaults fills in what is zero, and reports what cannot be.
func (d Design) WithDefaults() (Design, error) {
	fill := func(v *float64, fallback float64) {
		if *v == 0 {
			*v = fallback
		}
	}
	fill(&d.Alpha, DefaultAlpha)
	fill(&d.Tolerance, DefaultTolerance)
	fill(&d.PromoteBelow, max(DefaultPromoteBelow, 1+2*d.Tolerance))
	fill(&d.MinEvents, DefaultMinEvents)
	fill(&d.MinRequests, DefaultMinRequests)
	for _, v := range []float64{d.Alpha, d.Tolerance, d.PromoteBelow, d.MinEvents, d.MinRequests} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return d, fmt.Errorf("a number of the design is %v", v)
		}
	}
	switch {
	case d.Alpha > 0.5:
		return d, fmt.Errorf("alpha: %v is not between 0 and 0.5", d.Alpha)
	case 1+d.Tolerance >= maxRatio/2:
		return d, fmt.Errorf("tolerance: %v is too large to tell versions apart", d.Tolerance)
	case d.PromoteBelow <= 1+d.Tolerance || d.PromoteBelow > maxRatio:
		return d, fmt.Errorf("promoteBelow: %v is not between %v and %v", d.PromoteBelow, 1+d.Tolerance, maxRatio)
	}
	return d, nil
}

// Counts are the requests and events of both versions in a tick, or in many.
type Counts struct {
	CanaryRequests float64 `json:"cr"`
	CanaryEvents   float64 `json:"ce"`
	StableRequests float64 `json:"sr"`
	StableEvents   float64 `json:"se"`
}

func (c Counts) plus(o Counts) Counts {
	return Counts{
		c.CanaryRequests + o.CanaryRequests, c.CanaryEvents + o.CanaryEvents, c.StableRequests + o.StableRequests,
		c.StableEvents + o.StableEvents,
	}
}

// usable reports whether a tick says anything. What cannot be, such as a NaN of a metric system, says nothing.
func (c Counts) usable() bool {
	for _, v := range []float64{c.CanaryRequests, c.CanaryEvents, c.StableRequests, c.StableEvents} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return false
		}
	}
	return c.CanaryRequests > 0 && c.StableRequests > 0
}

// State is what is known so far. The zero value knows nothing. It can be written as JSON and read again.
type State struct {
	// LogLikelihood is that of each ratio of the grid, up to a constant.
	LogLikelihood []float64 `json:"ll,omitempty"`
	// Total are the counts of all usable ticks.
	Total Counts `json:"total"`
	// Ticks are the usable ones.
	Ticks int `json:"ticks,omitempty"`
	// Excess is by how much single ticks spoke louder against the canary than one may, as a logarithm.
	Excess float64 `json:"excess,omitempty"`
	// Bursts and BurstTicks are the sum of the scatter of ticks with events, and their number.
	Bursts     float64 `json:"bursts,omitempty"`
	BurstTicks int     `json:"burstTicks,omitempty"`
}

// grid are the ratios whose likelihood is kept: evenly spaced, then the two that decisions are made at.
func (d Design) grid() []float64 {
	out := make([]float64, 0, gridSize+2)
	for i := range gridSize {
		out = append(out, math.Exp(math.Log(maxRatio)*(2*float64(i)/(gridSize-1)-1)))
	}
	return append(out, 1+d.Tolerance, d.PromoteBelow)
}

// theta is the probability that an event is the canary's.
func theta(share, ratio float64) float64 { return share * ratio / (1 - share + share*ratio) }

// Add returns the state after a tick. d has its defaults.
func (d Design) Add(s State, c Counts) State {
	if !c.usable() {
		return s
	}
	c.CanaryEvents, c.StableEvents = min(c.CanaryEvents, c.CanaryRequests), min(c.StableEvents, c.StableRequests)
	grid := d.grid()
	if len(s.LogLikelihood) != len(grid) {
		s.LogLikelihood = make([]float64, len(grid))
	} else {
		s.LogLikelihood = slices.Clone(s.LogLikelihood)
	}
	share, tick := c.CanaryRequests/(c.CanaryRequests+c.StableRequests), make([]float64, len(grid))
	for k, ratio := range grid {
		p := theta(share, ratio)
		tick[k] = c.CanaryEvents*math.Log(p) + c.StableEvents*math.Log1p(-p)
		s.LogLikelihood[k] += tick[k]
	}
	s.Excess += max(0, slices.Max(tick[:gridSize])-tick[gridSize]-tickShare*math.Log(1/d.Alpha))
	s.Total = s.Total.plus(c)
	s.Ticks++
	if n := c.CanaryEvents + c.StableEvents; n > 0 {
		p := theta(share, s.ratio()) // not bounded: what is far beyond the grid does not scatter for that
		s.Bursts += (c.CanaryEvents - n*p) * (c.CanaryEvents - n*p) / (n * p * (1 - p))
		s.BurstTicks++
	}
	return s
}

// Ratio is the estimate of how many times the canary's rate of events is that of the stable; half an event is added
// to each, so that there always is one. It is bounded as the grid is.
func (s State) Ratio() float64 { return min(max(s.ratio(), 1.0/maxRatio), maxRatio) }

func (s State) ratio() float64 {
	if s.Total.CanaryRequests == 0 || s.Total.StableRequests == 0 {
		return 1
	}
	canary := (s.Total.CanaryEvents + 0.5) / (s.Total.CanaryRequests + 0.5)
	stable := (s.Total.StableEvents + 0.5) / (s.Total.StableRequests + 0.5)
	return canary / stable
}

// Scatter is how much more the events scatter over the ticks than independent ones would, at least 1.
func (s State) Scatter() float64 {
	if s.BurstTicks < burstTicks {
		return 1
	}
	return max(1, s.Bursts/float64(s.BurstTicks))
}

// Reading is what can be said now.
type Reading struct {
	// Worse is the e-value against "the canary is at most 1 + tolerance times as bad"; Good is that against "it is at
	// least promoteBelow times as bad". Each is a bet: 100 is won by chance once in 100 times.
	Worse, Good float64
	// Ratio is the estimate, Lower and Upper bound it at all times with probability 1 − alpha.
	Ratio, Lower, Upper float64
	// Scatter is that of [State.Scatter].
	Scatter float64
}

// PValue is one that is valid at any time.
func (r Reading) PValue() float64 { return min(1, 1/r.Worse) }

// Read returns what can be said of a state.
func (d Design) Read(s State) Reading {
	grid := d.grid()
	out := Reading{Worse: 1, Good: 1, Ratio: s.Ratio(), Lower: 0, Upper: math.Inf(1), Scatter: 1}
	if len(s.LogLikelihood) != len(grid) {
		return out
	}
	if !d.Independent {
		out.Scatter = s.Scatter()
	}
	ll := make([]float64, len(grid))
	for k := range ll {
		ll[k] = s.LogLikelihood[k] / out.Scatter
	}
	spaced := ll[:gridSize]
	tolerated, promoted := ll[gridSize], ll[gridSize+1]
	excess := s.Excess / out.Scatter
	if d.Independent {
		excess = 0
	}
	out.Worse = mean(grid, spaced, tolerated+excess, func(ratio float64) bool { return ratio > 1+d.Tolerance })
	out.Good = mean(grid, spaced, promoted, func(ratio float64) bool { return ratio < d.PromoteBelow })
	for k := range gridSize {
		if mean(grid, spaced, ll[k], func(float64) bool { return true }) < 1/d.Alpha {
			if out.Lower == 0 && k > 0 {
				out.Lower = grid[k-1]
			}
			out.Upper = math.Inf(1)
			if k < gridSize-1 {
				out.Upper = grid[k+1]
			}
		}
	}
	return out
}

// mean is the mean, over ratios of the grid, of their likelihood divided by another.
func mean(grid, ll []float64, against float64, of func(ratio float64) bool) float64 {
	sum, n := 0.0, 0
	for k, v := range ll {
		if of(grid[k]) {
			sum += math.Exp(min(v-against, 700)) // beyond is beyond any doubt, and no number
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// Verdict is a conclusion.
type Verdict string

// The conclusions. Undecided is the one of most looks.
const (
	Undecided Verdict = "undecided"
	Worse     Verdict = "worse"
	Good      Verdict = "good"
)

// Decide concludes. tests is how many tests there are side by side: alpha is shared among them, so that together they
// are wrong no more often than one.
func (d Design) Decide(s State, tests int) Verdict {
	if s.Total.CanaryRequests < d.MinRequests {
		return Undecided
	}
	r, limit := d.Read(s), float64(max(tests, 1))/d.Alpha
	switch {
	case r.Worse >= limit && s.Total.CanaryEvents+s.Total.StableEvents >= d.MinEvents:
		return Worse
	case r.Good >= limit:
		return Good
	}
	return Undecided
}
