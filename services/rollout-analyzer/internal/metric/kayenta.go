package metric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	kayentaTime = 15 * time.Second
	// kayentaPause is the time between two looks at a judgement that goes on.
	kayentaPause = 15 * time.Second
	// kayentaID is where the measurement remembers which judgement it waits for.
	kayentaID = "canaryExecutionId"
)

var kayentaKind = kind{
	name: "kayenta",
	is:   func(m v1alpha1.MetricProvider) bool { return m.Kayenta != nil },
	open: func(t *tools) Provider { return kayenta{t.http} },
}

// kayenta lets a Kayenta judge. The score decides: pass is a success, marginal is inconclusive, less is a failure. A
// judgement that is begun twice, since the process ended in between, is paid for twice; the first is forgotten.
type kayenta struct{ http *asker }

// Run implements [Provider].
func (k kayenta) Run(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Kayenta
	ctx, cancel := within(ctx, 0, kayentaTime)
	defer cancel()
	id, err := k.config(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	body, err := json.Marshal(kayentaJob(spec, r))
	if err != nil {
		return Outcome{}, fmt.Errorf("write the job: %w", err)
	}
	var a struct {
		ID string `json:"canaryExecutionId"`
	}
	c := call{
		method: http.MethodPost, url: join(spec.Address, "/canary/"+url.PathEscape(id)), body: body,
		kind: "application/json",
		query: url.Values{
			"application": {spec.Application}, "metricsAccountName": {spec.MetricsAccountName},
			"configurationAccountName": {spec.ConfigurationAccountName},
			"storageAccountName":       {spec.StorageAccountName},
		},
	}
	if err := k.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	if a.ID == "" {
		return Outcome{}, fmt.Errorf("%s: the answer names no %s", hostOf(c.url), kayentaID)
	}
	return k.wait(r, a.ID), nil
}

func (kayenta) wait(r Request, id string) Outcome {
	return Outcome{
		Phase:    v1alpha1.AnalysisRunning,
		ResumeAt: r.Now.Add(kayentaPause),
		Metadata: map[string]string{kayentaID: id},
	}
}

// config finds the id of a configuration by its name.
func (k kayenta) config(ctx context.Context, r Request) (string, error) {
	spec := r.Metric.Provider.Kayenta
	var all []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	err := k.http.fetch(ctx, r.Hidden, call{
		method: http.MethodGet, url: join(spec.Address, "/canaryConfig"),
		query: url.Values{
			"application": {spec.Application}, "configurationAccountName": {spec.ConfigurationAccountName},
		},
	}, &all)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.Name == spec.CanaryConfigName {
			return c.ID, nil
		}
	}
	return "", fmt.Errorf("%s has no canary configuration %q", hostOf(spec.Address), spec.CanaryConfigName)
}

// kayentaJob is what is to be judged. With lookback, scopes without times end now and begin with the run.
func kayentaJob(spec *v1alpha1.KayentaMetric, r Request) any {
	type pair struct {
		Control    v1alpha1.ScopeDetail `json:"controlScope"`
		Experiment v1alpha1.ScopeDetail `json:"experimentScope"`
	}
	scopes := map[string]pair{}
	for _, s := range spec.Scopes {
		if spec.Lookback {
			start := r.Now
			if r.Run.Status.StartedAt != nil {
				start = r.Run.Status.StartedAt.Time
			}
			for _, d := range []*v1alpha1.ScopeDetail{&s.ControlScope, &s.ExperimentScope} {
				d.Start, d.End = start.UTC().Format(time.RFC3339), r.Now.UTC().Format(time.RFC3339)
			}
		}
		scopes[s.Name] = pair{s.ControlScope, s.ExperimentScope}
	}
	return map[string]any{"scopes": scopes, "thresholds": spec.Threshold}
}

// Resume implements [Provider].
func (k kayenta) Resume(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error) {
	spec, id := r.Metric.Provider.Kayenta, m.Metadata[kayentaID]
	if id == "" {
		return Outcome{}, errors.New("the measurement has lost its " + kayentaID)
	}
	ctx, cancel := within(ctx, 0, kayentaTime)
	defer cancel()
	var a struct {
		Complete *bool  `json:"complete"`
		Status   string `json:"status"`
		Result   struct {
			Judge struct {
				Score struct {
					Score *float64 `json:"score"`
				} `json:"score"`
			} `json:"judgeResult"`
		} `json:"result"`
	}
	c := call{method: http.MethodGet, url: join(spec.Address, "/canary/"+url.PathEscape(id))}
	if err := k.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	host := hostOf(c.url)
	switch {
	case a.Complete == nil:
		return Outcome{}, fmt.Errorf("%s: the answer does not say whether the judgement is complete", host)
	case !*a.Complete:
		return k.wait(r, id), nil
	case a.Result.Judge.Score.Score == nil:
		return Outcome{}, fmt.Errorf("%s: the judgement has no score (%s)", host, a.Status)
	}
	score := int64(*a.Result.Judge.Score.Score)
	out := Outcome{
		Result: score, Text: strconv.FormatInt(score, 10), Metadata: map[string]string{kayentaID: id},
		Phase: v1alpha1.AnalysisFailed,
	}
	switch {
	case score >= spec.Threshold.Pass:
		out.Phase = v1alpha1.AnalysisSuccessful
	case score >= spec.Threshold.Marginal:
		out.Phase = v1alpha1.AnalysisInconclusive
	}
	return out, nil
}

// Terminate implements [Provider]. Kayenta ends its judgement by itself.
func (kayenta) Terminate(_ context.Context, _ Request, m v1alpha1.Measurement) (Outcome, error) {
	return Outcome{
		Phase: v1alpha1.AnalysisSuccessful, Message: "metric terminated",
		Metadata: map[string]string{kayentaID: m.Metadata[kayentaID]},
	}, nil
}

// Collect implements [Provider].
func (kayenta) Collect(context.Context, Request, int) error { return nil }
