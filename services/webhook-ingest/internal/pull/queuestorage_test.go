package pull

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/entra/entratest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// storaged answers as the queue service of Azure's storage does, to who signs with
// the key "key". A message that was received is hidden until the test shows it again.
type storaged struct {
	mu       sync.Mutex
	messages string // of the list
	hidden   bool
	deleted  []string
	asked    string
	token    string // opens the queue too; "" for none
	refuse   int    // the status of an answer that is none
}

// sharedKeyText is what is signed of a request. Source: Azure, "Authorize with Shared Key".
func sharedKeyText(r *http.Request) string {
	lines := []string{r.Method}
	for _, name := range []string{
		"Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date",
		"If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
	} {
		lines = append(lines, r.Header.Get(name))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-ms-") {
			lines = append(lines, lower+":"+r.Header.Get(name))
		}
	}
	lines = append(lines, "/account"+r.URL.EscapedPath())
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		lines = append(lines, name+":"+strings.Join(query[name], ","))
	}
	return strings.Join(lines, "\n")
}

const storageList = "\ufeff" + `<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>` +
	`<QueueMessage><MessageId>m1</MessageId><InsertionTime>Tue, 14 Nov 2023 22:13:20 GMT</InsertionTime><PopReceipt>r/1=</PopReceipt><MessageText>eyJuIjoxfQ==</MessageText></QueueMessage>` +
	`<QueueMessage><MessageId>m2</MessageId><InsertionTime>Tue, 14 Nov 2023 22:13:21 GMT</InsertionTime><PopReceipt>r2</PopReceipt><MessageText>no base64 &amp; no JSON</MessageText></QueueMessage></QueueMessagesList>`

func (s *storaged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte(sharedKeyText(r)))
	signed := r.Header.Get("Authorization") == "SharedKey account:"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) ||
		r.URL.Query().Get("sig") == "token" ||
		s.token != "" && r.Header.Get("Authorization") == "Bearer "+s.token
	switch {
	case !signed:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "\ufeff<Error><Code>AuthenticationFailed</Code><Message>long</Message></Error>")
	case s.refuse != 0:
		w.WriteHeader(s.refuse)
	case r.Method == http.MethodDelete:
		s.deleted = append(
			s.deleted, strings.TrimPrefix(r.URL.Path, "/orders/messages/")+":"+r.URL.Query().Get("popreceipt"),
		)
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path != "/orders/messages":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<Error><Code>QueueNotFound</Code></Error>")
	case s.hidden:
		fmt.Fprint(w, "<QueueMessagesList/>")
	default:
		s.asked, s.hidden = r.URL.RawQuery, true
		fmt.Fprint(w, s.messages)
	}
}

func (s *storaged) show() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = false
}

func (s *storaged) gone(want string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.deleted, " "); got != want {
		return fmt.Errorf("deleted %q, want %q", got, want)
	}
	return nil
}

