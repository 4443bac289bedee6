package pull

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// What is asked of a queue. Source: Argo Events hides messages for 120 s, takes ten
// at once and waits 3 s when there are none.
const (
	storageVersion = "2020-10-02"
	storageHidden  = 120
	storageBatch   = 10
	storageWait    = 3 * time.Second
)

// storageQueue reads a queue of Azure's storage; replicas share it. A message is
// deleted after its event is durable, and has the same id when it comes again.
func storageQueue(c v1alpha1.AzureQueueStorageEventSource) Reader {
	return Reader{Filter: c.Filter, Everywhere: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		a, err := storageAccountOf(ctx, env, c)
		if err != nil {
			return err
		}
		r := storageReader{account: a, client: restClient(), config: c, emit: emit}
		wait := storageWait
		if c.WaitTimeInSeconds > 0 {
			wait = span.Seconds(c.WaitTimeInSeconds)
		}
		for {
			n, err := r.batch(ctx, env.Up)
			if over(ctx) {
				return nil
			}
			if err != nil {
				return err
			}
			if n == 0 && !pause(ctx, wait) {
				return nil
			}
		}
	}}
}

// storageAccount is where the queues are, and what opens them: a key, or a signature
// that goes into the URL.
type storageAccount struct {
	name, place string // place is a URL without a slash at its end
	key         []byte
	signature   string
}

func storageAccountOf(ctx context.Context, env Env, c v1alpha1.AzureQueueStorageEventSource) (storageAccount, error) {
	if c.ConnectionString == nil {
		return storageAccount{}, errors.New("connectionString is needed: Azure identities, which storageAccountName asks for, are not supported by this version")
	}
	text, err := env.secretOf(ctx, c.ConnectionString)
	if err != nil {
		return storageAccount{}, err
	}
	return parseStorage(text)
}

// parseStorage reads a connection string. Source: Azure, "Configure Azure Storage
// connection strings".
func parseStorage(text string) (storageAccount, error) {
	given, err := pairs(text)
	if err != nil {
		return storageAccount{}, err
	}
	out := storageAccount{name: given["accountname"], place: strings.TrimSuffix(given["queueendpoint"], "/"), signature: strings.TrimPrefix(given["sharedaccesssignature"], "?")}
	if out.place == "" && out.name != "" {
		scheme, suffix := given["defaultendpointsprotocol"], given["endpointsuffix"]
		if scheme == "" {
			scheme = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		out.place = scheme + "://" + out.name + ".queue." + suffix
	}
	if u, err := url.Parse(out.place); err != nil || u.Host == "" {
		return storageAccount{}, errors.New("the connection string names neither AccountName nor a QueueEndpoint that is a URL")
	}
	if out.signature != "" {
		return out, nil
	}
	if out.key, err = base64.StdEncoding.DecodeString(given["accountkey"]); err != nil || len(out.key) == 0 || out.name == "" {
		return storageAccount{}, errors.New("the connection string needs AccountName with AccountKey in base64, or SharedAccessSignature")
	}
	return out, nil
}

// request makes a signed request; query is encoded.
func (a storageAccount) request(ctx context.Context, method, path, query string) (*http.Request, error) {
	target := a.place + path + "?" + query
	if a.signature != "" {
		target += "&" + a.signature
	}
	r, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, errors.New("queueName and QueueEndpoint make no URL") // the error may quote the signature
	}
	r.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("x-ms-version", storageVersion)
	if a.signature == "" {
		r.Header.Set("Authorization", "SharedKey "+a.name+":"+a.sign(r))
	}
	return r, nil
}

