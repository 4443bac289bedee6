package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// ChartVersion is what the index of a Helm repository tells of one version of a chart.
type ChartVersion struct {
	Version string   `yaml:"version" json:"version"`
	URLs    []string `yaml:"urls" json:"urls"`
	Digest  string   `yaml:"digest" json:"digest"` // sha256 of the archive, in hex
}

// Index reads the index of a Helm repository in a worker, since it may be large: what it tells of one chart.
func (p *Pool) Index(ctx context.Context, text []byte, name string) (versions []ChartVersion, err error) {
	told, err := p.do(ctx, toWorker{Index: &indexJob{Text: text, Name: name}}, nil)
	if err != nil {
		return nil, err
	}
	if told.Problem != "" {
		return nil, fmt.Errorf("index.yaml: %w", errors.New(told.Problem))
	}
	return told.Versions, nil
}

// indexJob asks for one chart of an index.
type indexJob struct {
	Text []byte
	Name string
}

var errNoEntries = errors.New("it has no entries; it is not the index of a Helm repository")

// VersionsOf reads an index: what it tells of one chart.
func VersionsOf(text []byte, name string) ([]ChartVersion, error) {
	var index struct {
		Entries map[string][]ChartVersion `yaml:"entries" json:"entries"`
	}
	var err error
	if len(text) > 0 && text[0] == '{' {
		err = json.Unmarshal(text, &index)
	} else {
		err = yaml.Unmarshal(text, &index)
	}
	if err != nil {
		return nil, err
	}
	if index.Entries == nil {
		return nil, errNoEntries
	}
	return index.Entries[name], nil
}
