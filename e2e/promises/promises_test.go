package promises

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/githubtest"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// In the manifests: hooks without and with a signature, a dependency on them, and
// the id of the event as what is acted with.
const (
	plain   = `{webhook: {in: {endpoint: /in, method: POST, port: "12000"}}}`
	signed  = `{github: {push: {owner: o, repository: r, events: ["*"], webhook: {endpoint: /hub, method: POST, port: "12000"}, webhookSecret: {name: hub, key: secret}}}}`
	onPlain = `[{name: e, eventSourceName: hooks, eventName: in}]`
	onPush  = `[{name: e, eventSourceName: hooks, eventName: push}]`
	theID   = `[{src: {dependencyName: e, dataKey: body.id}, dest: id}]`
)

// asSent is what the sink gets for an id.
func asSent(id string) string { return `{"id":"` + id + `"}` }

func TestPromisesOfEvents(t *testing.T) {
	f := newField(t)
	for _, promise := range []struct {
		name string
		keep func(m *mesh)
	}{
		{"hooks while the bus is down are acted on once", whileTheBusIsDown},
		{"the same delivery id is one action", theSameDelivery},
		{"a failed action is dead, not lost, and can be driven again", aFailedAction},
		{"without being asked an action is done at least once", atLeastOnce},
		{"a sensor killed at each step of an AND acts once", killedAtEachStep},
		{"the 50,001st unread event waits like the others", unread},
		{"an edited filter keeps the backlog", anEditedFilter},
		{"signatures fail closed", signatures},
		{"GitHub's own examples reach the sensor", realPayloads},
		{"a registry's push is an event with its digest", aRegistry},
		{"a body of 25 MiB arrives whole", aLargeBody},
		{"a typo is accepted, and said", aTypo},
		{"a trace goes from the hook to the action", aTrace},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.keep(f.mesh(t)) })
	}
}

func whileTheBusIsDown(m *mesh) {
	m.source("/in", plain)
	m.acting(onPlain, theID, "")
	const posts, senders = 2000, 4
	var mu sync.Mutex
	done, refused := 0, map[int]int{}
	var busy sync.WaitGroup
	for sender := range senders {
		busy.Go(func() {
			for i := range posts / senders {
				id := fmt.Sprintf("%d-%d", sender, i)
				code := m.post("/in", id, asSent(id), nil)
				mu.Lock()
				if done++; code != http.StatusOK {
					refused[code]++
				}
				mu.Unlock()
			}
		})
	}
	sent := func() int { mu.Lock(); defer mu.Unlock(); return done }
	for _, at := range []int{posts / 8, posts / 2} {
		for sent() < at {
			rest(time.Millisecond)
		}
		m.nats.kill()
		for sent() < at+posts/8 {
			rest(time.Millisecond)
		}
		m.nats.start()
	}
	busy.Wait()
	if len(refused) > 0 {
		m.Errorf("answers other than 200: %v", refused)
	}
	m.acts(posts)
}

func theSameDelivery(m *mesh) {
	m.source("/hub", signed)
	m.acting(onPush, theID, "")
	for i := range 20 {
		if i == 10 {
			m.ingest.kill()
			m.ingest.start()
			eventually(m.T, "the hook is served again", func() error {
				if code := m.hub("push", "first", asSent("1"), secret); code != http.StatusOK {
					return fmt.Errorf("status %d", code)
				}
				return nil
			})
		}
		if code := m.hub("push", "first", asSent("1"), secret); code != http.StatusOK {
			m.Errorf("delivery %d: %d", i, code)
		}
	}
	m.hub("push", "second", asSent("2"), secret)
	m.acts(2)
}

func aFailedAction(m *mesh) {
	fails := true
	m.sink.answer = func(string, int) int {
		if fails {
			return http.StatusUnprocessableEntity
		}
		return http.StatusOK
	}
	m.source("/in", plain)
	m.acting(onPlain, theID, "")
	m.post("/in", "1", asSent("1"), nil)
	var letters []bus.DeadLetter
	eventually(m.T, "the firing is dead", func() (err error) {
		if letters, err = m.bus.DeadLetters(m.Context(), "*", ">", 0); err == nil && len(letters) != 1 {
			err = fmt.Errorf("%d dead letters", len(letters))
		}
		return err
	})
	if !strings.Contains(letters[0].Reason, "422") {
		m.Errorf("reason %q", letters[0].Reason)
	}
	m.sink.mu.Lock()
	fails = false
	before := len(m.sink.traces)
	m.sink.mu.Unlock()
	if err := m.bus.Redrive(m.Context(), letters[0].Sequence); err != nil {
		m.Fatal(err)
	}
	eventually(m.T, "it is acted on", func() error {
		m.sink.mu.Lock()
		defer m.sink.mu.Unlock()
		if len(m.sink.traces) == before {
			return fmt.Errorf("%d calls", before)
		}
		return nil
	})
	m.acts(1)
}

