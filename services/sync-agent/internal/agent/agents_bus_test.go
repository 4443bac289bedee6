package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

var configuration = regexp.MustCompile("(?s)```(hub|leaf).conf\n(.*?)```")

// documented reads the configurations of servers that docs/clusters.md shows.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/clusters.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range configuration.FindAllStringSubmatch(string(text), -1) {
		out[m[1]] = m[2]
	}
	return out
}

func connectAs(t *testing.T, url, user, password, inbox string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url, User: user, Password: password, Inbox: inbox, Name: user})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func briefly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// deployed is the configuration of the bus that the chart makes, with an agent among its users.
func deployed(t *testing.T) string {
	t.Helper()
	c, err := loader.Load("../../../../deploy/chart")
	if err != nil {
		t.Fatal(err)
	}
	values, err := util.ToRenderValues(
		c, map[string]any{"nats": map[string]any{"agents": []any{"east"}}},
		common.ReleaseOptions{Name: "argosy", Namespace: "argosy"}, common.DefaultCapabilities,
	)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{}.Render(c, values)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(files["argosy/templates/nats.yaml"], "\n---\n")
	var m struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(first), &m); err != nil {
		t.Fatal(err)
	}
	conf := m.Data["nats.conf"]
	if !strings.Contains(conf, "user: east") {
		t.Fatal("the chart has no agent in: ", conf)
	}
	// The test's server listens elsewhere.
	conf = strings.Replace(conf, "leafnodes { port: 7422 }", "", 1)
	return regexp.MustCompile(`\$PASSWORD_[A-Z_]+`).ReplaceAllString(conf, "secret")
}

// The control cluster's user of the deployed bus may do what it must about agents.
func TestTheDeployedUserSpeaksWithAgents(t *testing.T) {
	server := bustest.StartConfigured(t, bustest.Configured(t, deployed(t)))
	control := connectAs(t, server.URL(), "sync-agent", "secret", "")
	east := connectAs(t, server.URL(), "east", "secret", "_AGENT.east")
	if err := control.AwaitDeclared(t.Context(), bus.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if err := control.DeclareMailbox(t.Context(), "east", 1<<20, 1); err != nil {
		t.Fatal(err)
	}
	kv := control.KV(bus.MailboxBucket("east"))
	var heard []string
	ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	err := east.Mailbox("east").Listen(ctx, func() error {
		return errors.Join(
			east.Mailbox("east").Send(ctx, "up.app._.a", []byte("report")),
			kv.Put(ctx, "down.app._.a", []byte("assignment")),
			control.Repeat("east", bus.Change{Key: "down.project.p", Value: []byte("p"), Revision: 1}),
			kv.Purge(ctx, "up.app._.a"), kv.Delete(ctx, "down.app._.a"),
			control.Repeat("east", bus.Change{Current: true, Value: []byte("n")}),
		)
	}, func(c bus.Change) error {
		if heard = append(heard, fmt.Sprintf("%s=%s %v", c.Key, c.Value, c.Removed)); c.Current {
			done()
		}
		return nil
	})
	want := []string{
		"up.app._.a=report false", "down.app._.a=assignment false", "down.project.p=p false", "up.app._.a= true",
		"down.app._.a= true", "=n false",
	}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q: %v", heard, err)
	}
}

