package metric

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	cloudWatchTime     = 30 * time.Second
	cloudWatchInterval = 5 * time.Minute
	cloudWatchVersion  = "2010-08-01"
)

var cloudWatchKind = asking(
	"cloudWatch",
	func(m v1alpha1.MetricProvider) bool { return m.CloudWatch != nil },
	func(t *tools) Query { return cloudWatch{http: t.http, region: ownRegion, endpoint: ownEndpoint}.query },
)

// cloudWatch asks GetMetricData by the identity of the analyzer. Result: a list of maps with Id, Label, StatusCode,
// Values and Timestamps, as result[0].Values[0].
type cloudWatch struct {
	http     *asker
	region   func(context.Context) (string, error)
	endpoint func(region string) string
}

func ownRegion(ctx context.Context) (string, error) {
	cfg, err := amazon.Config(ctx, amazon.Access{})
	if err != nil {
		return "", err
	}
	if cfg.Region == "" {
		return "", errors.New("no region of AWS is known: set AWS_REGION of the analyzer")
	}
	return cfg.Region, nil
}

// ownEndpoint is where a region is asked; the variables are those of AWS's own tools.
func ownEndpoint(region string) string {
	for _, name := range []string{"AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL"} {
		if address := os.Getenv(name); address != "" {
			return address
		}
	}
	return "https://monitoring." + region + ".amazonaws.com/"
}

type cloudWatchAnswer struct {
	Results []struct {
		ID         string    `xml:"Id"`
		Label      string    `xml:"Label"`
		Status     string    `xml:"StatusCode"`
		Values     []float64 `xml:"Values>member"`
		Timestamps []string  `xml:"Timestamps>member"`
	} `xml:"GetMetricDataResult>MetricDataResults>member"`
}

func (w cloudWatch) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.CloudWatch
	back, err := timeout(spec.Interval, cloudWatchInterval)
	if err != nil {
		return Outcome{}, fmt.Errorf("interval: %w", err)
	}
	form, err := cloudWatchForm(spec, r.Now.Add(-back), r.Now)
	if err != nil {
		return Outcome{}, err
	}
	ctx, cancel := within(ctx, 0, cloudWatchTime)
	defer cancel()
	region, err := w.region(ctx)
	if err != nil {
		return Outcome{}, err
	}
	c := call{
		method: http.MethodPost, url: w.endpoint(region), body: []byte(form.Encode()), signed: "monitoring",
		kind: "application/x-www-form-urlencoded; charset=utf-8",
		auth: v1alpha1.Authentication{SigV4: v1alpha1.Sigv4Config{Region: region}},
	}
	status, body, err := w.http.send(ctx, r.Hidden, c)
	if err != nil {
		return Outcome{}, err
	}
	host := hostOf(c.url)
	if status != http.StatusOK {
		var refused struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		if xml.Unmarshal(body, &refused) == nil && refused.Code != "" {
			return Outcome{}, fmt.Errorf(
				"%s: status %d: %s: %s", host, status, refused.Code, excerpt([]byte(refused.Message)),
			)
		}
		return Outcome{}, fmt.Errorf("%s: status %d: %s", host, status, excerpt(body))
	}
	var a cloudWatchAnswer
	if err := xml.Unmarshal(body, &a); err != nil {
		return Outcome{}, fmt.Errorf("%s: the answer is not that of CloudWatch: %s", host, excerpt(body))
	}
	return a.outcome(host)
}

func (a cloudWatchAnswer) outcome(host string) (Outcome, error) {
	list, total := make([]map[string]any, len(a.Results)), 0
	for i, one := range a.Results {
		if total += len(one.Values); total > maxValues {
			return Outcome{}, fmt.Errorf(
				"the query gives more than %d values: a longer period gives fewer",
				maxValues,
			)
		}
		if one.Status == "InternalError" || one.Status == "Forbidden" {
			return Outcome{}, fmt.Errorf("%s: query %q: %s", host, one.ID, one.Status)
		}
		list[i] = map[string]any{
			"Id": one.ID, "Label": one.Label, "StatusCode": one.Status, "Values": one.Values,
			"Timestamps": one.Timestamps,
		}
	}
	text, err := written(list)
	return Outcome{Result: list, Text: text}, err
}

// cloudWatchForm writes a call of the query API.
func cloudWatchForm(spec *v1alpha1.CloudWatchMetric, from, to time.Time) (url.Values, error) {
	if len(spec.MetricDataQueries) == 0 {
		return nil, errors.New("metricDataQueries must not be empty")
	}
	form := url.Values{
		"Action": {"GetMetricData"}, "Version": {cloudWatchVersion},
		"StartTime": {from.UTC().Format(time.RFC3339)}, "EndTime": {to.UTC().Format(time.RFC3339)},
	}
	for i, q := range spec.MetricDataQueries {
		at := "MetricDataQueries.member." + strconv.Itoa(i+1) + "."
		if (q.Expression == nil) == (q.MetricStat == nil) {
			return nil, fmt.Errorf("metricDataQueries[%d]: give either expression or metricStat", i)
		}
		put := func(name, value string) {
			if value != "" {
				form.Set(at+name, value)
			}
		}
		put("Id", q.ID)
		put("Expression", text(q.Expression))
		put("Label", text(q.Label))
		if q.Period != nil {
			put("Period", q.Period.String())
		}
		if q.ReturnData != nil {
			put("ReturnData", strconv.FormatBool(*q.ReturnData))
		}
		if s := q.MetricStat; s != nil {
			put("MetricStat.Metric.Namespace", s.Metric.Namespace)
			put("MetricStat.Metric.MetricName", s.Metric.MetricName)
			for j, d := range s.Metric.Dimensions {
				dimension := "MetricStat.Metric.Dimensions.member." + strconv.Itoa(j+1)
				put(dimension+".Name", d.Name)
				put(dimension+".Value", d.Value)
			}
			put("MetricStat.Period", s.Period.String())
			put("MetricStat.Stat", s.Stat)
			if !slices.Contains([]string{"", "None"}, s.Unit) {
				put("MetricStat.Unit", s.Unit)
			}
		}
	}
	return form, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
