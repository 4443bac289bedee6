package world

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/tools/demo/demo"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Change is one commit of the app on its way.
type Change struct {
	w      *World
	Commit string

	mu   sync.Mutex
	seen []bus.Delivery // everything that was stored since before the push
}

// Push commits settings and starts watching what comes of it.
func (w *World) Push(s demo.Settings) *Change {
	w.t.Helper()
	c := &Change{w: w}
	for stream, subject := range map[string]string{bus.Events: "events.>", bus.Facts: "facts.>"} {
		ready := make(chan struct{})
		go c.follow(stream, subject, ready)
		<-ready
	}
	var err error
	c.Commit, err = w.Demo.Push(w.t.Context(), s)
	w.must(err)
	return c
}

// follow keeps collecting, over restarts of the server too: it then starts over
// from the beginning of the stream and drops what is known.
func (c *Change) follow(stream, subject string, ready chan<- struct{}) {
	began := time.Now().Add(-2 * time.Second)
	known := map[uint64]bool{}
	close(ready)
	for c.w.t.Context().Err() == nil {
		_ = c.w.Bus.Follow(c.w.t.Context(), stream, subject, true, func(d bus.Delivery) error {
			if d.Stored.Before(began) || known[d.Sequence] {
				return nil
			}
			known[d.Sequence] = true
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen = append(c.seen, d)
			return nil
		})
		select {
		case <-c.w.t.Context().Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// correlation is the id of the push event of this commit, "" until it is stored.
func (c *Change) correlation() string {
	for _, d := range c.seen {
		if d.Type() == "github" && strings.Contains(string(d.Data()), `"after":"`+c.Commit+`"`) {
			return d.ID()
		}
	}
	return ""
}

// Facts lists the facts of this change of one name, such as rollout.promoted.
func (c *Change) Facts(name string) []events.Fact {
	c.mu.Lock()
	defer c.mu.Unlock()
	chain := c.correlation()
	var facts []events.Fact
	for _, d := range c.seen {
		if d.Type() != events.FactType(name) || chain == "" || bus.LineageOf(d.Event).Correlation != chain {
			continue
		}
		var f events.Fact
		if json.Unmarshal(d.Data(), &f) == nil {
			facts = append(facts, f)
		}
	}
	return facts
}

// Pushes counts the events of this commit's push.
func (c *Change) Pushes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, d := range c.seen {
		if d.Type() == "github" && strings.Contains(string(d.Data()), `"after":"`+c.Commit+`"`) {
			n++
		}
	}
	return n
}

// Await waits for the first fact of a name.
func (c *Change) Await(name string) events.Fact {
	c.w.t.Helper()
	var found events.Fact
	c.w.Await(name+" of "+c.Commit[:12], 3*time.Minute, func() error {
		facts := c.Facts(name)
		if len(facts) == 0 {
			return fmt.Errorf("not told; seen so far: %s", c.story())
		}
		found = facts[0]
		return nil
	})
	return found
}

// AwaitPush waits until the push event is stored.
func (c *Change) AwaitPush() {
	c.w.t.Helper()
	c.w.Await("push event is stored", time.Minute, func() error {
		if c.Pushes() == 0 {
			return fmt.Errorf("no event of commit %s", c.Commit[:12])
		}
		return nil
	})
}

func (c *Change) story() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	chain := c.correlation()
	var names []string
	for _, d := range c.seen {
		if bus.LineageOf(d.Event).Correlation == chain {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(d.Type(), "dev.argosy."), ".v1"))
		}
	}
	return strings.Join(names, " ")
}

// Once checks that the change left exactly one of everything behind.
func (c *Change) Once(t *testing.T) {
	t.Helper()
	if n := c.Workflows(); n != 1 {
		t.Errorf("%d workflows for commit %s, want 1", n, c.Commit[:12])
	}
	digests := map[string]bool{}
	c.mu.Lock()
	for _, d := range c.seen {
		var image events.ImagePushed
		if d.Type() == events.TypeImagePushed && d.DataAs(&image) == nil && image.Tag == c.Commit[:12] {
			digests[image.Digest] = true
		}
	}
	chain := c.correlation()
	c.mu.Unlock()
	if len(digests) != 1 {
		t.Errorf("images %v, want 1", digests)
	}
	if n := c.commits(chain); n != 1 {
		t.Errorf("%d commits to the GitOps repository, want 1", n)
	}
	if n := len(c.w.ReplicaSets(c.Commit)); n != 1 {
		t.Errorf("%d revisions of the rollout, want 1", n)
	}
}

// Workflows counts those that were made for the commit.
func (c *Change) Workflows() int {
	n := 0
	for _, wf := range c.w.Workflows() {
		parameters, _, _ := unstructured.NestedSlice(wf.Object, "spec", "arguments", "parameters")
		for _, p := range parameters {
			if m, ok := p.(map[string]any); ok && m["name"] == "revision" && m["value"] == c.Commit {
				n++
			}
		}
	}
	return n
}

// commits counts those of the GitOps repository that carry the chain's trailer.
func (c *Change) commits(chain string) int {
	c.w.t.Helper()
	ctx, cancel := context.WithTimeout(c.w.t.Context(), time.Minute)
	defer cancel()
	dir := c.w.t.TempDir()
	if out, err := exec.CommandContext(ctx, "git", "clone", "--quiet", "--bare", "http://127.0.0.1:30080/demo/gitops.git", dir).CombinedOutput(); err != nil {
		c.w.t.Fatalf("clone the GitOps repository: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "log", "--format=%(trailers:key=Argosy-Correlation-Id,valueonly)", "main").Output()
	c.w.must(err)
	n := 0
	for line := range strings.Lines(string(out)) {
		if strings.TrimSpace(line) == chain {
			n++
		}
	}
	return n
}
