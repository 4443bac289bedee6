package core

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var cloudEventsProvider = Provider{
	Hooks:  func(s *v1alpha1.EventSourceSpec) map[string]Hook { return eachHook(s.CloudEvents, cloudEventsHook) },
	Greet:  greetCloudEvents,
	Verify: verifyWebhook,
	Decode: decodeCloudEvents,
}

func cloudEventsHook(c v1alpha1.CloudEventsEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.Types, Origins: c.AllowedOrigins, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	h.hmac(c.HMAC)
	return h
}

// The content types of structured and batched CloudEvents.
const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// maxBatch bounds the events of one batch.
const maxBatch = 1000

// greetCloudEvents answers the handshake by which senders ask whether they may
// send. Source: CloudEvents, HTTP 1.1 Web Hooks, section 4.
func greetCloudEvents(route Route, req Request) (Outcome, bool) {
	if req.Method != http.MethodOptions {
		return Outcome{}, false
	}
	origin := req.Header.Get("WebHook-Request-Origin")
	if origin == "" || !wanted(route.Origins, origin) {
		return Outcome{Status: http.StatusForbidden, Text: "this origin may not send here", Class: "unauthorized"}, true
	}
	rate := "*"
	if route.Rate > 0 {
		rate = strconv.Itoa(max(1, int(route.Rate*60))) // per minute
	}
	return Outcome{Status: http.StatusOK, Class: "handshake", Header: map[string]string{
		"Allow": http.MethodPost, "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": rate,
	}}, true
}

// attributes is a CloudEvent without its data.
type attributes map[string]string

// decodeCloudEvents takes the three content modes of the HTTP binding. The type
// stays the sender's; source and subject become those of the mesh, which Sensors
// address, and the sender's own stand in data.context.
func decodeCloudEvents(route Route, req Request) ([]Item, error) {
	kind := mediaType(req)
	switch {
	case kind == structuredType:
		return cloudEventItems(route, []json.RawMessage{req.Body})
	case kind == batchType:
		var list []json.RawMessage
		if err := json.Unmarshal(PlainText(req.Body), &list); err != nil {
			return nil, reject(http.StatusBadRequest, "malformed", "the body is not a list of events")
		}
		if len(list) > maxBatch {
			return nil, reject(http.StatusRequestEntityTooLarge, "too_large", "the batch has over %d events", maxBatch)
		}
		return cloudEventItems(route, list)
	case strings.HasPrefix(kind, "application/cloudevents"):
		return nil, reject(http.StatusUnsupportedMediaType, "malformed", "send JSON, one event or a batch")
	default:
		return binaryCloudEvent(route, req)
	}
}

func binaryCloudEvent(route Route, req Request) ([]Item, error) {
	a := attributes{}
	for name, values := range req.Header {
		if short, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok && len(values) > 0 {
			value := values[0]
			if plain, err := url.PathUnescape(value); err == nil {
				value = plain
			}
			a[short] = value
		}
	}
	if t := req.Header.Get("Content-Type"); t != "" {
		a["datacontenttype"] = t
	}
	item, keep, err := a.item(route, cloudData(mediaType(req), req.Body))
	if err != nil || !keep {
		return nil, err
	}
	return []Item{item}, nil
}

// content is a body with the encoding that it is marked with; "" for none.
type content struct {
	body
	encoding string
}

// base64Encoding marks bytes that are no text.
const base64Encoding = "base64"

// cloudData embeds data in the view: JSON as it is, text as a string, the rest in
// base64.
func cloudData(kind string, data []byte) content {
	if len(data) == 0 {
		return content{body: body{text: []byte("null")}}
	}
	if kind == "" || kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json") {
		if b, _, err := jsonBody(data); err == nil {
			return content{body: b}
		}
	}
	if utf8.Valid(data) {
		return content{body: body{text: encoded(string(data))}}
	}
	return content{body{text: encoded(data)}, base64Encoding}
}

func cloudEventItems(route Route, list []json.RawMessage) ([]Item, error) {
	var items []Item
	for i, text := range list {
		b, _, err := objectBody(text)
		if err != nil {
			return nil, err
		}
		item, keep, err := structuredItem(route, b)
		if err != nil {
			return nil, reject(http.StatusBadRequest, "malformed", "event %d: %v", i, err)
		}
		if keep {
			items = append(items, item)
		}
	}
	return items, nil
}

func structuredItem(route Route, b body) (Item, bool, error) {
	a, data := attributes{}, content{body: body{text: []byte("null")}}
	var encodedData *string
	gjson.ParseBytes(b.text).ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); name {
		case "data":
			data.text = []byte(value.Raw)
		case "data_base64":
			text := value.String()
			encodedData = &text
		default:
			if value.Type != gjson.Null {
				a[name] = value.String()
			}
		}
		return true
	})
	if encodedData != nil {
		// Only now is it known of which type the data is: keys come in any order.
		raw, err := base64.StdEncoding.DecodeString(*encodedData)
		if err != nil {
			return Item{}, false, reject(http.StatusBadRequest, "malformed", "data_base64 is not base64")
		}
		data = cloudData(mediaTypeOf(a["datacontenttype"]), raw)
	}
	if b.raw != nil {
		data.raw = b.raw
	}
	return a.item(route, data)
}

// item checks the attributes that every event must have.
func (a attributes) item(route Route, data content) (Item, bool, error) {
	if a["specversion"] != "1.0" {
		return Item{}, false, reject(http.StatusBadRequest, "malformed", "specversion is %q, not 1.0", a["specversion"])
	}
	for _, name := range []string{"id", "source", "type"} {
		if a[name] == "" {
			return Item{}, false, reject(http.StatusBadRequest, "malformed", "the attribute %s is missing", name)
		}
	}
	for name, value := range a {
		if !attributeName(name) || !utf8.ValidString(value) {
			return Item{}, false, reject(http.StatusBadRequest, "malformed", "the attribute %.64q is not allowed", name)
		}
		if most := attributeLimit(name); len(value) > most {
			return Item{}, false, reject(
				http.StatusBadRequest, "malformed",
				"the attribute %s is %d bytes long, at most %d are taken; put what is long into the data", name,
				len(value), most,
			)
		}
	}
	if !wanted(route.Events, a["type"]) {
		return Item{}, false, nil
	}
	pairs := []pair{{key: "context", text: encoded(a)}, {key: "body", text: data.text}}
	if data.encoding != "" {
		pairs = append(pairs, pair{key: "bodyEncoding", text: quote(data.encoding)})
	}
	if len(route.Metadata) > 0 {
		pairs = append(pairs, pair{key: "metadata", text: encoded(route.Metadata)})
	}
	if data.raw != nil {
		pairs = append(pairs, pair{key: "raw", text: encoded(data.raw)})
	}
	// Source and id together name an event. Source: CloudEvents 1.0, section 3.1.1.
	return Item{
		ID: digest(a["source"], a["id"]), Type: a["type"], Data: joined(pairs), Trace: a["traceparent"],
	}, true, nil
}

// The bounds of attributes: the type goes where the bus counts it, the others into the
// data of the event.
const (
	typeMost, attributeMost, nameMost = 1 << 10, 64 << 10, 128
)

func attributeLimit(name string) int {
	if name == "type" {
		return typeMost
	}
	return attributeMost
}

// attributeName holds names to lower-case letters and digits. Source: CloudEvents
// 1.0, section 3.1.
func attributeName(name string) bool {
	return name != "" && len(name) <= nameMost &&
		!slices.ContainsFunc([]byte(name), func(c byte) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
}
