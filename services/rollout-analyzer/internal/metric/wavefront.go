package metric

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	wavefrontTime   = 30 * time.Second
	wavefrontSecret = "wavefront-api-tokens"
)

var wavefrontKind = asking(
	"wavefront",
	func(m v1alpha1.MetricProvider) bool { return m.Wavefront != nil },
	func(t *tools) Query { return wavefront{t}.query },
)

// wavefront asks the chart API. Result: the point nearest to now of the only series, or a list of one number for each
// series.
type wavefront struct{ *tools }

func (w wavefront) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Wavefront
	ctx, cancel := within(ctx, 0, wavefrontTime)
	defer cancel()
	if spec.Address == "" {
		return Outcome{}, errors.New("no address is given, such as example.wavefront.com")
	}
	p := w.profile(r, "", wavefrontSecret)
	token, err := p.need(ctx, spec.Address) // one Secret has the tokens of all addresses
	if err != nil {
		return Outcome{}, err
	}
	address := spec.Address
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	var a struct {
		Warnings   string `json:"warnings"`
		ErrorType  string `json:"errorType"`
		Error      string `json:"errorMessage"`
		TimeSeries []struct {
			Data [][2]float64 `json:"data"`
		} `json:"timeseries"`
	}
	c := call{
		method: http.MethodGet, url: join(address, "/api/v2/chart/api"),
		header: http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}},
		query: url.Values{
			"q": {spec.Query}, "g": {"s"}, "strict": {"true"}, "i": {"false"},
			"s": {strconv.FormatInt(r.Now.Add(-time.Minute).UnixMilli(), 10)},
			"e": {strconv.FormatInt(r.Now.UnixMilli(), 10)},
		},
	}
	if err := w.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	if a.Error != "" {
		return Outcome{}, fmt.Errorf("%s: %s: %s", hostOf(c.url), a.ErrorType, excerpt([]byte(a.Error)))
	}
	var values []float64
	var at, drift []string
	for _, s := range a.TimeSeries {
		if len(s.Data) == 0 {
			continue
		}
		nearest := s.Data[0]
		for _, point := range s.Data {
			if math.Abs(point[0]-float64(r.Now.Unix())) <= math.Abs(nearest[0]-float64(r.Now.Unix())) {
				nearest = point
			}
		}
		values = append(values, nearest[1])
		at = append(at, strconv.FormatInt(int64(nearest[0]), 10))
		drift = append(drift, strconv.FormatInt(r.Now.Unix()-int64(nearest[0]), 10))
	}
	if len(values) == 0 {
		return Outcome{}, fmt.Errorf("%s: no data points", hostOf(c.url))
	}
	if len(values) > maxValues {
		return Outcome{}, fmt.Errorf("the query gives more than %d series", maxValues)
	}
	meta := map[string]string{"timestamps": strings.Join(at, ","), "drift": strings.Join(drift, ",")}
	if a.Warnings != "" {
		meta["warnings"] = a.Warnings
	}
	if len(values) == 1 {
		return Outcome{Result: values[0], Text: number(values[0]), Metadata: meta}, nil
	}
	return Outcome{Result: values, Text: numbers(values), Metadata: meta}, nil
}
