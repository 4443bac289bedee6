package trigger

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// tokenLife is how long a signature counts; each request is signed anew.
const tokenLife = 5 * time.Minute

// azure speaks the REST interface of Event Hubs and Service Bus: one request per
// message, answered when it is stored, with the same keys as AMQP, or with a token of
// the identity of this process. ADR-0018, ADR-0060.
type azure struct {
	world   World
	clients *pool[*http.Client]
	field   string // that names a key
	scope   string // of tokens

	mu  sync.Mutex
	own azcore.TokenCredential // the identity of this process, once it was asked for
}

// Close closes the connections.
func (x *azure) Close() error { return x.clients.Close() }

// delivery is one message for a queue, topic or hub.
type delivery struct {
	host, entity  string // host may begin with a scheme
	keyName, key  string
	body          []byte
	brokerSettled map[string]string // BrokerProperties
	secure        *v1alpha1.EventTLSConfig
}

func (x *azure) send(ctx context.Context, c Call, d delivery) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	host := d.host
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	target := strings.TrimSuffix(host, "/") + "/" + d.entity
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"/messages", bytes.NewReader(d.body))
	if err != nil {
		return Result{}, fault.AsPoison(err)
	}
	r.Header.Set("Content-Type", "application/json")
	proof, err := x.proof(ctx, c, d, target)
	if err != nil {
		return Result{}, err
	}
	r.Header.Set("Authorization", proof)
	r.Header.Set(idHeader, c.Key)
	if len(d.brokerSettled) > 0 {
		properties, err := json.Marshal(d.brokerSettled)
		if err != nil {
			return Result{}, fault.AsPoison(err)
		}
		r.Header.Set("BrokerProperties", string(properties))
	}
	client, err := x.clients.get(d.secure, func() (*http.Client, error) {
		cfg, err := x.world.Values.TLS(ctx, c.Sensor.Namespace, d.secure)
		if err != nil {
			return nil, err
		}
		return newClient(cfg), nil
	})
	if err != nil {
		return Result{}, err
	}
	return exchange(client, r, nil)
}

// proof lets a message in: a signature by the key of the manifest, or a token of the identity of this process where the
// manifest names no key and its namespace may use it. A token is sent to Azure alone.
func (x *azure) proof(ctx context.Context, c Call, d delivery, target string) (string, error) {
	if d.key != "" {
		return signature(target, d.keyName, d.key, x.world.Now().Add(tokenLife)), nil
	}
	if err := x.world.Own.Allow(c.Sensor.Namespace, x.field+" without a key", x.field); err != nil {
		return "", err
	}
	to, err := url.Parse(target)
	if err != nil || to.Scheme != "https" || !entra.Azures(to.Hostname()) {
		return "", fault.Poisonf(
			"%s: without a key %s is reached as a server of Azure such as name.servicebus.windows.net, which it is not",
			x.field, target,
		)
	}
	own, err := x.identity()
	if err != nil {
		return "", err
	}
	token, err := own.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{x.scope}})
	if err != nil {
		return "", fmt.Errorf("ask Microsoft Entra for a token: %w", err)
	}
	return "Bearer " + token.Token, nil
}

func (x *azure) identity() (azcore.TokenCredential, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.own != nil {
		return x.own, nil
	}
	find := x.world.Entra
	if find == nil {
		find = func() (azcore.TokenCredential, error) { return entra.Credential(nil) }
	}
	var err error
	x.own, err = find()
	return x.own, err
}

// signature is a shared access signature. Source: Azure, "Shared Access Signature":
// an HMAC-SHA256 over the escaped resource and the time when it ends.
func signature(resource, keyName, key string, ends time.Time) string {
	escaped := url.QueryEscape(strings.ToLower(resource))
	expiry := strconv.FormatInt(ends.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(escaped + "\n" + expiry))
	sum := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return "SharedAccessSignature sr=" + escaped + "&sig=" + sum + "&se=" + expiry + "&skn=" + url.QueryEscape(keyName)
}

// hubs is the azureEventHubs trigger.
type hubs struct{ azure }

func newEventHubs(w World) Adapter {
	return &hubs{
		azure{
			world: w, clients: newClients(), field: "azureEventHubs.sharedAccessKey",
			scope: "https://eventhubs.azure.net/.default",
		},
	}
}

// Fire sends the payload to the hub.
func (x *hubs) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.AzureEventHubs, c.Template.AzureEventHubs.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("azureEventHubs.%w", err)
	}
	d := delivery{host: t.FQDN, entity: t.HubName}
	if d.body, err = c.Fill.Payload(t.Payload); err != nil {
		return Result{}, fault.Poisonf("azureEventHubs.%w", err)
	}
	if t.SharedAccessKey == nil {
		return x.send(ctx, c, d)
	}
	if d.keyName, err = x.world.Values.Value(ctx, c.Sensor.Namespace, &t.SharedAccessKeyName); err != nil {
		return Result{}, err
	}
	if d.key, err = x.world.Values.Value(ctx, c.Sensor.Namespace, t.SharedAccessKey); err != nil {
		return Result{}, err
	}
	return x.send(ctx, c, d)
}

// queues is the azureServiceBus trigger.
type queues struct{ azure }

func newServiceBus(w World) Adapter {
	return &queues{
		azure{
			world:   w,
			clients: newClients(),
			field:   "azureServiceBus.connectionString with SharedAccessKey",
			scope:   "https://servicebus.azure.net/.default",
		},
	}
}

// Fire sends the payload to the queue or topic. The key is the MessageId, by which a
// queue with duplicate detection drops the second of two.
func (x *queues) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.AzureServiceBus, c.Template.AzureServiceBus.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("azureServiceBus.%w", err)
	}
	text, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.ConnectionString)
	if err != nil {
		return Result{}, err
	}
	d, err := connection(text)
	if err != nil {
		return Result{}, err
	}
	switch {
	case t.QueueName != "":
		d.entity = t.QueueName
	case t.TopicName != "":
		d.entity = t.TopicName
	case d.entity == "":
		return Result{}, fault.Poisonf("azureServiceBus: neither queueName nor topicName is given")
	}
	if d.body, err = c.Fill.Payload(t.Payload); err != nil {
		return Result{}, fault.Poisonf("azureServiceBus.%w", err)
	}
	d.brokerSettled, d.secure = map[string]string{"MessageId": c.Key}, t.TLS
	return x.send(ctx, c, d)
}

// connection reads Endpoint=sb://host/;SharedAccessKeyName=n;SharedAccessKey=k, or the endpoint alone. The
// text is a secret, and stands in no error.
func connection(text string) (delivery, error) {
	var d delivery
	for part := range strings.SplitSeq(strings.TrimSpace(text), ";") {
		name, v, _ := strings.Cut(part, "=")
		switch strings.ToLower(name) {
		case "endpoint":
			d.host = strings.TrimSuffix(v, "/")
			if rest, ok := strings.CutPrefix(d.host, "sb://"); ok {
				d.host = "https://" + rest
			}
		case "sharedaccesskeyname":
			d.keyName = v
		case "sharedaccesskey":
			d.key = v
		case "entitypath":
			d.entity = v
		}
	}
	if d.host == "" || (d.keyName == "") != (d.key == "") {
		return d, fault.AsPoison(
			fmt.Errorf(
				"azureServiceBus.connectionString: one of Endpoint, SharedAccessKeyName, SharedAccessKey is missing",
			),
		)
	}
	return d, nil
}
