package analyzer

import (
	"fmt"
	"io"

	"github.com/argosy-mesh/argosy/libs/core/config"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	// PrometheusAddress is asked by metrics that name no address.
	PrometheusAddress string
	// TraceEndpoint receives traces; empty means that none are exported.
	TraceEndpoint string
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	c := Config{TraceEndpoint: getenv("OTEL_EXPORTER_OTLP_ENDPOINT")}
	f := config.New("rollout-analyzer", getenv, out)
	f.Common(&c.Common)
	// The other name is the one that existing installations set.
	f.Text(&c.PrometheusAddress, "prometheus-address", getenv("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS"), "asked by metrics that name no address")
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	return c, nil
}
