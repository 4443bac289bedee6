package pull

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func TestMQTTTakesWhateverWaits(t *testing.T) {
	url := mqttBroker(t)
	r := newRig(t)
	c := v1alpha1.MQTTEventSource{URL: url, Topic: "a/+", ClientID: "argosy", JSONBody: true}
	_ = r.start(mqttTopic(c))()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("sender"))
	if err := settled(client.Connect()); err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(100)
	for i := range 200 {
		if err := settled(client.Publish("a/b", 1, false, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	r.start(mqttTopic(c))
	for i := range 200 {
		if e := r.next(); e.get("body") != fmt.Sprint(i) {
			t.Fatalf("message %d is %+v", i, e)
		}
	}
}

func TestALostSessionIsSaid(t *testing.T) {
	r := newRig(t)
	var notes []string
	r.env.Note = func(text string) { notes = append(notes, text) }
	c := v1alpha1.MQTTEventSource{URL: mqttBroker(t), Topic: "a", ClientID: "argosy"}
	for range 2 {
		_ = r.start(mqttTopic(c))()
	}
	if len(notes) != 0 {
		t.Errorf("%v", notes)
	}
	c.URL = mqttBroker(t) // as one that forgot everything
	_ = r.start(mqttTopic(c))()
	if len(notes) != 1 || !strings.Contains(notes[0], "kept no session") {
		t.Errorf("%v", notes)
	}
}

func TestABacklogIsBoundedOnlyLater(t *testing.T) {
	b := newBacklog()
	for range 10 * prefetch {
		b.push(nil) // does not wait: the answer to the subscription is behind it
	}
	b.bound()
	done := make(chan struct{})
	go func() { b.push(nil); close(done) }()
	for range 10*prefetch - prefetch + 1 {
		if _, ok := b.pop(); !ok {
			t.Fatal("it is empty")
		}
	}
	<-done
	go b.push(nil)
	b.close()
	b.push(nil)
}

func TestARetainedMessageIsToldWhenItChanges(t *testing.T) {
	url := mqttBroker(t)
	r := newRig(t)
	c := v1alpha1.MQTTEventSource{URL: url, Topic: "state/+", ClientID: "argosy", JSONBody: true}
	retain := func(text string) {
		t.Helper()
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("sender"))
		if err := settled(client.Connect()); err != nil {
			t.Fatal(err)
		}
		defer client.Disconnect(100)
		if err := settled(client.Publish("state/door", 1, true, text)); err != nil {
			t.Fatal(err)
		}
	}
	retain(`"open"`)
	ids := map[string]bool{}
	for i, c2 := range []struct{ change, want string }{
		{"", "open"}, {"", ""}, {`"shut"`, "shut"}, {"", ""}, {`"open"`, "open"},
	} {
		stop := r.start(mqttTopic(c))
		if c2.change != "" {
			retain(c2.change)
		}
		if c2.want != "" {
			e := r.next()
			if e.get("body") != c2.want || e.id != "" && ids[e.id] {
				t.Errorf("%d: %+v", i, e)
			}
			ids[e.id] = true
		}
		publishMQTT(t, url, "state/other", `"mark"`) // what was retained comes before it
		if e := r.next(); e.get("body") != "mark" {
			t.Errorf("%d: %+v", i, e)
		}
		_ = stop()
	}
	r.quiet()
}
