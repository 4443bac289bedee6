package remote

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// hubMetrics tell of agents, on the side of the control cluster.
type hubMetrics struct {
	hub    *Hub
	handed *prometheus.CounterVec
}

var (
	connectedDesc = prometheus.NewDesc(
		"argosy_sync_agent_connected", "1 while an agent is heard of, 0 while it is away.", []string{"agent"}, nil,
	)
	heardDesc = prometheus.NewDesc(
		"argosy_sync_agent_last_heard_timestamp_seconds", "When an agent was last heard of; absent before.",
		[]string{"agent"}, nil,
	)
	appsDesc = prometheus.NewDesc(
		"argosy_sync_agent_applications", "Applications that an agent has.", []string{"agent"}, nil,
	)
)

func newHubMetrics(h *Hub, r prometheus.Registerer) *hubMetrics {
	m := &hubMetrics{hub: h, handed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "argosy_sync_agent_handed_over_total", Help: "Changes of Applications and projects told to an agent.",
	}, []string{"agent"})}
	r.MustRegister(m, m.handed)
	return m
}

// Describe is part of prometheus.Collector.
func (m *hubMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- connectedDesc
	out <- heardDesc
	out <- appsDesc
}

// Collect is part of prometheus.Collector.
func (m *hubMetrics) Collect(out chan<- prometheus.Metric) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	for name, l := range m.hub.agents {
		connected := 0.0
		if l.current && !l.away {
			connected = 1
		}
		out <- prometheus.MustNewConstMetric(connectedDesc, prometheus.GaugeValue, connected, name)
		out <- prometheus.MustNewConstMetric(appsDesc, prometheus.GaugeValue, float64(len(l.assigned())), name)
		if !l.heard.IsZero() {
			out <- prometheus.MustNewConstMetric(heardDesc, prometheus.GaugeValue, seconds(l.heard), name)
		}
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