// With the users that the page shows an agent has its own mailbox, straight and by a leaf, and nothing else.
func TestAUserOfAnAgentHasItsMailboxAlone(t *testing.T) {
	conf := documented(t)
	hub := bustest.StartConfigured(t, bustest.Configured(t, conf["hub"]))
	leafText := strings.Replace(conf["leaf"], "hub.example.org:7422", hub.LeafAddress(), 1)
	leaf := bustest.StartConfigured(t, bustest.Configured(t, leafText))
	control := connectAs(t, hub.URL(), "sync-agent", "secret-of-the-control-cluster", "")
	if err := control.AwaitDeclared(t.Context(), bus.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	for _, agent := range []string{"east", "west"} {
		if err := control.DeclareMailbox(t.Context(), agent, 1<<20, 1); err != nil {
			t.Fatal(err)
		}
		kv := control.KV(bus.MailboxBucket(agent))
		if err := kv.Put(t.Context(), "down.app._.a", []byte("for "+agent)); err != nil {
			t.Fatal(err)
		}
	}
	east := connectAs(t, hub.URL(), "east", "secret-of-east", "_AGENT.east")
	west := connectAs(t, leaf.URL(), "", "", "_AGENT.west")

	for name, b := range map[string]*bus.Bus{"east": east, "west": west} {
		kv := control.KV(bus.MailboxBucket(name))
		heard := map[string]string{}
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		err := b.Mailbox(name).Listen(ctx, func() error {
			for ctx.Err() == nil {
				short, cancel := context.WithTimeout(ctx, time.Second)
				err := b.Mailbox(name).Send(short, "up.hello", []byte("n1"))
				if cancel(); err == nil {
					break // the leaf is connected
				}
			}
			return kv.Put(ctx, "down.app._.b", []byte("later"))
		}, func(c bus.Change) error {
			heard[c.Key] = string(c.Value)
			if heard["down.app._.b"] != "" && heard["up.hello"] != "" {
				done()
			}
			return nil
		})
		if heard["down.app._.b"] != "later" || heard["up.hello"] != "n1" {
			t.Errorf("%s heard %v: %v", name, heard, err)
		}
		if value, _, err := kv.Get(t.Context(), "up.hello"); err != nil || string(value) != "n1" {
			t.Errorf("%s said %q: %v", name, value, err)
		}
	}

	// What an agent of ill will tries. Its connection is its own: what it may not is not answered.
	for what, try := range map[string]func(context.Context) error{
		"read the mailbox of another": func(ctx context.Context) error {
			_, _, err := east.KV(bus.MailboxBucket("west")).Get(ctx, "down.app._.a")
			return err
		},
		"ask its own bucket": func(ctx context.Context) error {
			_, _, err := east.KV(bus.MailboxBucket("east")).Get(ctx, "down.app._.a")
			return err
		},
		"report as another": func(ctx context.Context) error {
			return east.Mailbox("west").Send(ctx, "up.app._.a", []byte("{}"))
		},
		"assign to itself": func(ctx context.Context) error {
			return east.Mailbox("east").Send(ctx, "down.app._.a", []byte("{}"))
		},
		"write an event": func(ctx context.Context) error {
			e, err := bus.NewEvent("1", "east", "x", nil)
			if err != nil {
				return err
			}
			m, err := bus.Prepare("events.argocd.git.push", e)
			if err != nil {
				return err
			}
			_, err = east.Store(ctx, m, time.Second)
			return err
		},
	} {
		if err := try(briefly(t)); err == nil {
			t.Errorf("an agent may %s", what)
		}
	}
	if value, _, err := control.KV(bus.MailboxBucket("west")).Get(t.Context(), "down.app._.a"); err != nil ||
		string(value) != "for west" {
		t.Errorf("%q: %v", value, err)
	}
	// Listening to another is refused by the server, which says nothing to who does it.
	overheard := make(chan bus.Change, 10)
	go func() {
		_ = east.Mailbox("west").Listen(briefly(t), func() error { return nil }, func(c bus.Change) error {
			overheard <- c
			return nil
		})
	}()
	for range 5 {
		if err := control.KV(bus.MailboxBucket("west")).Put(t.Context(), "down.app._.s", []byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	// A round trip of its own comes after all that it could have heard.
	if err := east.Mailbox("east").Send(t.Context(), "up.alive", nil); err != nil {
		t.Fatal(err)
	}
	if len(overheard) > 0 {
		t.Errorf("overheard %+v", <-overheard)
	}
}
