package core

import (
	"encoding/json"
	"net/http"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/tidwall/gjson"
)

var azureEventGridProvider = Provider{
	Hooks: func(s *v1alpha1.EventSourceSpec) map[string]Hook {
		return eachHook(s.AzureEventGrid, azureEventGridHook)
	},
	Greet:  greetCloudEvents,
	Verify: verifyBearer,
	Decode: decodeEventGrid,
	Answer: answerEventGrid,
}

func azureEventGridHook(c v1alpha1.AzureEventGridEventSource) Hook {
	h := Hook{Filter: c.Filter, Route: Route{Events: c.EventTypes, Metadata: c.Metadata}}
	h.listen(c.Webhook)
	return h
}

const eventGridValidation = "Microsoft.EventGrid.SubscriptionValidationEvent"

// decodeEventGrid takes the list of events that Event Grid posts. Source: Azure
// Event Grid, "event schema" and "endpoint validation".
func decodeEventGrid(route Route, req Request) ([]Item, error) {
	list, err := eventGridList(req)
	if err != nil {
		return nil, err
	}
	var items []Item
	for i, e := range list {
		kind, id := gjson.GetBytes(e, "eventType").String(), gjson.GetBytes(e, "id").String()
		if kind == "" {
			kind = gjson.GetBytes(e, "type").String() // in the schema of CloudEvents
		}
		if kind == eventGridValidation || !wanted(route.Events, kind) {
			continue
		}
		if id == "" {
			return nil, reject(http.StatusBadRequest, "malformed", "event %d has no id", i)
		}
		// Whoever writes to a topic chooses the ids.
		id = sourceAndID(gjson.GetBytes(e, "topic").String()+gjson.GetBytes(e, "source").String(), id)
		req.Room = nil // each has data of its own
		items = append(
			items, Item{ID: id, Type: "azureEventGrid", Data: view("headers", req, body{text: e}, route.Metadata)},
		)
	}
	return items, nil
}

func eventGridList(req Request) ([]json.RawMessage, error) {
	b, known, err := jsonBody(req.Body)
	if err != nil {
		return nil, err
	}
	if known.Object { // one event in the schema of CloudEvents
		return []json.RawMessage{b.text}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b.text, &list); err != nil {
		return nil, reject(http.StatusBadRequest, "malformed", "the body is not a list of events")
	}
	return list, nil
}

// answerEventGrid gives the code back that validates a subscription.
func answerEventGrid(_ Route, req Request) Outcome {
	out := Outcome{Status: http.StatusOK, Text: "accepted"}
	list, err := eventGridList(req)
	if err != nil {
		return out
	}
	for _, e := range list {
		if gjson.GetBytes(e, "eventType").String() != eventGridValidation {
			continue
		}
		code := gjson.GetBytes(e, "data.validationCode").String()
		out.Class, out.Header = "handshake", map[string]string{"Content-Type": "application/json"}
		out.Text = string(joined([]pair{{key: "validationResponse", text: quote(code)}}))
	}
	return out
}
