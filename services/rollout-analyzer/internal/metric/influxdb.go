package metric

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	influxdbTime   = 30 * time.Second
	influxdbSecret = "influxdb"
)

var influxdbKind = asking(
	"influxdb",
	func(m v1alpha1.MetricProvider) bool { return m.Influxdb != nil },
	func(t *tools) Query { return influxdb{t}.query },
)

// influxdb asks version 2 by Flux. Result: a list of the values of all rows, of the types that the answer says.
type influxdb struct{ *tools }

func (i influxdb) query(ctx context.Context, r Request) (Outcome, error) {
	spec := r.Metric.Provider.Influxdb
	ctx, cancel := within(ctx, 0, influxdbTime)
	defer cancel()
	p := i.profile(r, spec.Profile, influxdbSecret)
	address, err := p.maybe(ctx, "address", "")
	if err != nil {
		return Outcome{}, err
	}
	if address == "" {
		return Outcome{}, fmt.Errorf("secret %s/%s has no key \"address\"", p.namespace, p.name)
	}
	token, err := p.need(ctx, "authToken")
	if err != nil {
		return Outcome{}, err
	}
	org, err := p.maybe(ctx, "org", "")
	if err != nil {
		return Outcome{}, err
	}
	c := call{
		method: http.MethodPost, url: join(address, "/api/v2/query"), query: url.Values{"org": {org}},
		header: http.Header{"Authorization": {"Token " + token}, "Accept": {"application/csv"}},
	}
	// The dialect that names types can be asked for in JSON alone.
	text, err := written(map[string]any{
		"query": spec.Query, "type": "flux",
		"dialect": map[string]any{"annotations": []string{"datatype", "group", "default"}, "header": true},
	})
	if err != nil {
		return Outcome{}, err
	}
	c.body, c.kind = []byte(text), "application/json"
	status, body, err := i.http.send(ctx, r.Hidden, c)
	if err != nil {
		return Outcome{}, err
	}
	if status < 200 || status > 299 {
		return Outcome{}, fmt.Errorf("%s: status %d: %s", hostOf(c.url), status, excerpt(body))
	}
	values, err := fluxValues(body)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", hostOf(c.url), err)
	}
	out, err := written(values)
	return Outcome{Result: values, Text: out}, err
}

// fluxValues reads the column _value of annotated CSV. Each table may have columns of its own.
func fluxValues(body []byte) ([]any, error) {
	reader := csv.NewReader(bytes.NewReader(body))
	reader.FieldsPerRecord = -1
	var out []any
	var types []string
	value, failed, head := -1, -1, true
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		switch {
		case row[0] == "#datatype":
			types, head = row, true
		case strings.HasPrefix(row[0], "#"):
		case head:
			value, failed, head = column(row, "_value"), column(row, "error"), false
		case failed >= 0 && failed < len(row):
			return nil, fmt.Errorf("the query failed: %s", excerpt([]byte(row[failed])))
		case value >= 0 && value < len(row):
			v, err := fluxValue(row[value], types, value)
			if err != nil {
				return nil, err
			}
			if out = append(out, v); len(out) > maxValues {
				return nil, fmt.Errorf("the query gives more than %d values: aggregate them", maxValues)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no values")
	}
	return out, nil
}

func column(row []string, name string) int {
	for i, cell := range row {
		if cell == name {
			return i
		}
	}
	return -1
}

func fluxValue(text string, types []string, at int) (any, error) {
	of := "string"
	if at < len(types) {
		of = types[at]
	}
	switch of {
	case "double":
		return strconv.ParseFloat(text, 64)
	case "long":
		return strconv.ParseInt(text, 10, 64)
	case "unsignedLong":
		n, err := strconv.ParseUint(text, 10, 63)
		return int64(n), err
	case "boolean":
		return text == "true", nil
	}
	return text, nil
}
