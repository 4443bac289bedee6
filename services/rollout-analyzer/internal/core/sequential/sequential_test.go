package sequential

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// table prints the table of docs/analysis.md with many runs: go test ./internal/core/sequential -run Table -table -v
var table = flag.Bool("table", false, "print the table of the documentation")

// world is a canary beside its stable: requests per tick of both, shares of the canary as time goes on, rates of
// events.
type world struct {
	name           string
	perTick        float64
	shares         []float64 // equal parts of the time
	stable, canary float64
	ticks          int
	burst          float64 // share of ticks in which one version fails ten times as often
}

// poisson draws a number; for large means by its normal limit, which is close enough for counts of requests.
func poisson(r *rand.Rand, mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean > 200 {
		return max(0, math.Round(mean+math.Sqrt(mean)*r.NormFloat64()))
	}
	limit, n, p := math.Exp(-mean), 0.0, 1.0
	for {
		if p *= r.Float64(); p <= limit {
			return n
		}
		n++
	}
}

func (w world) tick(r *rand.Rand, t int) Counts {
	share := w.shares[min(len(w.shares)-1, t*len(w.shares)/w.ticks)]
	c := Counts{
		CanaryRequests: poisson(r, w.perTick*share), StableRequests: poisson(r, w.perTick*(1-share)),
	}
	canary, stable := w.canary, w.stable
	if r.Float64() < w.burst {
		if r.Float64() < share {
			canary *= 10
		} else {
			stable *= 10
		}
	}
	c.CanaryEvents = min(c.CanaryRequests, poisson(r, c.CanaryRequests*canary))
	c.StableEvents = min(c.StableRequests, poisson(r, c.StableRequests*stable))
	return c
}

// rule decides after each tick, given all so far; true aborts.
type rule func() func(c Counts) (abort, promote bool)

func eTest(d Design) rule {
	return func() func(Counts) (bool, bool) {
		var s State
		return func(c Counts) (bool, bool) {
			s = d.Add(s, c)
			v := d.Decide(s, 1)
			return v == Worse, v == Good
		}
	}
}

// zTest is a one-sided comparison of two proportions at 5 %, made again at every tick, as dashboards invite to.
func zTest() func(Counts) (bool, bool) {
	var s Counts
	return func(c Counts) (bool, bool) {
		s = s.plus(c)
		if s.CanaryRequests < 1 || s.StableRequests < 1 || s.CanaryEvents+s.StableEvents < 5 {
			return false, false
		}
		p := (s.CanaryEvents + s.StableEvents) / (s.CanaryRequests + s.StableRequests)
		se := math.Sqrt(p * (1 - p) * (1/s.CanaryRequests + 1/s.StableRequests))
		return (s.CanaryEvents/s.CanaryRequests-s.StableEvents/s.StableRequests)/se > 1.645, false
	}
}

// threshold is the usual metric: more than 5 % of the canary's requests of a tick failed.
func threshold() func(Counts) (bool, bool) {
	return func(c Counts) (bool, bool) {
		return c.CanaryRequests > 0 && c.CanaryEvents/c.CanaryRequests > 0.05, false
	}
}

// play returns the share of runs that aborted, that promoted early, and the median tick of an abort.
func (w world) play(seed uint64, runs int, by rule) (aborts, promotes float64, median int) {
	var when []int
	for run := range runs {
		r, decide := rand.New(rand.NewPCG(seed, uint64(run))), by()
		for t := range w.ticks {
			abort, promote := decide(w.tick(r, t))
			if abort {
				when = append(when, t+1)
				break
			}
			if promote {
				promotes++
				break
			}
		}
	}
	slices.Sort(when)
	if len(when) > 0 {
		median = when[len(when)/2]
	}
	return float64(len(when)) / float64(runs), promotes / float64(runs), median
}

