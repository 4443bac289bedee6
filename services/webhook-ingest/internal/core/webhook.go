package core

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
)

// idHeaders are where senders of plain webhooks put an id of the delivery.
var idHeaders = []string{"X-GitHub-Delivery", "X-Gitlab-Event-Uuid", "X-Gitea-Delivery", "Idempotency-Key", "X-Request-Id", "Ce-Id"}

// decodeWebhook takes JSON, and forms as {name: [values]}. Source: Argo Events,
// webhook event source; unlike there a charset on the form's type is fine.
func decodeWebhook(route Route, req Request) ([]Item, error) {
	body, err := webhookBody(req)
	if err != nil {
		return nil, err
	}
	item := Item{Type: "webhook", Data: compatible{Header: public(req.Header), Body: body, Metadata: route.Metadata}}
	for _, name := range idHeaders {
		if item.ID = req.Header.Get(name); item.ID != "" {
			break
		}
	}
	return []Item{item}, nil
}

func webhookBody(req Request) (json.RawMessage, error) {
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case req.Method == http.MethodGet:
		return values(req.Query)
	case kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(req.Body))
		if err != nil {
			return nil, reject(http.StatusBadRequest, "malformed", "the form cannot be read: %v", err)
		}
		return values(form)
	case !isJSON(req.Body):
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not JSON")
	}
	return req.Body, nil
}

func values(v url.Values) (json.RawMessage, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the form cannot be encoded: %v", err)
	}
	return text, nil
}