func atLeastOnce(m *mesh) {
	m.sink.answer = func(_ string, calls int) int {
		if calls < 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	m.source("/in", plain)
	m.acting(onPlain, theID, "")
	m.post("/in", "1", asSent("1"), nil)
	eventually(m.T, "the third attempt", func() error {
		m.sink.mu.Lock()
		defer m.sink.mu.Unlock()
		if n := len(m.sink.traces); n < 3 {
			return fmt.Errorf("%d calls", n)
		}
		return nil
	})
	m.acts(1)
}

func killedAtEachStep(m *mesh) {
	m.source(
		"/a",
		`{webhook: {a: {endpoint: /a, method: POST, port: "12000"}, b: {endpoint: /b, method: POST, port: "12000"}}}`,
	)
	m.acting(
		`[{name: a, eventSourceName: hooks, eventName: a}, {name: b, eventSourceName: hooks, eventName: b}]`,
		`[{src: {dependencyName: a, dataKey: body.id}, dest: a}, {src: {dependencyName: b, dataKey: body.id}, dest: b}]`,
		"",
	)
	for pair := range 4 {
		id := fmt.Sprint(pair)
		for step, path := range []string{"/a", "/b"} {
			if code := m.post(path, path+id, asSent(id), nil); code != http.StatusOK {
				m.Fatalf("%s: %d", path, code)
			}
			// Right before, while, or right after the event is taken in.
			rest(time.Duration(pair*2+step) * 4 * time.Millisecond)
			m.sensor.kill()
			m.sensor.start()
		}
		eventually(m.T, "pair "+id, func() error {
			if acted, _ := m.sink.count(); acted <= pair {
				return fmt.Errorf("%d actions", acted)
			}
			return nil
		})
	}
	m.acts(4)
	for pair := range 4 {
		if m.sink.keys[fmt.Sprintf(`{"a":"%d","b":"%d"}`, pair, pair)] == nil {
			m.Errorf("pair %d is mixed up: %v", pair, m.sink.keys)
		}
	}
}

func unread(m *mesh) {
	m.acting(onPlain, theID, "")
	m.sensor.kill()
	const events, senders = 50_001, 32
	var busy sync.WaitGroup
	for sender := range senders {
		busy.Go(func() {
			for i := sender; i < events; i += senders {
				e, err := bus.NewEvent(
					fmt.Sprint(i), "hooks", "webhook", map[string]any{"body": map[string]string{"id": fmt.Sprint(i)}},
				)
				if err == nil {
					err = m.bus.Publish(m.Context(), bus.Subject("events", m.namespace, "hooks", "in"), e)
				}
				if err != nil {
					m.Errorf("event %d: %v", i, err)
					return
				}
			}
		})
	}
	busy.Wait()
	m.sensor.start()
	last := 0
	for last < events { // as long as it goes on
		eventually(m.T, "the next action", func() error {
			if acted, _ := m.sink.count(); acted > last {
				last = acted
				return nil
			}
			return fmt.Errorf("%d of %d", last, events)
		})
	}
	m.acts(events)
}

func anEditedFilter(m *mesh) {
	m.source("/in", plain)
	o := m.acting(onPlain, theID, "")
	m.sensor.kill()
	for i := range 20 {
		id := fmt.Sprint(i)
		m.post("/in", id, asSent(id), nil)
	}
	if err := m.kube.Get(m.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		m.Fatal(err)
	}
	filter := map[string]any{"name": "e", "eventSourceName": "hooks", "eventName": "in", "filters": map[string]any{
		"data": []any{map[string]any{"path": "body.id", "type": "string", "value": []any{"[02468]$"}}}}}
	if err := unstructured.SetNestedSlice(o.Object, []any{filter}, "spec", "dependencies"); err != nil {
		m.Fatal(err)
	}
	if err := m.kube.Update(m.Context(), o); err != nil {
		m.Fatal(err)
	}
	m.sensor.start()
	m.acts(10)
}

func signatures(m *mesh) {
	m.source("/hub", signed)
	m.acting(onPush, theID, "")
	for name, code := range map[string]int{
		"wrong": m.hub("push", "1", asSent("1"), "guess"),
		"missing": m.post("/hub", "", asSent("2"), map[string]string{
			"X-GitHub-Event": "push", "X-GitHub-Delivery": "2",
		}),
		"sha1": m.post("/hub", "", asSent("3"), map[string]string{
			"X-GitHub-Event": "push", "X-GitHub-Delivery": "3", "X-Hub-Signature": "sha1=00",
		}),
	} {
		if code != http.StatusUnauthorized {
			m.Errorf("%s: %d", name, code)
		}
	}
	m.hub("push", "4", asSent("4"), secret)
	m.acts(1)
	// Without its secret a source refuses everything.
	hub := &unstructured.Unstructured{
		Object: map[string]any{
			"apiVersion": "v1",
			"kind":       "Secret",
			"metadata":   map[string]any{"name": "hub", "namespace": m.namespace},
		},
	}
	if err := m.kube.Delete(m.Context(), hub); err != nil {
		m.Fatal(err)
	}
	m.ingest.kill()
	m.ingest.start()
	eventually(m.T, "nothing is taken without the secret", func() error {
		if code := m.hub("push", "5", asSent("5"), secret); code != http.StatusUnauthorized &&
			code != http.StatusServiceUnavailable {
			return fmt.Errorf("status %d", code)
		}
		return nil
	})
	m.acts(1)
}

func realPayloads(m *mesh) {
	m.source("/hub", signed)
	m.acting(onPush, `[{src: {dependencyName: e, contextKey: id}, dest: id}]`, "")
	sent := 0
	for kind, bodies := range githubtest.Examples(m.T) {
		for i, body := range bodies {
			if code := m.hub(kind, fmt.Sprintf("%s-%d", kind, i), string(body), secret); code != http.StatusOK {
				m.Errorf("%s %d: status %d", kind, i, code)
			}
			if kind != "ping" { // tells only that the hook was made
				sent++
			}
		}
	}
	m.acts(sent)
	m.Logf("%d payloads", sent)
}

func aRegistry(m *mesh) {
	m.source("/registry", `{registry: {images: {webhook: {endpoint: /registry, method: POST, port: "12000"}}}}`)
	m.acting(
		`[{name: e, eventSourceName: hooks, eventName: images}]`,
		`[{src: {dependencyName: e, dataKey: repository}, dest: repository}, {src: {dependencyName: e, dataKey: digest}, dest: digest}]`,
		"",
	)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(nil))
	body := `{"events": [{"id": "1", "action": "push", "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": "shop/web", "tag": "v1", "digest": "` + digest +
		`"}, "request": {"host": "registry.example.org"}}]}`
	if code := m.post("/registry", "1", body, nil); code != http.StatusOK {
		m.Errorf("status %d", code)
	}
	m.acts(1)
	if m.sink.keys[`{"repository":"shop/web","digest":"`+digest+`"}`] == nil {
		m.Errorf("acted with %v", m.sink.keys)
	}
}

