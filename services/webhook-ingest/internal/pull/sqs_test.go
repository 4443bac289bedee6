package pull

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// queue answers as SQS does to its JSON protocol. A message that was received is
// hidden until the test shows it again.
type queue struct {
	mu       sync.Mutex
	messages []map[string]any
	hidden   bool
	deleted  []string
	asked    map[string]any
	session  string // token of the last request
}

func (q *queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=guest/") {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#InvalidSecurity","message":"no"}`)
		return
	}
	q.session = r.Header.Get("X-Amz-Security-Token")
	in := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	switch r.Header.Get("X-Amz-Target") {
	case "AmazonSQS.GetQueueUrl":
		if in["QueueName"] != "orders" || in["QueueOwnerAWSAccountId"] != "42" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}`)
			return
		}
		fmt.Fprintf(w, `{"QueueUrl":"http://%s/42/orders"}`, r.Host)
	case "AmazonSQS.ReceiveMessage":
		q.asked = in
		out := map[string]any{}
		if !q.hidden {
			out["Messages"] = q.messages
			q.hidden = true
		}
		_ = json.NewEncoder(w).Encode(out)
	case "AmazonSQS.DeleteMessage":
		q.deleted = append(q.deleted, fmt.Sprint(in["ReceiptHandle"]))
		fmt.Fprint(w, `{}`)
	}
}

func (q *queue) gone() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return strings.Join(q.deleted, " ")
}

func TestAnSQSMessageIsDeletedWhenItIsDurable(t *testing.T) {
	q := &queue{messages: []map[string]any{
		{"MessageId": "m1", "ReceiptHandle": "r1", "Body": `{"n":1}`},
		{
			"MessageId":         "m2",
			"ReceiptHandle":     "r2",
			"Body":              "text",
			"MessageAttributes": map[string]any{"a": map[string]any{"DataType": "String", "StringValue": "v"}},
		},
	}}
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	r := newRig(t)
	c := v1alpha1.SQSEventSource{
		Queue:           "orders",
		QueueAccountID:  "42",
		Region:          "eu-west-1",
		Endpoint:        server.URL,
		AccessKey:       ref("user"),
		SecretKey:       ref("password"),
		JSONBody:        true,
		WaitTimeSeconds: 60,
		Metadata:        map[string]string{"k": "v"},
	}
	r.refuse = func(e told) bool { return e.get("messageId") == "m2" }
	if err := sqsQueue(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("an event that is not durable ends the reading")
	}
	if got := q.gone(); got != "r1" {
		t.Errorf("deleted %q", got)
	}
	first := r.next()
	if first.get("body.n") != "1" || first.get("metadata.k") != "v" || first.id == "" {
		t.Errorf("%+v", first)
	}
	if q.asked["WaitTimeSeconds"] != 20.0 || q.asked["VisibilityTimeout"] != 120.0 {
		t.Errorf("%v", q.asked)
	}
	q.mu.Lock()
	q.hidden = false
	q.mu.Unlock()
	r.refuse = nil
	stop := r.start(sqsQueue(c))
	if again := r.next(); again.id != first.id {
		t.Errorf("%+v: the same message has the same id", again)
	}
	if e := r.next(); e.get("body") != "text" || e.get("messageAttributes.a.StringValue") != "v" || e.id == first.id {
		t.Errorf("%+v", e)
	}
	eventually(t, "delete both", func() error {
		if got := q.gone(); got != "r1 r1 r2" {
			return fmt.Errorf("deleted %q", got)
		}
		return nil
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	c.QueueAccountID = ""
	if err := sqsQueue(c).Run(t.Context(), r.env, r.emit); err == nil ||
		!strings.Contains(err.Error(), "find queue orders") {
		t.Errorf("a queue of somebody else: %v", err)
	}
	c.SecretKey = ref("none")
	if err := sqsQueue(c).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("without its secret")
	}
}

func TestAnSQSMessageIsDeletedThoughItsReaderIsStopped(t *testing.T) {
	q := &queue{messages: []map[string]any{{"MessageId": "m1", "ReceiptHandle": "r1", "Body": "text"}}}
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	c := v1alpha1.SQSEventSource{
		Queue: "orders", QueueAccountID: "42", Region: "eu-west-1", Endpoint: server.URL, AccessKey: ref("user"),
		SecretKey: ref("password"),
	}
	_ = stoppedAtItsEvent(t, sqsQueue(c), newRig(t).env)
	if got := q.gone(); got != "r1" {
		t.Errorf("deleted %q", got)
	}
}
