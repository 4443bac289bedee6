package metric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	newRelicTime   = 5 * time.Second
	newRelicSecret = "newrelic"
	newRelicUS     = "https://api.newrelic.com/graphql"
	newRelicEU     = "https://api.eu.newrelic.com/graphql"
)

var newRelicKind = asking(
	"newRelic",
	func(m v1alpha1.MetricProvider) bool { return m.NewRelic != nil },
	func(t *tools) Query { return newRelic{t}.query },
)

// newRelic asks NerdGraph. Result: a map of the columns of the one row, or a list of such maps.
type newRelic struct{ *tools }

func (n newRelic) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.NewRelic
	limit := int64(0)
	if spec.Timeout != nil {
		limit = *spec.Timeout
	}
	ctx, cancel := within(ctx, limit, newRelicTime)
	defer cancel()
	p := n.profile(r, spec.Profile, newRelicSecret)
	key, err := p.need(ctx, "personal-api-key")
	if err != nil {
		return Outcome{}, err
	}
	account, err := p.maybe(ctx, "account-id", "")
	if err != nil {
		return Outcome{}, err
	}
	id, err := strconv.Atoi(account)
	if err != nil {
		return Outcome{}, fmt.Errorf("secret %s/%s: account-id is no number", p.namespace, p.name)
	}
	address, err := newRelicHost(ctx, p)
	if err != nil {
		return Outcome{}, err
	}
	body, err := json.Marshal(map[string]any{
		"query": "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) " +
			"{ nrql(query: $nrql) { results } } } }",
		"variables": map[string]any{"account": id, "nrql": spec.Query},
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("write the query: %w", err)
	}
	return n.rows(ctx, r, call{
		method: http.MethodPost, url: address, body: body, kind: "application/json",
		header: http.Header{"Api-Key": {key}},
	})
}

func newRelicHost(ctx context.Context, p profile) (string, error) {
	region, err := p.maybe(ctx, "region", "us")
	if err != nil {
		return "", err
	}
	switch region {
	case "us", "US":
		return p.maybe(ctx, "base-url-nerdgraph", newRelicUS)
	case "eu", "EU":
		return p.maybe(ctx, "base-url-nerdgraph", newRelicEU)
	}
	return "", fmt.Errorf("secret %s/%s: region is neither us nor eu", p.namespace, p.name)
}

func (n newRelic) rows(ctx context.Context, r Request, c call) (Outcome, error) {
	var a struct {
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
		Data struct {
			Actor struct {
				Account struct {
					NRQL struct {
						Results []map[string]any `json:"results"`
					} `json:"nrql"`
				} `json:"account"`
			} `json:"actor"`
		} `json:"data"`
	}
	if err := n.http.fetch(ctx, r.Hidden, c, &a); err != nil {
		return Outcome{}, err
	}
	if len(a.Errors) > 0 {
		return Outcome{}, fmt.Errorf("%s: %s", hostOf(c.url), excerpt([]byte(a.Errors[0].Message)))
	}
	rows := a.Data.Actor.Account.NRQL.Results
	if len(rows) == 0 {
		return Outcome{}, errors.New("the query gives no rows")
	}
	if len(rows) > maxValues {
		return Outcome{}, fmt.Errorf("the query gives more than %d rows", maxValues)
	}
	var result any = rows
	if len(rows) == 1 {
		result = rows[0]
	}
	text, err := written(result)
	return Outcome{Result: result, Text: text}, err
}
