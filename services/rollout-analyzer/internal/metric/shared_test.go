package metric

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// counting is a query that counts, and that waits when it is told to.
type counting struct {
	n    atomic.Int32
	gate chan struct{}
	err  error
}

func (c *counting) query(context.Context, Request) (Outcome, error) {
	n := c.n.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	return Outcome{Text: fmt.Sprint(n), Metadata: map[string]string{"n": fmt.Sprint(n)}}, c.err
}

func TestTheSameQuestionIsAskedOnce(t *testing.T) {
	now := t0
	c := &counting{}
	s := newShared("web", c.query, func() time.Time { return now })
	every := func(interval time.Duration, url string) Request {
		r := request(t, `web: {url: "`+url+`"}`)
		r.Interval = interval
		return r
	}
	ask := func(r Request, want string) {
		t.Helper()
		if out, err := s.ask(t.Context(), r); err != nil || out.Text != want {
			t.Errorf("%q, %v; want %q", out.Text, err, want)
		}
	}
	ask(every(time.Minute, "http://a"), "1")
	ask(every(time.Minute, "http://a"), "1")
	ask(every(time.Minute, "http://b"), "2")
	now = now.Add(4 * time.Second)
	ask(every(time.Minute, "http://a"), "1")
	ask(every(6*time.Second, "http://a"), "3") // older than half its interval
	ask(every(0, "http://a"), "4")             // it wants to know how things are now
	now = now.Add(sharedAge + time.Second)
	ask(every(time.Minute, "http://a"), "5")
	now = now.Add(time.Second)
	late := every(time.Minute, "http://a")
	late.Run.Status.StartedAt = new(metav1.NewTime(now))
	ask(late, "6") // what was before the run began says nothing about it
	other := every(time.Minute, "http://a")
	other.Run.Namespace = "other"
	ask(other, "7")
	c.err = errors.New("down")
	if _, err := s.ask(t.Context(), every(time.Minute, "http://c")); err == nil {
		t.Error("an error is lost")
	}
	c.err = nil
	ask(every(time.Minute, "http://c"), "9") // errors are not kept
}

func TestThoseWhoAskAtOnceShareTheAnswer(t *testing.T) {
	c := &counting{}
	s := newShared("web", c.query, func() time.Time { return t0 }) // its cache has a goroutine of its own
	synctest.Test(t, func(t *testing.T) {
		c.gate = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := s.ask(ctx, request(t, `web: {url: "http://a"}`))
			gone <- err
		}()
		synctest.Wait()
		cancel() // the first goes away; the others still want to know
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				out, err := s.ask(t.Context(), request(t, `web: {url: "http://a"}`))
				if err != nil || out.Text != "1" {
					t.Errorf("%q, %v", out.Text, err)
				}
			})
		}
		synctest.Wait()
		close(c.gate)
		all.Wait()
	})
}