func design(t *testing.T, d Design) Design {
	t.Helper()
	d, err := d.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A canary that is no worse than tolerated is aborted no more often than alpha says, at 180 looks, with shares that
// change, and with events in bursts. Three standard deviations are allowed for chance.
func TestFalseAbortsAreBounded(t *testing.T) {
	const runs = 300
	d := design(t, Design{Alpha: 0.05})
	most := 0.05 + 3*math.Sqrt(0.05*0.95/runs)
	for i, w := range []world{
		{name: "equal", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.005},
		{name: "steps", perTick: 2000, shares: []float64{0.05, 0.2, 0.5}, stable: 0.005, canary: 0.005},
		{name: "at the tolerance", perTick: 2000, shares: []float64{0.2}, stable: 0.01, canary: 0.011},
		{name: "few requests", perTick: 50, shares: []float64{0.1}, stable: 0.02, canary: 0.02},
		{name: "many events", perTick: 500, shares: []float64{0.5}, stable: 0.3, canary: 0.3},
		{name: "bursts", perTick: 2000, shares: []float64{0.2}, stable: 0.005, canary: 0.005, burst: 0.1},
	} {
		w.ticks = 180
		aborts, _, _ := w.play(uint64(i), runs, eTest(d))
		if aborts > most {
			t.Errorf("%s: %.3f of the runs aborted, more than %.3f", w.name, aborts, most)
		}
	}
}

// What is much worse is found, soon.
func TestRegressionsAreFound(t *testing.T) {
	d := design(t, Design{})
	for i, c := range []struct {
		world

		least  float64
		within int
	}{
		{world{name: "0.5 to 2 %", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.02}, 0.99, 12},
		{world{name: "0.5 to 5 %", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.05}, 0.99, 4},
		{world{name: "0.5 to 1 %", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.01}, 0.9, 80},
		{world{name: "all fail", perTick: 200, shares: []float64{0.5}, stable: 0.001, canary: 1}, 0.99, 3},
	} {
		c.ticks = 180
		found, _, median := c.play(uint64(100+i), 200, eTest(d))
		if found < c.least || median > c.within {
			t.Errorf("%s: %.2f found, in %d ticks", c.name, found, median)
		}
	}
}

func TestGoodCanariesArePromotedEarly(t *testing.T) {
	d := design(t, Design{PromoteBelow: 2})
	w := world{perTick: 2000, shares: []float64{0.5}, stable: 0.01, canary: 0.01, ticks: 180}
	_, promotes, _ := w.play(7, 200, eTest(d))
	if promotes < 0.95 {
		t.Errorf("%.2f promoted", promotes)
	}
	w.canary = 0.02 // at the bound
	_, promotes, _ = w.play(8, 200, eTest(design(t, Design{PromoteBelow: 2, Tolerance: 0.9})))
	if promotes > 0.01+3*math.Sqrt(0.01*0.99/200) {
		t.Errorf("%.2f promoted at the bound", promotes)
	}
}

// The order of ticks changes nothing, and a state that was written and read goes on as if it had not been.
func TestOrderAndStorageChangeNothing(t *testing.T) {
	d := design(t, Design{Independent: true})
	r := rand.New(rand.NewPCG(1, 2))
	w := world{perTick: 300, shares: []float64{0.1, 0.4}, stable: 0.01, canary: 0.02, ticks: 50}
	var ticks []Counts
	for i := range w.ticks {
		ticks = append(ticks, w.tick(r, i))
	}
	var there, back State
	for i := range ticks {
		there = d.Add(there, ticks[i])
		text, err := json.Marshal(d.Add(back, ticks[len(ticks)-1-i]))
		if err != nil || len(text) > 2048 {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		back = State{}
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
	}
	a, b := d.Read(there), d.Read(back)
	if math.Abs(math.Log(a.Worse/b.Worse)) > 1e-6 || math.Abs(a.Lower-b.Lower) > 1e-9 || there.Total != back.Total {
		t.Errorf("%+v\n%+v", a, b)
	}
	if a.Lower > a.Ratio || a.Upper < a.Ratio || a.Lower >= a.Upper {
		t.Errorf("the estimate is not within its bounds: %+v", a)
	}
}

func TestTooLittleIsNoVerdict(t *testing.T) {
	d := design(t, Design{})
	bad := Counts{CanaryRequests: 50, CanaryEvents: 50, StableRequests: 1000}
	s := d.Add(State{}, bad)
	if d.Decide(s, 1) != Undecided {
		t.Error("concluded from 50 requests")
	}
	if s = d.Add(d.Add(s, bad), bad); d.Decide(s, 1) != Worse {
		t.Errorf("not concluded from 150: %+v", d.Read(s))
	}
	loud := Counts{CanaryRequests: 500, CanaryEvents: 500, StableRequests: 500}
	if d.Decide(d.Add(State{}, loud), 1) != Undecided {
		t.Error("concluded from one tick")
	}
	for _, c := range []Counts{
		{}, {CanaryRequests: 10}, {CanaryRequests: math.NaN(), StableRequests: 1}, {StableRequests: -1},
	} {
		if got := d.Add(s, c); got.Ticks != s.Ticks {
			t.Errorf("%+v counted", c)
		}
	}
	few := d.Add(State{}, Counts{CanaryRequests: 1000, CanaryEvents: 9, StableRequests: 1e6})
	if d.Decide(few, 1) != Undecided {
		t.Error("concluded from 9 events")
	}
	if got := d.Decide(State{}, 1); got != Undecided {
		t.Errorf("concluded from nothing: %s", got)
	}
}

func TestDesignsThatCannotBe(t *testing.T) {
	for _, d := range []Design{
		{Alpha: 0.6}, {Alpha: -1}, {Tolerance: 10}, {PromoteBelow: 1.05}, {PromoteBelow: 100}, {MinEvents: math.NaN()},
	} {
		if _, err := d.WithDefaults(); err == nil {
			t.Errorf("%+v is taken", d)
		}
	}
}

func TestLatency(t *testing.T) {
	histogram := []Bucket{{0.1, 50}, {0.5, 90}, {1, 99}, {math.Inf(1), 100}}
	for quantile, want := range map[float64]float64{0.5: 0.1, 0.9: 0.5, 0.99: 1, 0.2: 0.1} {
		if got, ok := Threshold(histogram, quantile); !ok || got != want {
			t.Errorf("p%v: %v, %v", quantile*100, got, ok)
		}
	}
	if _, ok := Threshold(histogram, 0.999); ok {
		t.Error("a quantile beyond the last bucket has a threshold")
	}
	if _, ok := Threshold(nil, 0.5); ok {
		t.Error("nothing has a threshold")
	}
	if slower, all := Slower(histogram, 0.5); slower != 10 || all != 100 {
		t.Errorf("%v of %v", slower, all)
	}
	// A canary whose slow tail doubles is found by its exceedances of the stable's p90.
	d := design(t, Design{})
	w := world{perTick: 1000, shares: []float64{0.2}, stable: 0.1, canary: 0.2, ticks: 60}
	if found, _, median := w.play(3, 100, eTest(d)); found < 0.99 || median > 10 {
		t.Errorf("%.2f found, in %d ticks", found, median)
	}
}

// TestTable compares with what others do; the rows are those of docs/analysis.md.
func TestTable(t *testing.T) {
	runs := 60
	if *table {
		runs = 400
	}
	d := design(t, Design{})
	var out strings.Builder
	fmt.Fprintf(
		&out,
		"\n| case | sequential | z-test at every tick | more than 5 %% in a tick |\n|---|---|---|---|\n",
	)
	for i, w := range []world{
		{name: "no regression, 200 rps, 5 % canary", perTick: 2000,
			shares: []float64{0.05}, stable: 0.005, canary: 0.005},
		{name: "no regression, steps 5, 20, 50 %", perTick: 2000, shares: []float64{0.05, 0.2, 0.5}, stable: 0.005,
			canary: 0.005},
		{name: "no regression, 20 rps, 5 % canary", perTick: 200,
			shares: []float64{0.05}, stable: 0.005, canary: 0.005},
		{name: "0.5 to 1 %", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.01},
		{name: "0.5 to 2 %", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.02},
		{name: "0.5 to 5 %", perTick: 2000, shares: []float64{0.05}, stable: 0.005, canary: 0.05},
		{name: "0.5 to 2 %, 20 rps", perTick: 200, shares: []float64{0.05}, stable: 0.005, canary: 0.02},
	} {
		w.ticks = 180
		fmt.Fprintf(&out, "| %s |", w.name)
		var first float64
		for j, by := range []rule{eTest(d), zTest, threshold} {
			aborts, _, median := w.play(uint64(1000+i), runs, by)
			fmt.Fprintf(&out, " %.1f %%", 100*aborts)
			if aborts > 0 {
				fmt.Fprintf(&out, ", %d s", 10*median)
			}
			out.WriteString(" |")
			switch {
			case j == 0:
				first = aborts
			case j == 1 && w.canary == w.stable && aborts <= first:
				t.Errorf("%s: the z-test is not worse: %.2f", w.name, aborts)
			}
		}
		out.WriteString("\n")
		if w.canary == w.stable && first > 0.01+3*math.Sqrt(0.01*0.99/float64(runs)) {
			t.Errorf("%s: %.3f false aborts", w.name, first)
		}
	}
	t.Log(out.String())
}
