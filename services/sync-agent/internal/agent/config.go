package agent

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/appset"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	CacheDir   string        // where mirrors are kept; may be lost
	Refresh    time.Duration // how old an answer of Git may get without any event
	Control    string        // namespace whose applications use their bare name for tracking, and of repository Secrets
	Insecure   string        // registries that are reached by plain HTTP
	Author     string        // of commits
	AllowFiles string        // "true" allows file:// repositories
	WaveDelay  time.Duration // between waves of a sync
	Namespaces string        // further namespaces of Applications
	Account    string        // namespace:name of the service account that writes
	SetPolicy  string        // what ApplicationSets may do to Applications that are there
	SetOwn     string        // "true" lets an ApplicationSet that names a policy have its own
	SCM        string        // forges that ApplicationSets may ask
	Own        identity.Own  // whose Applications may use the cloud identity of the agent
	Plugins    string        // folder of the sockets of config management plugins
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New(events.ServiceSyncAgent, getenv, out)
	f.Common(&c.Common)
	identity.Declare(f, &c.Own)
	f.Text(&c.CacheDir, "cache-dir", "/var/cache/argosy", "folder of the repository mirrors; may be lost")
	f.Span(&c.Refresh, "refresh", 3*time.Minute, "how often Git is asked when no event comes")
	f.Text(
		&c.Control, "control-namespace", "argocd",
		"namespace of repository Secrets; its Applications mark objects by their bare name",
	)
	f.Text(&c.Insecure, "insecure-registry", "registry.local:5000", "registries reached by plain HTTP, comma separated")
	f.Text(&c.Author, "commit-author", "argosy <argosy@localhost>", "author of image commits, as name <address>")
	f.Text(
		&c.AllowFiles, "allow-file-repositories", "false", "true allows file:// repositories, for tests on one machine",
	)
	f.Text(
		&c.Namespaces, "application-namespaces", "",
		"further namespaces whose Applications are taken, comma separated patterns; their projects must list them, too",
	)
	f.Text(
		&c.Account, "deploy-account", "",
		"service account that writes where a project names none, as namespace:name; empty: the agent's own",
	)
	f.Span(
		&c.WaveDelay, "sync-wave-delay", 2*time.Second, "the least time between two waves of a sync, for controllers to see it",
	)
	f.Text(
		&c.SetPolicy, "applicationset-policy", "",
		"what all ApplicationSets may do: create-only, create-update, create-delete or sync; empty leaves it to each",
	)
	f.Text(
		&c.SetOwn, "applicationset-policy-override", "false",
		"true has the policy of an ApplicationSet that names one win over --applicationset-policy",
	)
	f.Text(
		&c.SCM, "allowed-scm-providers", "",
		"URLs of forges that ApplicationSets may ask, comma separated patterns; empty is all, in the control namespace alone",
	)
	f.Text(
		&c.Plugins, "plugin-sockets", render.PluginSockets,
		"folder of the sockets of config management plugins, which are sidecars",
	)
	f.Check(func() error {
		if err := appset.CheckPolicy(c.SetPolicy); err != nil {
			return fmt.Errorf("--applicationset-policy: %w", err)
		}
		if name, address, ok := strings.Cut(c.Author, " <"); !ok || name == "" || !strings.HasSuffix(address, ">") {
			return fmt.Errorf("--commit-author: %q is not of the form name <address>", c.Author)
		}
		if namespace, name, ok := strings.Cut(c.Account, ":"); c.Account != "" && (!ok || namespace == "" ||
			name == "") {
			return fmt.Errorf("--deploy-account: %q is not of the form namespace:name", c.Account)
		}
		if c.Refresh < time.Second {
			return fmt.Errorf("--refresh: %s is under a second", c.Refresh)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return c, nil
}
