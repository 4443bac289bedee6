package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"sigs.k8s.io/yaml"
)

// Service sends messages. It is safe for concurrent use.
type Service interface {
	// Send returns when the target has the message. An error of class poison says that no other try will help.
	Send(ctx context.Context, m Message) error
}

// Env is what services reach the world with.
type Env struct {
	Client *http.Client
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// Publish puts an event on the bus, under a name that is the recipient's. The same id is stored once.
	Publish func(ctx context.Context, id, namespace, name string, data any) error
}

// Kind is a kind of service: one file and one line in the registry.
type Kind struct {
	Name string
	make func(config []byte, env Env) (Service, error)
}

// registry holds each kind once.
func registry() []Kind {
	return []Kind{
		slack, teams, teamsWorkflows, email, webhook, github, natsKind, alertmanager, pagerduty, jira, asana,
	}
}

// Kinds are the names of all kinds.
func Kinds() []string {
	var out []string
	for _, k := range registry() {
		out = append(out, k.Name)
	}
	return out
}

func kindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(registry(), func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return registry()[i], true
}

// decode reads the configuration of a service. Fields that it does not know are for features of upstream that it does
// without, and do not stop it.
func decode[T any](config []byte) (T, error) {
	var out T
	if err := yaml.Unmarshal(config, &out); err != nil {
		return out, fmt.Errorf("its fields cannot be read: %w", err)
	}
	return out, nil
}

// need is an error that names the fields of a configuration that are missing.
func need(fields map[string]string) error {
	var missing []string
	for name, value := range fields {
		if value == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("%s must be set", strings.Join(missing, " and "))
}

const maxAnswer = 64 << 10 // bytes of an answer that are read

// request is one HTTP request of a service.
type request struct {
	method, url string
	header      map[string]string
	body        any // JSON; a []byte is sent as it is
}

// answer is what a target said.
type answer struct {
	status int
	body   []byte
}

// do sends a request. Redirects are not followed: what it carries is for this host.
func do(ctx context.Context, client *http.Client, r request) (answer, error) {
	body, raw := r.body.([]byte)
	if r.body != nil && !raw {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return answer{}, fault.AsPoison(err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fault.AsPoison(err)
	}
	if !raw {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := own.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer{resp.StatusCode, text}, nil
	}
	err = fmt.Errorf("the target answers %d: %s", resp.StatusCode, brief(string(text)))
	if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests &&
		resp.StatusCode != http.StatusRequestTimeout {
		err = fault.AsPoison(err)
	}
	return answer{resp.StatusCode, text}, err
}

// insecure is a client that takes any certificate.
func insecure(client *http.Client) *http.Client {
	transport := &http.Transport{}
	if client != nil {
		if t, is := client.Transport.(*http.Transport); is {
			transport = t.Clone()
		}
	}
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the operator asks for it
	return &http.Client{Transport: transport}
}

func brief(s string) string {
	if len(s) > 300 {
		return s[:300] + "..."
	}
	return s
}
