package pull

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the service's signatures are made of it
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/alibaba"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// What is asked of a queue. Source: Alibaba Cloud, BatchReceiveMessage: at most 16
// messages, and waiting for up to 30 s. How long they are hidden is a setting of the
// queue, 30 s where nothing else is said.
const (
	mnsVersion = "2015-06-06"
	mnsBatch   = 16
	mnsWait    = 10
	mnsHidden  = 30 * time.Second
)

// mnsQueue reads a queue of Alibaba Cloud's MNS; replicas share it. A message is
// deleted after its event is durable, and has the same id when it comes again.
func mnsQueue(c v1alpha1.MNSEventSource) Reader {
	return Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		r := mnsReader{config: c, client: restClient(), emit: emit}
		if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" {
			return fmt.Errorf("endpoint %q is no URL", c.Endpoint)
		}
		var err error
		if r.access, err = env.secretOf(ctx, c.AccessKey); err != nil {
			return err
		}
		if r.secret, err = env.secretOf(ctx, c.SecretKey); err != nil {
			return err
		}
		switch {
		case (r.access == "") != (r.secret == ""):
			return errors.New("accessKey and secretKey come together")
		case r.access == "":
			if err := env.Own.Allow(env.Namespace, "mns without accessKey", "accessKey and secretKey"); err != nil {
				return err
			}
			r.own = alibaba.Default()
		}
		for wait := 0; ; wait = mnsWait { // the first answer tells that the queue is there
			err := r.batch(ctx, wait)
			if over(ctx) {
				return nil
			}
			if err != nil {
				return err
			}
			env.Up()
		}
	}}
}

// mnsReader is a queue while it is read.
type mnsReader struct {
	config         v1alpha1.MNSEventSource
	access, secret string
	own            *alibaba.Chain // the identity of this process; nil where keys are given
	client         *http.Client
	emit           Emit
}

// mnsMessage is a message as the service writes it.
type mnsMessage struct {
	ID     string `xml:"MessageId"`
	Handle string `xml:"ReceiptHandle"`
	Body   string `xml:"MessageBody"`
}

// errNoMessage is the service's way of saying that a queue is empty.
var errNoMessage = errors.New("MessageNotExist")

func (r mnsReader) batch(ctx context.Context, wait int) error {
	body, err := r.call(ctx, http.MethodGet, fmt.Sprintf("numOfMessages=%d&waitseconds=%d", mnsBatch, wait))
	if errors.Is(err, errNoMessage) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read queue %s: %w", r.config.Queue, err)
	}
	began := time.Now()
	var list struct {
		Messages []mnsMessage `xml:"Message"`
	}
	if err := xml.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("read queue %s: %w", r.config.Queue, err)
	}
	for _, m := range list.Messages {
		if time.Since(began) > mnsHidden/2 {
			return nil // what is left may be somebody else's by now; it comes again
		}
		data := mnsData{ID: m.ID, Content: textContent(r.config.JSONBody, []byte(m.Body))}
		if err := r.emit(ctx, Key("mns", r.config.Endpoint, r.config.Queue, m.ID), data); err != nil {
			return err
		}
		// A handle is signed as it is; only = of what a query would escape is in it.
		handle := strings.ReplaceAll(url.QueryEscape(m.Handle), "%3D", "=")
		if err := r.remove(ctx, handle); err != nil && !errors.Is(err, errNoMessage) {
			return fmt.Errorf("delete message %s of queue %s: %w", m.ID, r.config.Queue, err)
		}
	}
	return nil
}

func (r mnsReader) remove(ctx context.Context, handle string) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	_, err := r.call(ctx, http.MethodDelete, "ReceiptHandle="+handle)
	return err
}

// call makes one signed call about the messages of the queue.
func (r mnsReader) call(ctx context.Context, method, query string) ([]byte, error) {
	request, err := http.NewRequestWithContext(
		ctx, method,
		strings.TrimSuffix(r.config.Endpoint, "/")+"/queues/"+url.PathEscape(r.config.Queue)+"/messages?"+query, nil,
	)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	request.Header.Set("x-mns-version", mnsVersion)
	keys := alibaba.Keys{ID: r.access, Secret: r.secret}
	if r.own != nil {
		if keys, err = r.own.Keys(); err != nil {
			return nil, err
		}
		request.Header.Set("Security-Token", keys.Token)
	}
	request.Header.Set("Authorization", "MNS "+keys.ID+":"+mnsSignature(keys.Secret, request))
	code, body, err := exchange(r.client, request)
	if err != nil || code/100 == 2 {
		return body, err
	}
	var said struct {
		Code string `xml:"Code"`
	}
	if xml.Unmarshal(body, &said) == nil && said.Code == errNoMessage.Error() {
		return nil, errNoMessage
	}
	return nil, fmt.Errorf("the answer is %d %s", code, said.Code)
}

// mnsSignature signs a request without a body. Source: Alibaba Cloud, "Sign requests":
// the method, two headers that are not sent, the date, the x-mns headers, the resource.
func mnsSignature(secret string, r *http.Request) string {
	mac := hmac.New(sha1.New, []byte(secret))
	fmt.Fprintf(
		mac, "%s\n\n\n%s\nx-mns-version:%s\n%s", r.Method, r.Header.Get("Date"), r.Header.Get("x-mns-version"),
		r.URL.RequestURI(),
	)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// mnsData is the view. Source: Argo Events, MNSEventData, where a body is the text of
// the message; jsonBody, which has no effect there, makes it JSON.
type mnsData struct {
	ID string `json:"messageId"`
	Content
}
