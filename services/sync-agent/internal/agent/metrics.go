package agent

import (
	"errors"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/prometheus/client_golang/prometheus"
)

// countRenders counts the renders that were not remembered.
func countRenders(r prometheus.Registerer) func(kind string, err error) {
	renders := prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: "argosy_sync_renders_total", Help: "Sources that were rendered rather than remembered, by kind and outcome.",
		},
		[]string{"kind", "outcome"},
	)
	r.MustRegister(renders)
	return func(kind string, err error) {
		outcome := "ok"
		switch {
		case errors.Is(err, render.ErrSource):
			outcome = "refused"
		case err != nil:
			outcome = "failed"
		}
		renders.WithLabelValues(kind, outcome).Inc()
	}
}
