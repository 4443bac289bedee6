package core

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var storageGridProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.StorageGrid, storageGridHook) },
	Greet:  greetStorageGrid,
	Verify: verifyBearer,
	Decode: decodeStorageGrid,
	Answer: answerStorageGrid,
}

func storageGridHook(c v1alpha1.StorageGridEventSource) Hook {
	h := Hook{Route: Route{Topic: c.TopicArn, Events: c.Events, Metadata: c.Metadata}}
	if c.Filter != nil {
		h.Route.Prefix, h.Route.Suffix = c.Filter.Prefix, c.Filter.Suffix
	}
	h.listen(c.Webhook)
	return h
}

// greetStorageGrid answers the look that StorageGRID takes at an endpoint first.
func greetStorageGrid(_ Route, req Request) (Outcome, bool) {
	return Outcome{Status: http.StatusOK, Class: "handshake"}, req.Method == http.MethodHead
}

// decodeStorageGrid takes a call of the Publish action of SNS, which is how
// StorageGRID notifies. Source: Argo Events, storage-grid event source.
func decodeStorageGrid(route Route, req Request) ([]Item, error) {
	form, err := parseForm(req.Body)
	if err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the form cannot be read: %v", err)
	}
	switch form.Get("Action") {
	case "Publish":
	case "":
		return nil, reject(
			http.StatusBadRequest, "malformed", "the form has no Action: it is no notification of StorageGRID",
		)
	default:
		return nil, errIgnored // another call of the interface of SNS
	}
	if topic := form.Get("TopicArn"); route.Topic != "" && topic != route.Topic {
		return nil, reject(http.StatusForbidden, "unauthorized", "the message is of another topic")
	}
	message, _, err := objectBody([]byte(form.Get("Message")))
	if err != nil {
		return nil, err
	}
	if !storageWanted(route, message.text) {
		return nil, errIgnored
	}
	notification := joined([]pair{
		{
			key: "Action", text: quote("Publish"),
		},
		{key: "Message", text: message.text},
		{key: "TopicArn", text: quote(form.Get("TopicArn"))},
		{key: "Version", text: quote(form.Get("Version"))},
	})
	pairs := []pair{{key: "notification", text: notification}}
	if len(route.Metadata) > 0 {
		pairs = append(pairs, pair{key: "metadata", text: encoded(route.Metadata)})
	}
	return []Item{{ID: digest(string(message.text)), Type: "storagegrid", Data: joined(pairs)}}, nil
}

// storageWanted asks for one record that is wanted; keys are written as in a URL.
func storageWanted(route Route, message []byte) bool {
	records := gjson.GetBytes(message, "Records").Array()
	for _, r := range records {
		key := r.Get("s3.object.key").String()
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if strings.HasPrefix(key, route.Prefix) && strings.HasSuffix(key, route.Suffix) &&
			storageEvent(route.Events, r.Get("eventName").String()) {
			return true
		}
	}
	return false
}

// storageEvent compares names of events of S3, which manifests may end in a star
// and may begin with "s3:".
func storageEvent(list []string, name string) bool {
	for _, e := range list {
		e = strings.TrimPrefix(e, "s3:")
		if prefix, open := strings.CutSuffix(e, "*"); open && strings.HasPrefix(name, prefix) || e == name {
			return true
		}
	}
	return len(list) == 0
}

// answerStorageGrid speaks like SNS.
func answerStorageGrid(_ Route, req Request) Outcome {
	id := digest(string(req.Body))
	return Outcome{
		Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/xml"},
		Text: `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>` + id +
			`</MessageId></PublishResult><ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></PublishResponse>`,
	}
}
