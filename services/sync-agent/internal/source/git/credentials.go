package git

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Credentials open a repository, and say how it is reached.
type Credentials struct {
	Username, Password string
	BearerToken        string
	// Identity stands for who it is when the password is a token that is renewed; "" when it is not.
	Identity string

	SSHKey     string // a private key, PEM
	KnownHosts string // keys of hosts, as in a file of OpenSSH

	CA         string // PEM, instead of the authorities of the system
	ClientCert string // PEM
	ClientKey  string // PEM
	Insecure   bool   // whoever answers is believed to be who it should be

	Proxy, NoProxy string
}

// identity tells credentials apart: what some may read, others may not.
func (c Credentials) identity() string {
	who := c.Username + "\x00" + c.Password + "\x00" + c.BearerToken
	if c.Identity != "" {
		who = c.Identity
	}
	return strings.Join([]string{
		who, c.SSHKey, c.KnownHosts, c.CA, c.ClientCert, c.ClientKey, fmt.Sprint(c.Insecure), c.Proxy, c.NoProxy,
	}, "\x00")
}

// Header is that of HTTP requests, with its name; "" when there is none.
func (c Credentials) Header() string {
	switch {
	case c.BearerToken != "":
		return "Authorization: Bearer " + c.BearerToken
	case c.Password != "":
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
	}
	return ""
}

// The files of a mirror that hold what git and ssh only take by their names.
const (
	fileKey        = "argosy-ssh-key"
	fileKnownHosts = "argosy-known-hosts"
	fileCA         = "argosy-ca.pem"
	fileCert       = "argosy-cert.pem"
	fileCertKey    = "argosy-cert-key.pem"
)

// write makes the files that are named in the environment. They are as long-lived as the mirror, which is of one
// identity.
func (c Credentials) write(dir string) error {
	for name, text := range map[string]string{
		fileKey: c.SSHKey, fileKnownHosts: c.KnownHosts, fileCA: c.CA, fileCert: c.ClientCert, fileCertKey: c.ClientKey,
	} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(
			filepath.Join(dir, name), []byte(strings.TrimRight(text, "\n")+"\n"), 0o600,
		); err != nil {
			return fmt.Errorf("keep what opens the repository: %w", err)
		}
	}
	return nil
}

// environment is what git is told of credentials: variables, and settings.
func (c Credentials) environment(dir, location string) (env []string, settings [][2]string) {
	at := func(name string) string { return filepath.Join(dir, name) }
	if h := c.Header(); h != "" {
		settings = append(settings, [2]string{"http." + location + ".extraHeader", h})
	}
	if c.Insecure {
		settings = append(settings, [2]string{"http.sslVerify", "false"})
	}
	if c.CA != "" {
		settings = append(settings, [2]string{"http.sslCAInfo", at(fileCA)})
	}
	if c.ClientCert != "" {
		settings = append(settings, [2]string{"http.sslCert", at(fileCert)}, [2]string{"http.sslKey", at(fileCertKey)})
	}
	if c.Proxy != "" {
		settings = append(settings, [2]string{"http.proxy", c.Proxy})
		env = append(env, "no_proxy="+c.NoProxy)
	}
	return append(env, "GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND="+c.ssh(at)), settings
}

// ssh is the command by which git reaches a host: nothing of the machine's settings counts, and a host that is not
// known is refused.
func (c Credentials) ssh(at func(string) string) string {
	words := []string{
		"ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "GlobalKnownHostsFile=/dev/null",
	}
	hosts, check := at(fileKnownHosts), "yes"
	if c.Insecure {
		hosts, check = "/dev/null", "no"
	}
	words = append(words, "-o", "UserKnownHostsFile="+hosts, "-o", "StrictHostKeyChecking="+check)
	if c.SSHKey != "" {
		words = append(words, "-i", at(fileKey))
	}
	for i, w := range words {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// Host is that of a repository in lower case, without port; "" when it has none.
func Host(location string) string {
	if scpStyle(location) {
		_, rest, _ := strings.Cut(location, "@")
		host, _, _ := strings.Cut(rest, ":")
		return strings.ToLower(host)
	}
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
