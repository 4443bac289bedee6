package core

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// idHeaders are where senders of plain webhooks put an id of the delivery. Source
// of Webhook-Id: the Standard Webhooks specification.
var idHeaders = []string{
	"X-GitHub-Delivery", "Idempotency-Key", "X-Gitlab-Event-Uuid", "X-Gitea-Delivery", "Webhook-Id", "X-Request-Uuid", "X-Request-Id", "Ce-Id",
}

// verifyWebhook asks for what the manifest asks for: a token, a signature or both.
func verifyWebhook(route Route, req Request) error {
	if err := verifyBearer(route, req); err != nil || route.Signature.Header == "" {
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
	pairs := []pair{{"header", encoded(public(req.Header))}, {"body", b.text}}
	if encoding != "" {
		pairs = append(pairs, pair{"bodyEncoding", quote(encoding)})
	}
	if len(route.Metadata) > 0 {
		pairs = append(pairs, pair{"metadata", encoded(route.Metadata)})
	}
	if b.raw != nil {
		pairs = append(pairs, pair{"raw", encoded(b.raw)})
	}
	item.Data = joined(pairs)
	for _, name := range idHeaders {
		if item.ID = req.Header.Get(name); item.ID != "" {
			break
		}
	}
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
		form, err := url.ParseQuery(string(req.Body))
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
		return body{text: encoded(string(req.Body))}, "text", nil
	default:
		return body{text: encoded(req.Body)}, "base64", nil
	}
}
