package bench

import "testing"

func TestTurnsAreToldBesideThePeerAndTheBus(t *testing.T) {
	all := []*contender{{name: "new"}, {name: "old"}, {name: "peer", peer: true}}
	of := func(rate, p99, cpu float64) turns {
		return turns{
			rates: []float64{rate}, p50s: []float64{1}, p99s: []float64{p99}, cpu: []float64{cpu}, busCPU: []float64{1},
			resides: []float64{1},
		}
	}
	figures := tellTurns(
		"load", all, []turns{of(2500, 4, 50), of(1500, 9, 90), of(1000, 5, 200)}, of(5000, 1, 0), judgedAt,
	)
	verdicts := map[string]string{}
	for _, f := range figures {
		if v := f.Verdict(); v != "" {
			verdicts[f.Job] = v
		}
	}
	want := map[string]string{
		"load, rate of new": "met", "load, p99 of new": "met",
		"load, CPU a hook of new beside old": "short of aim", "load, rate of new beside the bus alone": "short of aim",
	}
	if len(verdicts) != len(want) {
		t.Errorf("%v", verdicts)
	}
	for job, verdict := range want {
		if verdicts[job] != verdict {
			t.Errorf("%s: %q, want %q", job, verdicts[job], verdict)
		}
	}
}
