package analyzer

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/service"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	// PrometheusAddress is asked by metrics that name no address.
	PrometheusAddress string
	// ProviderNamespace is where the Secrets of metric providers are, such as datadog and newrelic.
	ProviderNamespace string
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New("rollout-analyzer", getenv, out)
	f.Common(&c.Common)
	// The other name is the one that existing installations set.
	f.Text(
		&c.PrometheusAddress, "prometheus-address", getenv("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS"),
		"asked by metrics that name no address",
	)
	f.Text(
		&c.ProviderNamespace, "provider-namespace", cmp.Or(getenv("POD_NAMESPACE"), "argo-rollouts"),
		"where the Secrets of metric providers are",
	)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return c, err
		}
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return c, nil
}