func aLargeBody(m *mesh) {
	m.source("/in", plain)
	m.acting(
		onPlain,
		`[{src: {dependencyName: e, dataKey: body.id}, dest: id}, {src: {dependencyName: e, dataTemplate: "{{ len .Input.body.filler }}"}, dest: length}]`,
		"",
	)
	const filler = 25<<20 - 1024
	if code := m.post("/in", "1", `{"id":"1","filler":"`+strings.Repeat("x", filler)+`"}`, nil); code != http.StatusOK {
		m.Errorf("status %d", code)
	}
	if code := m.post(
		"/in", "2", `{"id":"2","filler":"`+strings.Repeat("x", 25<<20)+`"}`, nil,
	); code != http.StatusRequestEntityTooLarge {
		m.Errorf("over the limit: %d", code)
	}
	m.acts(1)
	if m.sink.keys[fmt.Sprintf(`{"id":"1","length":"%d"}`, filler)] == nil {
		m.Errorf("acted with %v", m.sink.keys)
	}
}

func aTypo(m *mesh) {
	m.source("/in", `{webhook: {in: {endpoint: /in, metod: POST, port: "12000"}}}`)
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("argoproj.io/v1alpha1")
	o.SetKind("EventSource")
	eventually(m.T, "the status names the field", func() error {
		if err := m.kube.Get(m.Context(), client.ObjectKey{Namespace: m.namespace, Name: "hooks"}, o); err != nil {
			return err
		}
		if text := fmt.Sprint(o.Object["status"]); !strings.Contains(text, "spec.webhook.in.metod") {
			return fmt.Errorf("status %s", text)
		}
		return nil
	})
}

func aTrace(m *mesh) {
	m.source("/in", plain)
	m.acting(onPlain, theID, "")
	m.post(
		"/in", "1", asSent("1"),
		map[string]string{"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	)
	m.acts(1)
	if got := m.sink.traces[0]; !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") {
		m.Errorf("the action carries trace %q", got)
	}
	events, err := m.bus.Read(m.Context(), bus.Events, bus.Subject("events", m.namespace, "hooks", "in"))
	if err != nil || len(events) != 1 {
		m.Fatalf("%d events: %v", len(events), err)
	}
	if l := bus.LineageOf(events[0].Event); !strings.HasPrefix(l.Trace, "00-0af7651916cd43dd8448eb211c80319c-") {
		m.Errorf("the event carries %+v", l)
	}
}
