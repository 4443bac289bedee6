package metric

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/analysis"
)

// keys are the Secrets of all providers.
func keys(address string) vault {
	return vault{
		"argo/datadog/api-key":                 "dd-api-s3cr3t",
		"argo/datadog/app-key":                 "dd-app",
		"argo/datadog/address":                 address,
		"ns/mine/api-key":                      "own",
		"ns/mine/app-key":                      "own-app",
		"ns/mine/address":                      address,
		"argo/newrelic/personal-api-key":       "nr-s3cr3t",
		"argo/newrelic/account-id":             "42",
		"argo/newrelic/base-url-nerdgraph":     address + "/graphql",
		"argo/far/personal-api-key":            "k",
		"argo/far/account-id":                  "x",
		"argo/wavefront-api-tokens/" + address: "wf-s3cr3t",
		"argo/influxdb/address":                address,
		"argo/influxdb/authToken":              "in-s3cr3t",
		"argo/influxdb/org":                    "acme",
	}
}

// Each row is a query as templates write it, what the system answers to it, the result that conditions see, and a
// condition over it as people write it. They are the documented shapes of docs/analysis.md.
func TestProviders(t *testing.T) {
	const dd2 = "POST /api/v2/query/scalar"
	for _, c := range []struct {
		name, provider string
		answers        map[string]string
		want           any
		condition      string
		check          func(t *testing.T, a asked, out Outcome)
	}{
		{
			"prometheus scalar", `prometheus: {address: ADDRESS/, query: "scalar(up)"}`,
			map[string]string{"POST /api/v1/query": `{"status":"success","data":{"resultType":"scalar","result":[1,"0.97"]}}`},
			0.97, "result >= 0.95", func(t *testing.T, a asked, out Outcome) {
				if a.body != "query=scalar%28up%29" || out.About["ResolvedPrometheusQuery"] != "scalar(up)" {
					t.Errorf("asked %q, %v", a.body, out.About)
				}
			},
		},
		{
			"prometheus vector", `prometheus: {address: ADDRESS, query: up, headers: [{key: X-Scope-OrgID, value: t1}],
  authentication: {basicAuth: {username: u, password: p}}}`,
			map[string]string{"POST /api/v1/query": `{"status":"success","warnings":["slow"],"data":{"resultType":"vector",
				"result":[{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{},"value":[1,"NaN"]}]}}`},
			nil, "result[0] == 1 && isNaN(result[1])", func(t *testing.T, a asked, out Outcome) {
				r := &http.Request{Header: a.header}
				if u, p, _ := r.BasicAuth(); u != "u" || p != "p" || a.header.Get("X-Scope-OrgID") != "t1" {
					t.Errorf("asked %v", a.header)
				}
				if out.Metadata["warnings"] != "slow" || out.Text != "[1,NaN]" {
					t.Errorf("%q %v", out.Text, out.Metadata)
				}
			},
		},
		{
			"prometheus nothing", `prometheus: {address: ADDRESS, query: up}`,
			map[string]string{"POST /api/v1/query": `{"status":"success","data":{"resultType":"vector","result":[]}}`},
			[]float64{}, "len(result) == 0 || result[0] > 1", nil,
		},
		{
			"prometheus range", `prometheus: {address: ADDRESS, query: up,
  rangeQuery: {start: 'now() - duration("1h")', end: now(), step: 1m}}`,
			map[string]string{"POST /api/v1/query_range": `{"status":"success","data":{"resultType":"matrix",
				"result":[{"values":[[1,"1"],[2,"2"]]},{"values":[[1,"3"]]}]}}`},
			[]float64{1, 2, 3}, "all(result, # >= 1) && sum(result) == 6", func(t *testing.T, a asked, _ Outcome) {
				form, _ := url.ParseQuery(a.body)
				if form.Get("step") != "60" || form.Get("start") != "1795424400" || form.Get("end") != "1795428000" {
					t.Errorf("asked %v", form)
				}
			},
		},
		{
			"web", `web: {url: "ADDRESS/api?x=1", jsonPath: "{$.data}", headers: [{key: Authorization, value: Bearer t}]}`,
			map[string]string{"GET /api": `{"data":{"ok":true,"successPercent":0.98}}`},
			map[string]any{"ok": true, "successPercent": 0.98}, "result.ok && result.successPercent >= 0.90",
			func(t *testing.T, a asked, _ Outcome) {
				if a.query.Get("x") != "1" || a.header.Get("Authorization") != "Bearer t" {
					t.Errorf("asked %+v", a)
				}
			},
		},
		{
			"web, posted", `web: {method: POST, url: ADDRESS/api, jsonBody: {a: 1}, jsonPath: "{$.state}"}`,
			map[string]string{"POST /api": `{"state":"up"}`}, "up", `result == "up"`,
			func(t *testing.T, a asked, out Outcome) {
				if a.body != `{"a":1}` || a.header.Get("Content-Type") != "application/json" || out.Text != "up" {
					t.Errorf("asked %+v, got %q", a, out.Text)
				}
			},
		},
		{"web, put", `web: {method: PUT, url: ADDRESS/api, body: hello}`, map[string]string{"PUT /api": `fine`}, "fine",
			`result == "fine"`, nil},
		{"web, null", `web: {url: ADDRESS/api, jsonPath: "{$.x}"}`, map[string]string{"GET /api": `{"x":null}`}, nil,
			"isNil(result) && default(result, 1) == 1", nil},
		{
			"datadog v1", `datadog: {interval: 10m, query: "avg:requests{service:x}"}`,
			map[string]string{"GET /api/v1/query": `{"series":[{"pointlist":[[1,0.1],[2,0.006]]}]}`},
			0.006, "result <= 0.01", func(t *testing.T, a asked, _ Outcome) {
				if a.query.Get("from") != "1795427400" || a.query.Get("to") != "1795428000" ||
					a.header.Get("DD-API-KEY") != "dd-api-s3cr3t" || a.header.Get("DD-APPLICATION-KEY") != "dd-app" {
					t.Errorf("asked %+v", a)
				}
			},
		},
		{"datadog v1, nothing", `datadog: {query: q}`, map[string]string{"GET /api/v1/query": `{"series":[]}`}, nil,
			"default(result, 0) < 0.05", nil},
		{
			"datadog v2", `datadog: {apiVersion: v2, query: q, secretRef: {name: mine, namespaced: true}}`,
			map[string]string{dd2: `{"data":{"attributes":{"columns":[{"type":"number","values":[0.0006]}]}}}`},
			0.0006, "default(result, 0) <= 0.01", func(t *testing.T, a asked, _ Outcome) {
				for _, part := range []string{
					`"aggregator":"last"`, `"query":"q"`, `"formulas":[{"formula":"query"}]`, `"from":1795427700000`,
				} {
					if !strings.Contains(a.body, part) {
						t.Errorf("no %s in %s", part, a.body)
					}
				}
				if a.header.Get("DD-API-KEY") != "own" {
					t.Errorf("asked with %q", a.header.Get("DD-API-KEY"))
				}
			},
		},
		{
			"datadog v2, formula",
			`datadog: {apiVersion: v2, aggregator: sum, queries: {a: "sum:errors{}", b: "sum:all{}"}, formula: "a / b"}`,
			map[string]string{dd2: `{"data":{"attributes":{"columns":[{"type":"number","values":[null]}]}}}`},
			nil, "default(result, 0) < 1", func(t *testing.T, a asked, _ Outcome) {
				if !strings.Contains(a.body, `"formula":"a / b"`) || strings.Count(a.body, `"aggregator":"sum"`) != 2 {
					t.Errorf("asked %s", a.body)
				}
			},
		},
		{
			"datadog v2, by tag", `datadog: {apiVersion: v2, query: "avg:errors{*} by {service}"}`,
			map[string]string{dd2: `{"data":{"attributes":{"columns":[{"type":"group","name":"service",
				"values":[["service:a"],["service:b"],["service:c"]]},{"type":"number","values":[0.1,null,0.3]}]}}}`},
			[]float64{0.1, 0.3}, "all(result, # < 0.5)", func(t *testing.T, _ asked, out Outcome) {
				if out.Metadata["groups"] != `["service:a","service:c"]` {
					t.Errorf("groups %q", out.Metadata["groups"])
				}
			},
		},
		{
			"newRelic, one row", `newRelic: {query: "FROM Transaction SELECT percentage(count(*)) as 'successRate'"}`,
			map[string]string{"POST /graphql": `{"data":{"actor":{"account":{"nrql":{"results":[{"successRate":0.98}]}}}}}`},
			map[string]any{"successRate": 0.98}, "result.successRate >= 0.95", func(t *testing.T, a asked, _ Outcome) {
				if a.header.Get("Api-Key") != "nr-s3cr3t" || !strings.Contains(a.body, `"account":42`) {
					t.Errorf("asked %+v", a)
				}
			},
		},
		{
			"newRelic, rows", `newRelic: {query: q}`,
			map[string]string{"POST /graphql": `{"data":{"actor":{"account":{"nrql":{"results":[{"a":1},{"a":2}]}}}}}`},
			[]map[string]any{{"a": 1.0}, {"a": 2.0}}, "all(result, #.a < 3)", nil,
		},
		{
			"wavefront", `wavefront: {address: ADDRESS, query: "sum(rate(5m, ts(x)))"}`,
			map[string]string{"GET /api/v2/chart/api": `{"timeseries":[{"data":[[1795427990,1],[1795427998,2]]}]}`},
			2.0, "result < 5", func(t *testing.T, a asked, out Outcome) {
				if a.header.Get("Authorization") != "Bearer wf-s3cr3t" || out.Metadata["drift"] != "2" ||
					out.Metadata["timestamps"] != "1795427998" {
					t.Errorf("asked %v, %v", a.header, out.Metadata)
				}
			},
		},
		{
			"wavefront, series", `wavefront: {address: ADDRESS, query: q}`,
			map[string]string{"GET /api/v2/chart/api": `{"timeseries":[{"data":[[1,1]]},{"data":[[1,2]]}]}`},
			[]float64{1, 2}, "sum(result) == 3", nil,
		},
		{
			"graphite", "graphite: {address: ADDRESS, query: \"target=summarize(\\n  a.b, '5min', 'avg')&from=-5min\"}",
			map[string]string{"GET /render": `[{"target":"x","datapoints":[[null,1],[7,2],[9.5,3]]}]`},
			[]float64{7, 9.5}, "result[0] < 10", func(t *testing.T, a asked, _ Outcome) {
				want := url.Values{
					"target": {"summarize(a.b,'5min','avg')"}, "from": {"-5min"}, "format": {"json"},
				}
				if diff := cmp.Diff(want, a.query); diff != "" {
					t.Error(diff)
				}
			},
		},
		{"graphite, a target", `graphite: {address: ADDRESS, query: a.b.c}`,
			map[string]string{"GET /render": `[{"datapoints":[[7,2]]}]`}, []float64{7}, "result[0] == 7", nil},
		{
			"influxdb", `influxdb: {query: 'from(bucket: "app_istio")'}`,
			map[string]string{"POST /api/v2/query": "#datatype,string,long,double,string\r\n#group,,,,\r\n#default,,,,\r\n" +
				",result,table,_value,x\r\n,,0,0.99,a\r\n,,0,1,b\r\n\r\n#datatype,string,long,boolean\r\n" +
				",result,table,_value\r\n,,1,true\r\n"},
			[]any{0.99, 1.0, true}, "result[0] >= 0.95", func(t *testing.T, a asked, _ Outcome) {
				if a.header.Get("Authorization") != "Token in-s3cr3t" || a.query.Get("org") != "acme" ||
					!strings.Contains(a.body, `app_istio`) {
					t.Errorf("asked %+v", a)
				}
			},
		},
		{
			"skywalking", `skywalking: {interval: 3m, address: ADDRESS, query: "query queryData($duration: Duration!) {x}"}`,
			map[string]string{"POST /graphql": `{"data":{"service_apdex":{"values":{"values":[{"value":9900}]}}}}`},
			nil, "all(result.service_apdex.values.values, asFloat(.value) >= 9900)",
			func(t *testing.T, a asked, _ Outcome) {
				if !strings.Contains(a.body, `"start":"2026-11-23 0957"`) ||
					!strings.Contains(a.body, `"step":"MINUTE"`) {
					t.Errorf("asked %s", a.body)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, c.answers)
			out, err := ask(t, Options{Secrets: keys(s.url)}, strings.ReplaceAll(c.provider, "ADDRESS", s.url))
			if err != nil {
				t.Fatal(err)
			}
			if c.want != nil {
				if diff := cmp.Diff(c.want, out.Result); diff != "" {
					t.Error(diff)
				}
			}
			m := v1alpha1.Metric{SuccessCondition: c.condition}
			if phase, err := analysis.Judge(m, out.Result, t0); phase != v1alpha1.AnalysisSuccessful {
				t.Errorf("%s: %s, %v", c.condition, phase, err)
			}
			if c.check != nil {
				c.check(t, s.last(), out)
			}
		})
	}
}

