package sensor

import (
	"fmt"
	"io"
	"os"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	Files      string       // folder of sources of kind file
	Own        identity.Own // who may use the identity of the service
	Scratch    string       // folder for Git repositories
	KnownHosts string       // file with the host keys of Git servers
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New(events.ServiceSensor, getenv, out)
	f.Common(&c.Common)
	f.Text(&c.Files, "files", "", "folder below which sources of kind file are read; empty means nowhere")
	f.Text(&c.Scratch, "scratch", os.TempDir(), "folder for Git repositories that are read")
	f.Text(&c.KnownHosts, "git-known-hosts", "", "file with the host keys of Git servers, as ssh-keyscan prints them")
	identity.Declare(f, &c.Own)
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return c, nil
}
