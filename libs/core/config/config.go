// Package config reads a service's settings from flags with environment
// fallback, all checked at once.
//
// The variable of flag --nats-url is ARGOSY_NATS_URL; a flag on the command line
// wins over the environment, which wins over the default.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Common is what every service needs to know.
type Common struct {
	NATSURL          string        // servers of the bus, comma separated
	NATSUser         string        // user of this service on the bus, may be empty
	NATSPasswordFile string        // file that holds the password, may be empty
	NATSInbox        string        // prefix of answers; "" is the library's
	Kubeconfig       string        // path of a kubeconfig; empty means in-cluster
	HTTPAddress      string        // listen address of /healthz, /readyz and /metrics
	ProfileAddress   string        // loopback address of profiles, empty for none
	Drain            time.Duration // how long a stop may take in total
	LogLevel         string        // debug, info, warn or error
	Instance         string        // unique name of this replica
}

// Flags is a flag set whose flags fall back to the environment.
type Flags struct {
	*flag.FlagSet
	getenv func(string) string
	checks []func() error
}

// New starts the flags of the named command.
func New(name string, getenv func(string) string, out io.Writer) *Flags {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(out)
	return &Flags{FlagSet: set, getenv: getenv}
}

// EnvName is the variable that stands for a flag.
func EnvName(name string) string {
	return "ARGOSY_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Text declares a string setting.
func (f *Flags) Text(target *string, name, fallback, usage string) {
	if v := f.getenv(EnvName(name)); v != "" {
		fallback = v
	}
	f.StringVar(target, name, fallback, usage+" [$"+EnvName(name)+"]")
}

// Span declares a duration setting; an unreadable environment value is an error
// of Parse, not a silent default.
func (f *Flags) Span(target *time.Duration, name string, fallback time.Duration, usage string) {
	if v := f.getenv(EnvName(name)); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			f.Check(func() error { return fmt.Errorf("$%s: %q is not a duration such as 20s", EnvName(name), v) })
		}
		fallback = d
	}
	f.DurationVar(target, name, fallback, usage+" [$"+EnvName(name)+"]")
}

// Number declares a setting that is a number from zero on.
func (f *Flags) Number(target *int, name string, fallback int, usage string) {
	if v := f.getenv(EnvName(name)); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			f.Check(func() error { return fmt.Errorf("$%s: %q is not a number", EnvName(name), v) })
		}
		fallback = n
	}
	f.IntVar(target, name, fallback, usage+" [$"+EnvName(name)+"]")
	f.Check(func() error {
		if *target < 0 {
			return fmt.Errorf("--%s: %d is below zero", name, *target)
		}
		return nil
	})
}

// Check adds a validation that Parse runs after reading all values.
func (f *Flags) Check(check func() error) { f.checks = append(f.checks, check) }

// Parse reads args and validates everything at once. flag.ErrHelp is returned
// as it is.
func (f *Flags) Parse(args []string) error {
	if err := f.FlagSet.Parse(args); err != nil {
		return err
	}
	var errs []error
	if f.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	for _, check := range f.checks {
		errs = append(errs, check())
	}
	return errors.Join(errs...)
}

// Common declares the settings that all services share.
func (f *Flags) Common(c *Common) {
	f.Text(&c.NATSURL, "nats-url", "nats://127.0.0.1:4222", "servers of the bus, comma separated")
	f.Text(&c.NATSUser, "nats-user", "", "user of this service on the bus")
	f.Text(&c.NATSPasswordFile, "nats-password-file", "", "file that holds the bus password")
	f.Text(&c.Kubeconfig, "kubeconfig", f.getenv("KUBECONFIG"), "kubeconfig; empty means in-cluster")
	f.Text(&c.HTTPAddress, "http-address", ":8080", "address of /healthz, /readyz and /metrics")
	f.Text(
		&c.ProfileAddress, "profile-address", "",
		"loopback address of profiles for go tool pprof, such as 127.0.0.1:6060; empty serves none",
	)
	f.Span(&c.Drain, "drain", 20*time.Second, "how long a stop may take")
	f.Text(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	host, _ := os.Hostname()
	f.Text(&c.Instance, "instance", host, "unique name of this replica")
	f.Check(c.validate)
}

func (c *Common) validate() error {
	var errs []error
	for server := range strings.SplitSeq(c.NATSURL, ",") {
		if u, err := url.Parse(server); err != nil || u.Host == "" {
			errs = append(errs, fmt.Errorf("--nats-url: %q is not a server address such as nats://host:4222", server))
		}
	}
	if c.ProfileAddress != "" && !loopback(c.ProfileAddress) {
		errs = append(
			errs,
			fmt.Errorf(
				"--profile-address: %q is not a loopback address with a port, such as 127.0.0.1:6060: profiles show what is in memory",
				c.ProfileAddress,
			),
		)
	}
	if c.Drain <= 0 {
		errs = append(errs, fmt.Errorf("--drain: %s is not above zero", c.Drain))
	}
	if c.Instance == "" {
		errs = append(errs, errors.New("--instance: must not be empty"))
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		errs = append(errs, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", c.LogLevel))
	}
	return errors.Join(errs...)
}

// Password reads the bus password; "" when no file is set.
func (c *Common) Password() (string, error) {
	if c.NATSPasswordFile == "" {
		return "", nil
	}
	raw, err := os.ReadFile(c.NATSPasswordFile)
	if err != nil {
		return "", fmt.Errorf("--nats-password-file: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// loopback reports whether only this machine, or this pod, reaches an address.
func loopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().IsLoopback()
}