// What goes wrong is an error with its cause, which names the host and no secret.
func TestProvidersRefuse(t *testing.T) {
	const histogram = `{"status":"success","data":{"resultType":"vector","result":[{"histogram":[1,{"count":"2"}]}]}}`
	many := strings.Repeat(`{"value":[1,"1"]},`, maxValues) + `{"value":[1,"1"]}`
	for _, c := range []struct {
		name, provider string
		status         int
		answer         string
		want           string
	}{
		{"a query that cannot be read", `prometheus: {address: ADDRESS, query: up}`, 400,
			`{"status":"error","errorType":"bad_data","error":"parse error"}`, "HOST: status 400: bad_data: parse error"},
		{"a proxy", `prometheus: {address: ADDRESS, query: up}`, 502, `<html>`, "HOST: status 502: the answer is not"},
		{"text", `prometheus: {address: ADDRESS, query: up}`, 200,
			`{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`, `type "string"`},
		{"histogram", `prometheus: {address: ADDRESS, query: up}`, 200, histogram, "series 0 is a native histogram"},
		{"series", `prometheus: {address: ADDRESS, query: up}`, 200,
			`{"status":"success","data":{"resultType":"vector","result":[` + many + `]}}`, "more than 10000 values"},
		{"no address", `prometheus: {query: up}`, 200, ``, "no address is given"},
		{"no URL", `prometheus: {address: "host", query: up}`, 200, ``, "the address is no URL"},
		{"a step", `prometheus: {address: ADDRESS, query: up, rangeQuery: {start: now(), end: now(), step: x}}`, 200, ``,
			`rangeQuery.step: "x"`},
		{"a start", `prometheus: {address: ADDRESS, query: up, rangeQuery: {start: "1", end: now(), step: 1s}}`, 200, ``,
			`rangeQuery.start: "1" is 1, no time`},
		{"an order", `prometheus: {address: ADDRESS, query: up,
  rangeQuery: {start: now(), end: 'now() - duration("1h")', step: 1s}}`, 200, ``, "rangeQuery.end: is before start"},
		{"points", `prometheus: {address: ADDRESS, query: up,
  rangeQuery: {start: 'now() - duration("100h")', end: now(), step: 1s}}`, 200, ``, "more than 11000 points"},
		{"web status", `web: {url: ADDRESS/api}`, 500, "broken", "HOST: status 500: broken"},
		{"web path", `web: {url: ADDRESS/api, jsonPath: "{$.list[*]}"}`, 200, `{"list":[]}`, "finds nothing"},
		{"web bad path", `web: {url: ADDRESS/api, jsonPath: "{$.x"}`, 200, `{}`, "jsonPath"},
		{"web method", `web: {url: ADDRESS/api, method: DELETE}`, 200, `{}`, `method "DELETE"`},
		{"web bodies", `web: {url: ADDRESS/api, method: PUT, body: x, jsonBody: {}}`, 200, `{}`, "both given"},
		{"web body of a GET", `web: {url: ADDRESS/api, body: x}`, 200, `{}`, "needs method POST or PUT"},
		{"datadog keys", `datadog: {query: q}`, 403, `{"errors":["dd-api-s3cr3t is bad"]}`,
			`HOST: status 403: {"errors":["*****`},
		{"datadog error", `datadog: {query: q}`, 200, `{"error":"no such metric"}`, "no such metric"},
		{"datadog v2 error", `datadog: {apiVersion: v2, query: q}`, 200, `{"errors":"no such metric"}`,
			"no such metric"},
		{"datadog secret", `datadog: {query: q, secretRef: {name: other}}`, 200, ``, `argo/other has no key "api-key"`},
		{"datadog version", `datadog: {apiVersion: v3, query: q}`, 200, ``, `"v3" is neither`},
		{"datadog formula", `datadog: {query: q, formula: f}`, 200, ``, "need apiVersion v2"},
		{"datadog queries", `datadog: {apiVersion: v2, queries: {a: x, b: y}}`, 200, ``, "need a formula"},
		{"datadog query", `datadog: {apiVersion: v2}`, 200, ``, "query or queries"},
		{"datadog interval", `datadog: {interval: long, query: q}`, 200, ``, `interval: "long"`},
		{"newRelic rows", `newRelic: {query: q}`, 200, `{"data":{}}`, "no rows"},
		{"newRelic error", `newRelic: {query: q}`, 200, `{"errors":[{"message":"NRQL Syntax"}]}`, "NRQL Syntax"},
		{"newRelic account", `newRelic: {query: q, profile: far}`, 200, ``, "account-id is no number"},
		{"wavefront", `wavefront: {address: ADDRESS, query: q}`, 200, `{"errorType":"Q","errorMessage":"bad"}`, "Q: bad"},
		{"wavefront points", `wavefront: {address: ADDRESS, query: q}`, 200, `{}`, "no data points"},
		{"wavefront address", `wavefront: {query: q}`, 200, `{}`, "no address"},
		{"graphite", `graphite: {address: ADDRESS, query: q}`, 200, `[{"datapoints":[[null,1]]}]`, "HOST: no values"},
		{"graphite text", `graphite: {address: ADDRESS, query: q}`, 200, `oops`, "HOST: the answer is not what was expected: oops"},
		{"influxdb", `influxdb: {query: q}`, 200, ``, "no values"},
		{"influxdb error", `influxdb: {query: q}`, 200, "error,reference\r\nbad flux,897\r\n",
			"the query failed: bad flux"},
		{"influxdb status", `influxdb: {query: q}`, 401, `in-s3cr3t`, "HOST: status 401: *****"},
		{"influxdb profile", `influxdb: {query: q, profile: none}`, 200, ``, `argo/none has no key "address"`},
		{"skywalking", `skywalking: {address: ADDRESS, query: q}`, 200, `{"errors":[{"message":"no such"}]}`, "no such"},
		{"skywalking address", `skywalking: {query: q}`, 200, ``, "no address"},
		{"a mebibyte", `web: {url: ADDRESS/api}`, 200, strings.Repeat("x", maxBody+1), "larger than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.answer)
			}))
			t.Cleanup(h.Close)
			host := strings.TrimPrefix(h.URL, "http://")
			_, err := ask(t, Options{Secrets: keys(h.URL)}, strings.ReplaceAll(c.provider, "ADDRESS", h.URL))
			wantError(t, c.name, err, strings.ReplaceAll(c.want, "HOST", host), h.URL, "s3cr3t")
		})
	}
}

