package ingest

import (
	"fmt"
	"io"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	Listen    string // address of the hooks
	LogDir    string // where events are kept while the bus is away
	LogBudget int    // bytes on disk for that
	Own       identity.Own
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New(events.ServiceWebhookIngest, getenv, out)
	f.Common(&c.Common)
	f.Text(&c.Listen, "listen", ":12000", "address where hooks arrive")
	f.Text(&c.LogDir, "local-log", "/var/lib/argosy/ingest", "folder of the local log, used while the bus is away")
	f.IntVar(&c.LogBudget, "local-log-bytes", 1<<30, "disk budget of the local log; over it hooks are answered 503")
	identity.Declare(f, &c.Own)
	f.Check(func() error {
		if c.LogBudget < 1<<20 {
			return fmt.Errorf("--local-log-bytes: %d is under 1 MiB", c.LogBudget)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return c, nil
}
