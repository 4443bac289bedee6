package trigger

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/amazon/amazontest"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestAFunctionIsInvokedByTheIdentityOfTheService(t *testing.T) {
	keys := amazontest.Keys{ID: "POD", Secret: "secret", Token: "session"}
	const trigger = `template: {name: t, awsLambda: {functionName: f, region: eu-west-1, payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]}}`
	for name, c := range map[string]struct {
		environment          func(*amazontest.Services)
		role, asked, by, tok string
	}{
		"web identity": {(*amazontest.Services).WebIdentity, "", "web identity", "POD", "session"},
		"container":    {(*amazontest.Services).Container, "", "container", "POD", "session"},
		"machine":      {(*amazontest.Services).Machine, "", "machine", "POD", "session"},
		"a role": {
			(*amazontest.Services).Container, "arn:r", "container, role arn:r as argosy by POD session", "ROLE",
			"second",
		},
	} {
		t.Run(name, func(t *testing.T) {
			services, x := amazontest.Start(
				t, keys, amazontest.Keys{ID: "ROLE", Secret: "other", Token: "second"},
			), newTarget(t)
			c.environment(services)
			w := world(t)
			a := newLambda(w).(*functions)
			a.endpoint = x.URL
			call := callOf(t, strings.Replace(trigger, "functionName", "roleARN: '"+c.role+"', functionName", 1))
			if _, err := a.Fire(
				t.Context(), call,
			); fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "--"+identity.Flag) ||
				services.Asked() != "" {
				t.Errorf("a namespace that may not: %v; asked %q", err, services.Asked())
			}
			w.Own = identity.For("ns")
			a = newLambda(w).(*functions)
			a.endpoint = x.URL
			if _, err := a.Fire(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			h := x.got[0].Header
			if !strings.Contains(h.Get("Authorization"), "Credential="+c.by+"/") ||
				!strings.Contains(h.Get("Authorization"), "/eu-west-1/lambda/aws4_request") ||
				h.Get("X-Amz-Security-Token") != c.tok ||
				services.Asked() != c.asked {
				t.Errorf("%v; asked %q", h, services.Asked())
			}
		})
	}
}

// caught notes a request and says that it was stored.
type caught struct{ got *http.Request }

// RoundTrip answers as Event Hubs and Service Bus do.
func (c *caught) RoundTrip(r *http.Request) (*http.Response, error) {
	c.got = r
	return &http.Response{
		StatusCode: http.StatusCreated, Status: "201 Created", Request: r, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader("")),
	}, nil
}

func TestAzureTakesTheIdentityOfTheService(t *testing.T) {
	secrets["own"], secrets["elsewhere"] = "Endpoint=sb://acme.servicebus.windows.net/", "Endpoint=sb://example.com/"
	const payload = "payload: [{src: {dependencyName: d, dataKey: body}, dest: m}]"
	for name, c := range map[string]struct {
		environment         func(*entratest.Services)
		made                func(World) (Adapter, *pool[*http.Client])
		trigger, to, wanted string
	}{
		"a hub by web identity": {
			(*entratest.Services).WebIdentity,
			func(w World) (Adapter, *pool[*http.Client]) { a := newEventHubs(w).(*hubs); return a, a.clients },
			`template: {name: t, azureEventHubs: {fqdn: acme.servicebus.windows.net, hubName: h, ` + payload + `}}`,
			"https://acme.servicebus.windows.net/h/messages", "web identity for https://eventhubs.azure.net/.default",
		},
		"a queue by the machine": {
			func(*entratest.Services) {}, func(w World) (Adapter, *pool[*http.Client]) {
				a := newServiceBus(w).(*queues)
				return a, a.clients
			},
			`template: {name: t, azureServiceBus: {queueName: q, connectionString: {name: s, key: own}, ` + payload + `}}`,
			"https://acme.servicebus.windows.net/q/messages", "machine for https://servicebus.azure.net",
		},
	} {
		t.Run(name, func(t *testing.T) {
			services := entratest.Start(t)
			c.environment(services)
			w := world(t)
			w.Entra = func() (azcore.TokenCredential, error) { return entra.Credential(services.Client()) }
			if _, err := fire(
				t, w, c.trigger,
			); fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "--"+identity.Flag) ||
				services.Asked() != "" {
				t.Errorf("a namespace that may not: %v", err)
			}
			w.Own = identity.For("ns")
			a, clients := c.made(w)
			sent := &caught{}
			if _, err := clients.get(
				(*v1alpha1.EventTLSConfig)(nil),
				func() (*http.Client, error) { return &http.Client{Transport: sent}, nil },
			); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Fire(t.Context(), callOf(t, c.trigger)); err != nil {
				t.Fatal(err)
			}
			if sent.got.URL.String() != c.to || sent.got.Header.Get("Authorization") != "Bearer "+entratest.Token ||
				services.Asked() != c.wanted {
				t.Errorf("%s %v; asked %q", sent.got.URL, sent.got.Header, services.Asked())
			}
			for _, elsewhere := range []string{
				`template: {name: t, azureEventHubs: {fqdn: example.com, hubName: h, ` + payload + `}}`,
				`template: {name: t, azureEventHubs: {fqdn: "http://acme.servicebus.windows.net", hubName: h, ` + payload + `}}`,
				`template: {name: t, azureServiceBus: {queueName: q, connectionString: {name: s, key: elsewhere}, ` + payload + `}}`,
			} {
				if _, err := fire(t, w, elsewhere); fault.Of(err) != fault.Poison ||
					!strings.Contains(err.Error(), "servicebus.windows.net") {
					t.Errorf("a token for %s: %v", elsewhere, err)
				}
			}
		})
	}
}

func TestAthenzReadsNoFilesOfTheService(t *testing.T) {
	x := newPulsar(world(t)).(*topics)
	for name, c := range map[string]struct{ params, key string }{
		"a file": {
			"privateKey: 'file:///etc/passwd', providerDomain: p, tenantDomain: t, tenantService: s, ztsUrl: u",
			"token",
		},
		"a chain": {
			"x509CertChain: 'file:///x', providerDomain: p, tenantDomain: t, tenantService: s, ztsUrl: u", "token",
		},
		"no domain": {"tenantDomain: t, tenantService: s, ztsUrl: u", "token"},
		"":          {"providerDomain: p, tenantDomain: t, tenantService: s, ztsUrl: u", "token"},
	} {
		call := callOf(
			t,
			"template: {name: t, pulsar: {url: 'pulsar://h', topic: t, payload: [], authAthenzParams: {"+c.params+"}, authAthenzSecret: {name: s, key: "+c.key+"}}}",
		)
		got, err := x.athenz(t.Context(), call, call.Template.Pulsar)
		if name == "" {
			if err != nil || got["privateKey"] != "data:application/x-pem-file;base64,dDBrZW4=" ||
				got["providerDomain"] != "p" {
				t.Errorf("%v, %v", got, err)
			}
		} else if fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequestsDoNotReachWhereIdentitiesAreGivenOut(t *testing.T) {
	for _, address := range []string{"169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"} {
		_, err := fire(
			t, world(t),
			`template: {name: t, http: {url: "http://`+address+`/latest/meta-data", method: GET, payload: []}}`,
		)
		if fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), "identities") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
