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
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"k8s.io/apimachinery/pkg/api/resource"
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
	Quota      int64         // bytes of all mirrors
	Agent      string        // name of this agent of a control cluster elsewhere
	Silence    time.Duration // after which an agent elsewhere counts as away
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
	quota := ""
	f.Text(
		&quota, "mirror-quota", "3Gi", "disk that mirrors of repositories may take; those not used for longest go first",
	)
	f.Text(
		&c.Agent, "agent", "",
		"name of this cluster's agent: Applications are then those that a control cluster hands over on the bus",
	)
	f.Span(&c.Silence, "agent-silence", 15*time.Second, "how long agents may be silent before they count as away")
	f.Check(func() error {
		if c.Agent != "" {
			if err := remote.CheckAgent(c.Agent); err != nil {
				return fmt.Errorf("--agent: %w", err)
			}
		}
		if c.Silence < 3*time.Second {
			return fmt.Errorf("--agent-silence: %s is under 3s: agents are heard of every second", c.Silence)
		}
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
		bound, err := resource.ParseQuantity(quota)
		if err != nil || bound.Sign() < 0 {
			return fmt.Errorf("--mirror-quota: %q is no amount of bytes, such as 3Gi", quota)
		}
		c.Quota = bound.Value()
		if c.Refresh < time.Second {
			return fmt.Errorf("--refresh: %s is under a second", c.Refresh)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	if c.Agent != "" {
		c.NATSInbox = "_AGENT." + c.Agent // an agent may not read the answers to others
	}
	return c, nil
}