func TestSilenceEnds(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server hear that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(h.Close)
	for _, provider := range []string{
		`web: {url: "ADDRESS/?token=s3cr3t", timeoutSeconds: 1}`, `prometheus: {address: ADDRESS, query: s3cr3t, timeout: 1}`,
	} {
		_, err := ask(t, Options{}, strings.ReplaceAll(provider, "ADDRESS", h.URL))
		wantError(t, provider, err, "no answer within 1s", "s3cr3t", "http://")
	}
}

// A secret is not shown in any of the forms in which it travels.
func TestSecretsAreHidden(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprint(w, r.URL.String(), " ", r.URL.Query().Get("t"), " ", r.Header.Get("Authorization"))
	}))
	t.Cleanup(h.Close)
	const token = `a b/c"d&e`
	q := request(t, fmt.Sprintf(`web: {url: %q}`, h.URL+"/?t="+url.QueryEscape(token)))
	q.Hidden.Hide(token)
	_, err := New(withClock(Options{})).Run(t.Context(), q)
	wantError(t, "echoed", err, "status 418", token, url.QueryEscape(token), url.PathEscape(token), "c%22d")
	h.Close()
	q.Hidden = &Redactor{}
	q.Hidden.Hide(token)
	_, err = New(withClock(Options{})).Run(t.Context(), q)
	wantError(t, "down", err, "ask "+strings.TrimPrefix(h.URL, "http://"), token, "?t=", "c%22d")
}

