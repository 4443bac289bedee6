package core

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

var webhookProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.Webhook, webhookHook) },
	Greet:  greetWebhook,
	Verify: verifyWebhook,
	Decode: decodeWebhook,
}

func webhookHook(c v1alpha1.WebhookEventSource) Hook {
	h := Hook{
		Filter: c.Filter,
		Path:   c.Endpoint,
		Port:   string(c.Port),
		Route:  Route{Method: c.Method, Metadata: c.Metadata, MaxBody: limitOf(c.MaxPayloadSize)},
	}
	h.secret(c.AuthSecret, intoBearer)
	h.hmac(c.HMAC)
	return h
}

// idHeaders are where senders of plain webhooks put an id of the delivery, and of
// nothing else: X-Request-Id and its like name a request of somebody's user, and all
// that it leads to. Source of Webhook-Id and Svix-Id: the Standard Webhooks
// specification.
var idHeaders = []string{
	"X-GitHub-Delivery", "Idempotency-Key", "X-Gitea-Delivery", "X-Forgejo-Delivery", "Webhook-Id", "Svix-Id",
}

// deliveryID is the id that the sender gave to a delivery, as far as it says: what
// several hooks or kinds of event may share names one of them only together with the
// rest. "" means that the sender gave none.
func deliveryID(req Request) string {
	for _, name := range idHeaders {
		if id := req.Header.Get(name); id != "" {
			return id
		}
	}
	if id, source := req.Header.Get("Ce-Id"), req.Header.Get("Ce-Source"); id != "" && source != "" {
		return digest(source, id, req.Header.Get("Ce-Type"))
	}
	if id := req.Header.Get("X-Gitlab-Event-Uuid"); id != "" {
		return digest(id, req.Header.Get("X-Gitlab-Event"), string(req.Body))
	}
	// Bitbucket says which event it is about; the id beside it is that of the user's request.
	if key := req.Header.Get("X-Event-Key"); key != "" {
		return bitbucketID(req)
	}
	return ""
}

// greetWebhook answers tests of a connection that their senders do not sign, where a
// signature is asked for: without one they are deliveries like any other, as upstream
// has it.
func greetWebhook(route Route, req Request) (Outcome, bool) {
	if !route.Signature.asked() {
		return Outcome{}, false
	}
	return greetBitbucket(route, req)
}

// verifyWebhook asks for what the manifest asks for: a token, a signature or both.
func verifyWebhook(route Route, req Request) error {
	if err := verifyBearer(route, req); err != nil || !route.Signature.asked() {
		return err
	}
	return route.Signature.check(req)
}

// decodeWebhook takes JSON, forms as {name: [values]}, and anything else that says
// that it is something else. Source: Argo Events, webhook event source; unlike
// there a charset on the form's type is fine, and PUT and PATCH are read like POST.
func decodeWebhook(route Route, req Request) ([]Item, error) {
	b, encoding, err := webhookBody(req)
	if err != nil {
		return nil, err
	}
	item := Item{Type: "webhook"}
	pairs := []pair{{key: "header", text: presented(req.Header)}, {key: "body", text: b.text}}
	if encoding != "" {
		pairs = append(pairs, pair{key: "bodyEncoding", text: quote(encoding)})
	}
	if len(route.Metadata) > 0 {
		pairs = append(pairs, pair{key: "metadata", text: encoded(route.Metadata)})
	}
	if b.raw != nil {
		pairs = append(pairs, pair{key: "raw", text: encoded(b.raw)})
	}
	item.Data = joinedIn(req.Room, pairs)
	item.ID = deliveryID(req)
	return []Item{item}, nil
}

// webhookBody returns the body as JSON. What is neither JSON nor a form is refused
// when it claims to be JSON or claims nothing, as upstream does; when it claims to
// be something else it becomes a string, in base64 unless it is text.
func webhookBody(req Request) (b body, encoding string, err error) {
	kind := mediaType(req)
	switch {
	case req.Method == http.MethodGet:
		return body{text: encoded(req.Query)}, "", nil
	case kind == formType:
		form, err := parseForm(req.Body)
		if err != nil {
			return body{}, "", reject(http.StatusBadRequest, "malformed", "the form cannot be read: %v", err)
		}
		return body{text: encoded(form), raw: req.Body}, "", nil
	}
	b, _, err = jsonBody(req.Body)
	switch {
	case err == nil:
		return b, "", nil
	case kind == "" || kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return body{}, "", err
	case utf8.Valid(req.Body):
		return body{text: encoded(string(PlainText(req.Body)))}, "text", nil
	default:
		return body{text: encoded(req.Body)}, base64Encoding, nil
	}
}