// sign signs a request without a body. Source: Azure, "Authorize with Shared Key": the
// method, eleven headers that are not sent, the x-ms headers, and the resource with
// its parameters in order.
func (a storageAccount) sign(r *http.Request) string {
	var text strings.Builder
	text.WriteString(r.Method + strings.Repeat("\n", 12))
	for _, name := range []string{"x-ms-date", "x-ms-version"} {
		text.WriteString(name + ":" + r.Header.Get(name) + "\n")
	}
	text.WriteString("/" + a.name + r.URL.EscapedPath())
	var parameters []string
	for name, values := range r.URL.Query() {
		parameters = append(parameters, "\n"+strings.ToLower(name)+":"+strings.Join(values, ","))
	}
	slices.Sort(parameters)
	text.WriteString(strings.Join(parameters, ""))
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(text.String()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// storageReader is a queue while it is read.
type storageReader struct {
	account storageAccount
	client  *http.Client
	config  v1alpha1.AzureQueueStorageEventSource
	emit    Emit
}

// storageMessage is a message as the service writes it.
type storageMessage struct {
	ID       string `xml:"MessageId"`
	Inserted string `xml:"InsertionTime"`
	Receipt  string `xml:"PopReceipt"`
	Text     string `xml:"MessageText"`
}

// batch takes what is there and returns how much that was. up is called when the
// service answered.
func (r storageReader) batch(ctx context.Context, up func()) (int, error) {
	began := time.Now()
	body, err := r.call(ctx, http.MethodGet, "/messages", fmt.Sprintf("numofmessages=%d&visibilitytimeout=%d", storageBatch, storageHidden))
	if err != nil {
		return 0, fmt.Errorf("read queue %s: %w", r.config.QueueName, err)
	}
	var list struct {
		Messages []storageMessage `xml:"QueueMessage"`
	}
	if err := xml.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &list); err != nil {
		return 0, fmt.Errorf("read queue %s: %w", r.config.QueueName, err)
	}
	up()
	for _, m := range list.Messages {
		if time.Since(began) > storageHidden*time.Second/2 {
			break // what is left may be somebody else's by now; it comes again
		}
		if err := r.take(ctx, m); err != nil {
			return 0, err
		}
	}
	return len(list.Messages), nil
}

func (r storageReader) call(ctx context.Context, method, path, query string) ([]byte, error) {
	request, err := r.account.request(ctx, method, "/"+url.PathEscape(r.config.QueueName)+path, query)
	if err != nil {
		return nil, err
	}
	code, body, err := exchange(r.client, request)
	if err != nil {
		return nil, err
	}
	if code/100 == 2 || method == http.MethodDelete && code == http.StatusNotFound { // whoever saw it meanwhile deleted it
		return body, nil
	}
	var said struct {
		Code string `xml:"Code"`
	}
	_ = xml.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &said) // the status says it too
	return nil, fmt.Errorf("the answer is %d %s", code, said.Code)
}

func (r storageReader) take(ctx context.Context, m storageMessage) error {
	data := storageData{ID: m.ID, Content: content(r.config.JSONBody, storageText(r.config.DecodeMessage, m.Text)), Metadata: r.config.Metadata}
	data.Inserted, _ = time.Parse(time.RFC1123, m.Inserted) // zero for what is no time
	data.Inserted = data.Inserted.UTC()
	if err := r.emit(ctx, Key("azureQueueStorage", r.account.place, r.config.QueueName, m.ID), data); err != nil {
		return err
	}
	ctx, cancel := settling(ctx)
	defer cancel()
	if _, err := r.call(ctx, http.MethodDelete, "/messages/"+url.PathEscape(m.ID), "popreceipt="+url.QueryEscape(m.Receipt)); err != nil {
		return fmt.Errorf("delete message %s of queue %s: %w", m.ID, r.config.QueueName, err)
	}
	return nil
}

// storageText is the text of a message, out of base64 where the manifest wants that.
// What is no base64 is taken as it is: upstream drops it.
func storageText(decode bool, text string) []byte {
	if decode {
		for _, form := range []*base64.Encoding{base64.URLEncoding, base64.StdEncoding} {
			if raw, err := form.DecodeString(text); err == nil {
				return raw
			}
		}
	}
	return []byte(text)
}

// storageData is the view. Source: Argo Events, AzureQueueStorageEventData.
type storageData struct {
	Content
	ID       string    `json:"messageID"`
	Inserted time.Time `json:"insertionTime"`
	Metadata Metadata  `json:"metadata,omitempty"`
}
