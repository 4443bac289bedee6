package bench

import (
	"math"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    float64
	}{
		{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(c.samples); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.samples, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestPercentile(t *testing.T) {
	var hundred []float64
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, float64(i))
	}
	for _, c := range []struct {
		samples []float64
		p, want float64
	}{
		{hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100}, {hundred, 0.1, 1},
		{[]float64{7}, 99, 7}, {[]float64{2, 1}, 50, 1}, {[]float64{2, 1}, 51, 2},
	} {
		if got := Percentile(c.samples, c.p); got != c.want {
			t.Errorf("Percentile(%d samples, %v) = %v, want %v", len(c.samples), c.p, got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the samples were put into order in place")
	}
	if !math.IsNaN(Percentile(nil, 50)) {
		t.Error("a percentile of nothing is a number")
	}
}

func TestSpreadAndRatio(t *testing.T) {
	for _, c := range []struct {
		value, floor  Spread
		spread, ratio string
	}{
		{SpreadOf([]float64{10, 11, 10.5}), SpreadOf([]float64{10}), "10.5 [10.0-11.0]", "1.05x"},
		{Once(0.1234), Once(0), "0.12", "-"},
		{Once(6000.4), Once(43000), "6000", "0.14x"},
		{Spread{}, Once(1), "-", "-"},
		{Once(1), Spread{}, "1.00", "-"},
	} {
		if got := c.value.String(); got != c.spread {
			t.Errorf("spread %+v prints %q, want %q", c.value, got, c.spread)
		}
		if got := Ratio(c.value, c.floor); got != c.ratio {
			t.Errorf("Ratio(%v, %v) = %q, want %q", c.value, c.floor, got, c.ratio)
		}
	}
}

func TestAims(t *testing.T) {
	for _, c := range []struct {
		name   string
		figure Figure
		want   string
	}{
		{"within the floor's share", Figure{Value: Once(10.9), Floor: Once(10), Aim: OverFloor(10)}, "met"},
		{"over the floor's share", Figure{Value: Once(11.1), Floor: Once(10), Aim: OverFloor(10)}, "short of aim"},
		{"fast enough", Figure{Value: Once(6001), Aim: AtLeast(6000, "/s")}, "met"},
		{"too slow", Figure{Value: Once(5999), Aim: AtLeast(6000, "/s")}, "short of aim"},
		{"small enough", Figure{Value: Once(59), Aim: Under(60, "MiB")}, "met"},
		{"exactly the limit", Figure{Value: Once(60), Aim: Under(60, "MiB")}, "short of aim"},
		{"no aim", Figure{Value: Once(60)}, ""},
		{"no floor to judge by", Figure{Value: Once(60), Aim: OverFloor(10)}, ""},
	} {
		if got := c.figure.Verdict(); got != c.want {
			t.Errorf("%s: verdict %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	err := Write(
		&out,
		"text",
		[]Figure{
			{Job: "chain", Unit: "s", Value: SpreadOf([]float64{10, 12, 11}), Floor: Once(10), Aim: OverFloor(10)},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| chain", "11.0 [10.0-12.0] s", "10.0 s", "1.10x", "floor + 10 %", "met"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := Write(&out, "json", []Figure{{Job: "chain", Unit: "s", Value: Once(1), Aim: Under(2, "s")}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"verdict": "met"`) {
		t.Errorf("no verdict in %s", out.String())
	}
	if err := Write(&out, "xml", nil); err == nil {
		t.Error("an unknown format was taken")
	}
}