// What was meant for one host is not told to another.
func TestRedirectsCarryNoSecrets(t *testing.T) {
	other := newServer(t, map[string]string{"GET /": `1`})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(other.url, "127.0.0.1", "localhost", 1)+"/", http.StatusFound)
	}))
	t.Cleanup(h.Close)
	out, err := ask(t, Options{}, fmt.Sprintf(`web: {url: %q, headers: [{key: X-Api-Key, value: s3cr3t}]}`, h.URL))
	if err != nil || out.Text != "1" {
		t.Fatalf("%+v, %v", out, err)
	}
	if got := other.last().header.Get("X-Api-Key"); got != "" {
		t.Errorf("the other host was told %q", got)
	}
}

func TestOAuth2(t *testing.T) {
	tokens := newServer(t, map[string]string{
		"POST /token": `{"access_token":"t0k3n","token_type":"Bearer","expires_in":3600}`,
	})
	s := newServer(t, map[string]string{"GET /x": `1`})
	provider := fmt.Sprintf(
		`web: {url: %s/x, authentication: {oauth2: {tokenUrl: %s/token, clientId: me, clientSecret: s3cr3t, scopes: [a, b]}}}`,
		s.url,
		tokens.url,
	)
	registry := New(withClock(Options{}))
	for range 2 {
		if _, err := registry.Run(t.Context(), request(t, provider)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.last().header.Get("Authorization"); got != "Bearer t0k3n" {
		t.Errorf("asked with %q", got)
	}
	if n := len(tokens.asked); n != 1 || !strings.Contains(tokens.last().body, "scope=a+b") {
		t.Errorf("%d tokens, %q", n, tokens.last().body)
	}
	tokens.status = http.StatusUnauthorized
	tokens.answers["POST /token"] = `{"error":"invalid_client","hint":"s3cr3t"}`
	_, err := ask(t, Options{}, provider)
	wantError(t, "refused", err, "for a token: status 401", "s3cr3t", "http://")
	_, err = ask(t, Options{}, `web: {url: "http://x", authentication: {oauth2: {tokenUrl: "http://y"}}}`)
	wantError(t, "incomplete", err, "clientId and clientSecret")
}

// kayenta is asked for a configuration, told to judge, and looked at until it has.
func TestKayenta(t *testing.T) {
	s := newServer(t, map[string]string{
		"GET /canaryConfig": `[{"id":"other","name":"o"},{"id":"c1","name":"guestbook"}]`,
		"POST /canary/c1":   `{"canaryExecutionId":"e1"}`,
		"GET /canary/e1":    `{"complete":false}`,
	})
	provider := strings.ReplaceAll(`kayenta: {address: ADDRESS, application: guestbook, canaryConfigName: guestbook,
  metricsAccountName: m, configurationAccountName: c, storageAccountName: s, threshold: {pass: 90, marginal: 75},
  lookback: true, scopes: [{name: default, controlScope: {scope: "app=a", region: r, step: 60, start: "", end: ""},
    experimentScope: {scope: "app=b", region: r, step: 60, start: "", end: ""}}]}`, "ADDRESS", s.url)
	registry, q := New(withClock(Options{})), request(t, provider)
	out, err := registry.Run(t.Context(), q)
	if err != nil || out.Phase != v1alpha1.AnalysisRunning || out.Metadata[kayentaID] != "e1" ||
		!out.ResumeAt.Equal(t0.Add(15*time.Second)) {
		t.Fatalf("%+v, %v", out, err)
	}
	if a := s.last(); !strings.Contains(a.body, `"start":"2026-11-23T09:59:00Z"`) ||
		!strings.Contains(
			a.body,
			`"thresholds":{"pass":90,"marginal":75}`,
		) || a.query.Get("storageAccountName") != "s" {
		t.Errorf("asked %+v", a)
	}
	m := v1alpha1.Measurement{Metadata: out.Metadata}
	if out, err = registry.Resume(t.Context(), q, m); err != nil || out.Phase != v1alpha1.AnalysisRunning {
		t.Fatalf("at work: %+v, %v", out, err)
	}
	for score, want := range map[string]v1alpha1.AnalysisPhase{
		"100": v1alpha1.AnalysisSuccessful, "90": v1alpha1.AnalysisSuccessful, "89.9": v1alpha1.AnalysisInconclusive,
		"75": v1alpha1.AnalysisInconclusive, "74": v1alpha1.AnalysisFailed,
	} {
		s.answers["GET /canary/e1"] = `{"complete":true,"result":{"judgeResult":{"score":{"score":` + score + `}}}}`
		if out, err = registry.Resume(t.Context(), q, m); err != nil || out.Phase != want {
			t.Errorf("%s: %+v, %v", score, out, err)
		}
	}
	s.answers["GET /canary/e1"] = `{"complete":true,"status":"failed"}`
	_, err = registry.Resume(t.Context(), q, m)
	wantError(t, "no score", err, "no score (failed)")
	s.answers["GET /canary/e1"] = `{}`
	_, err = registry.Resume(t.Context(), q, m)
	wantError(t, "no answer", err, "whether the judgement is complete")
	_, err = registry.Resume(t.Context(), q, v1alpha1.Measurement{})
	wantError(t, "lost", err, "has lost its")
	if out, err = registry.Terminate(t.Context(), q, m); err != nil || !out.Phase.Completed() {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = ask(t, Options{}, strings.Replace(provider, "canaryConfigName: guestbook", "canaryConfigName: none", 1))
	wantError(t, "no configuration", err, `no canary configuration "none"`)
}

func TestCloudWatch(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
	t.Setenv("AWS_REGION", "eu-west-1")
	s := newServer(
		t,
		map[string]string{"POST /": `<GetMetricDataResponse><GetMetricDataResult><MetricDataResults><member>
		<Id>rate</Id><Label>errors</Label><StatusCode>Complete</StatusCode><Timestamps><member>2026-11-23T10:00:00Z</member>
		</Timestamps><Values><member>0.01</member><member>0.02</member></Values></member></MetricDataResults>
		</GetMetricDataResult></GetMetricDataResponse>`},
	)
	t.Setenv("AWS_ENDPOINT_URL_CLOUDWATCH", s.url+"/")
	const provider = `cloudWatch: {interval: 30m, metricDataQueries: [{id: rate, expression: "errors / requests"},
  {id: errors, returnData: false, metricStat: {metric: {namespace: app, metricName: errors,
    dimensions: [{name: service, value: x}]}, period: 300, stat: Sum, unit: Count}}]}`
	out, err := ask(t, Options{}, provider)
	if err != nil {
		t.Fatal(err)
	}
	phase, err := analysis.Judge(
		v1alpha1.Metric{SuccessCondition: "all(result[0].Values, # <= 0.02)"},
		out.Result,
		t0,
	)
	if phase != v1alpha1.AnalysisSuccessful {
		t.Errorf("%s, %v", phase, err)
	}
	a := s.last()
	form, _ := url.ParseQuery(a.body)
	for key, want := range map[string]string{
		"Action": "GetMetricData", "StartTime": "2026-11-23T09:30:00Z", "EndTime": "2026-11-23T10:00:00Z",
		"MetricDataQueries.member.1.Expression": "errors / requests", "MetricDataQueries.member.2.ReturnData": "false",
		"MetricDataQueries.member.2.MetricStat.Metric.Dimensions.member.1.Value": "x",
		"MetricDataQueries.member.2.MetricStat.Period":                           "300",
	} {
		if form.Get(key) != want {
			t.Errorf("%s is %q", key, form.Get(key))
		}
	}
	if got := a.header.Get("Authorization"); !strings.Contains(got, "AKID/") ||
		!strings.Contains(got, "/eu-west-1/monitoring/aws4_request") {
		t.Errorf("signed %q", got)
	}
	s.status = http.StatusForbidden
	s.answers["POST /"] = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`
	_, err = ask(t, Options{}, provider)
	wantError(t, "refused", err, "status 403: AccessDenied: not you", "s3cr3t")
	_, err = ask(t, Options{}, `cloudWatch: {metricDataQueries: [{id: a}]}`)
	wantError(t, "empty", err, "metricDataQueries[0]: give either")
	_, err = ask(t, Options{}, `cloudWatch: {metricDataQueries: []}`)
	wantError(t, "none", err, "must not be empty")
}

// Amazon's managed Prometheus is known by its host.
func TestManagedPrometheusIsSigned(t *testing.T) {
	p := prometheus{}
	spec := &v1alpha1.PrometheusMetric{
		Address: "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/w",
		Query:   "up",
	}
	if c, err := p.call(spec, t0); err != nil || c.signed != "aps" {
		t.Errorf("%+v, %v", c, err)
	}
	spec.Address = "https://prometheus.example.com"
	if c, err := p.call(spec, t0); err != nil || c.signed != "" {
		t.Errorf("%+v, %v", c, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
	s := newServer(t, map[string]string{"POST /q": `1`})
	a := newAsker()
	_, _, err := a.send(context.Background(), &Redactor{}, call{
		method: http.MethodPost, url: s.url + "/q", signed: "aps",
		auth: v1alpha1.Authentication{SigV4: v1alpha1.Sigv4Config{Region: "us-east-1"}},
	})
	got := s.last().header.Get("Authorization")
	if err != nil || !strings.Contains(got, "/us-east-1/aps/aws4_request") {
		t.Errorf("signed %q, %v", got, err)
	}
}

func FuzzFlux(f *testing.F) {
	f.Add([]byte("#datatype,string,long,double\r\n,result,table,_value\r\n,,0,0.99\r\n"))
	f.Add([]byte("error,reference\r\nbad,1\r\n"))
	f.Fuzz(func(_ *testing.T, body []byte) { _, _ = fluxValues(body) })
}

func FuzzFound(f *testing.F) {
	f.Add([]byte(`{"a":[1,2]}`), "{$.a[0]}")
	f.Add([]byte(`x`), "{..a}")
	f.Fuzz(func(_ *testing.T, body []byte, path string) { _, _ = found(body, path) })
}