func newStoraged(t *testing.T) (s *storaged, place string) {
	t.Helper()
	s = &storaged{messages: storageList}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func TestAStoredMessageIsDeletedWhenItIsDurable(t *testing.T) {
	s, place := newStoraged(t)
	secretData["storage"] = "AccountName=account;AccountKey=a2V5;QueueEndpoint=" + place + "/"
	secretData["signed"] = "QueueEndpoint=" + place + ";SharedAccessSignature=?sv=1&sig=token"
	r := newRig(t)
	c := v1alpha1.AzureQueueStorageEventSource{
		QueueName: "orders", ConnectionString: ref("storage"), DecodeMessage: true, JSONBody: true,
		Metadata: map[string]string{"k": "v"},
	}
	var seen told
	r.refuse = func(e told) bool { seen = e; return e.get("messageID") == "m2" }
	if err := storageQueue(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("an event that is not durable ends the reading")
	}
	if err := s.gone("m1:r/1="); err != nil {
		t.Error(err)
	}
	first := r.next()
	if first.get("body.n") != "1" || first.get("insertionTime") != "2023-11-14T22:13:20Z" ||
		first.get("metadata.k") != "v" ||
		first.id == "" {
		t.Errorf("%+v", first)
	}
	r.refuse = nil
	s.show()
	c.ConnectionString = ref("signed") // the other way to be let in
	stop := r.start(storageQueue(c))
	if again := r.next(); again.id != first.id {
		t.Errorf("%+v: the same message has the same id", again)
	}
	if e := r.next(); e.get("body") != "no base64 & no JSON" || e.id != seen.id || e.id == first.id {
		t.Errorf("%+v, before %+v", e, seen)
	}
	eventually(t, "delete both", func() error { return s.gone("m1:r/1= m1:r/1= m2:r2") })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestStoredMessagesAsTheyAre(t *testing.T) {
	s, place := newStoraged(t)
	secretData["storage"] = "AccountName=account;AccountKey=a2V5;QueueEndpoint=" + place
	r := newRig(t)
	r.start(
		storageQueue(
			v1alpha1.AzureQueueStorageEventSource{
				QueueName: "orders", ConnectionString: ref("storage"), WaitTimeInSeconds: 1,
			},
		),
	)
	if e := r.next(); e.get("body") != "ZXlKdUlqb3hmUT09" { // base64 of the text, which is base64
		t.Errorf("%+v", e)
	}
	r.next()
	s.show() // after a pause the queue is asked again
	r.next()
}

func TestStorageThatCannotBeRead(t *testing.T) {
	s, place := newStoraged(t)
	secretData["storage"] = "AccountName=account;AccountKey=a2V5;QueueEndpoint=" + place
	secretData["other key"] = "AccountName=account;AccountKey=b3RoZXI=;QueueEndpoint=" + place
	maps.Copy(
		secretData,
		map[string]string{
			"no account key": "AccountName=account",
			"bad key":        "AccountName=a;AccountKey=!",
			"nowhere":        "AccountKey=a2V5",
			"no pairs":       "words",
			"hidden":         "QueueEndpoint=http://127.0.0.1:1;SharedAccessSignature=sv=1&sig=a2V5",
		},
	)
	r := newRig(t)
	read := func(c v1alpha1.AzureQueueStorageEventSource) error {
		if c.QueueName == "" {
			c.QueueName = "orders"
		}
		return storageQueue(c).Run(t.Context(), r.env, r.emit)
	}
	for _, name := range []string{"no account key", "bad key", "nowhere", "no pairs", "hidden"} {
		if err := read(
			v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref(name)},
		); err == nil || strings.Contains(err.Error(), "a2V5") ||
			strings.Contains(err.Error(), "words") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		config v1alpha1.AzureQueueStorageEventSource
		says   string
	}{
		"identity": {v1alpha1.AzureQueueStorageEventSource{StorageAccountName: "account"}, "--identity-namespaces"},
		"no name": {
			v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref("storage"), QueueName: "a/b"},
			"no name of a queue",
		},
		"no secret": {v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref("empty")}, "no key"},
		"other key": {
			v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref("other key")}, "403 AuthenticationFailed",
		},
		"no queue": {
			v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref("storage"), QueueName: "none"},
			"404 QueueNotFound",
		},
	} {
		if err := read(c.config); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.messages = "no XML <"
	if err := read(
		v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref("storage"), QueueName: "orders"},
	); err == nil {
		t.Error("an answer that is no list")
	}
	s.refuse = http.StatusServiceUnavailable
	if err := read(
		v1alpha1.AzureQueueStorageEventSource{ConnectionString: ref("storage"), QueueName: "orders"},
	); err == nil ||
		!strings.Contains(err.Error(), "503") {
		t.Errorf("an answer that is none: %v", err)
	}
}

func TestWhereStorageIs(t *testing.T) {
	for text, want := range map[string]string{
		"AccountName=a;AccountKey=a2V5": "https://a.queue.core.windows.net",
		"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn": "http://a.queue.core.chinacloudapi.cn",
		"QueueEndpoint=http://h:1/a/;AccountName=a;AccountKey=a2V5":                                        "http://h:1/a",
		"QueueEndpoint=https://h;SharedAccessSignature=sv=1&sig=x":                                         "https://h",
	} {
		client, err := azqueue.NewQueueClientFromConnectionString(text, "orders", nil)
		if err != nil {
			t.Fatal(text, err)
		}
		if got := storagePlace(client.URL(), "orders"); got != want { // ids of events hold it
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestAStorageQueueIsReadByTheIdentityOfTheService(t *testing.T) {
	for want, environment := range map[string]func(*entratest.Services){
		"web identity for https://storage.azure.com/.default": (*entratest.Services).WebIdentity,
		"machine for https://storage.azure.com":               func(*entratest.Services) {},
	} {
		t.Run(want, func(t *testing.T) {
			services := entratest.Start(t)
			environment(services)
			s := &storaged{messages: storageList, token: entratest.Token}
			server := httptest.NewTLSServer(s)
			t.Cleanup(server.Close)
			r := newRig(t)
			r.env.Own = identity.For("ns")
			r.env.azure.entra = func() (azcore.TokenCredential, error) { return entra.Credential(services.Client()) }
			r.env.azure.client = &http.Client{
				Transport: &http.Transport{
					TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true},
					DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
						if address != "acme.queue.core.windows.net:443" {
							t.Errorf("reached %s", address)
						}
						return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
					},
				},
			}
			r.start(
				storageQueue(v1alpha1.AzureQueueStorageEventSource{QueueName: "orders", StorageAccountName: "acme"}),
			)
			if e := r.next(); e.get("messageID") != "m1" || services.Asked() != want {
				t.Errorf("%+v; asked %q", e, services.Asked())
			}
		})
	}
}

func TestAnExchangeIsBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		_, _ = w.Write(make([]byte, restMost+1))
	}))
	t.Cleanup(server.Close)
	request := func(target string) (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		code, _, err := exchange(restClient(), r)
		return code, err
	}
	if _, err := request(server.URL); err == nil {
		t.Error("an answer that is too large")
	}
	if code, err := request(server.URL + "/away"); err != nil || code != http.StatusFound {
		t.Errorf("a redirect is followed: %d, %v", code, err)
	}
	if _, err := request("http://127.0.0.1:1/?sig=hidden"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
}
