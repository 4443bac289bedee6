// Package remote keeps our hooks at those who send them, by their API: it makes the
// hook that an EventSource asks for, brings it up to date, and asks a sender that
// remembers its deliveries for those that never arrived.
//
// A hook is ours when it delivers to the URL of the manifest, as upstream has it.
// Everything here may be done twice without harm: a hook that is there is updated,
// and what is delivered again has the id of its first delivery. So a crash leaves
// nothing to clean up, except hooks of an EventSource that was deleted while no
// replica ran: those stay.
package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

// Kinds makes the keepers of one kind of an EventSource, by event. Events whose
// manifest has no credentials or no URL are left out: their hooks are kept by hand.
var Kinds = map[string]func(*v1alpha1.EventSourceSpec) map[string]pull.Reader{
	"bitbucket": func(s *v1alpha1.EventSourceSpec) map[string]pull.Reader {
		return each(s.Bitbucket, bitbucketHooks(bitbucketAPI))
	},
	"bitbucketserver": func(s *v1alpha1.EventSourceSpec) map[string]pull.Reader {
		return each(s.Bitbucketserver, bitbucketServerHooks)
	},
	"gitea":  func(s *v1alpha1.EventSourceSpec) map[string]pull.Reader { return each(s.Gitea, giteaHooks) },
	"github": func(s *v1alpha1.EventSourceSpec) map[string]pull.Reader { return each(s.Github, githubHooks) },
	"gitlab": func(s *v1alpha1.EventSourceSpec) map[string]pull.Reader { return each(s.Gitlab, gitlabHooks) },
	"stripe": func(s *v1alpha1.EventSourceSpec) map[string]pull.Reader {
		return each(s.Stripe, stripeHooks(stripeAPI))
	},
}

func each[T any](sources map[string]T, keep func(T) *hookReconciler) map[string]pull.Reader {
	out := map[string]pull.Reader{}
	for name, c := range sources {
		if k := keep(c); k != nil {
			out[name] = k.reader()
		}
	}
	return out
}

// interval is the time between two looks. A look costs one or two requests for each
// place; GitHub grants an App 5,000 an hour.
const interval = 10 * time.Minute

// horizon is how far back failed deliveries are asked for. Source: GitHub
// redelivers for three days; deliveries are recognised for four.
const horizon = 3 * 24 * time.Hour

// overlap is how much of the time before the last look is looked at again, since
// clocks differ.
const overlap = 10 * time.Minute

// maxAgain bounds how many deliveries are asked for in one look, and maxTries how
// often the same one is: what we refuse five times is refused for a reason.
const (
	maxAgain = 100
	maxTries = 5
)

// place is where hooks are kept: a repository, a group, an account.
type place interface {
	// name says which it is, for errors.
	name() string
	// list finds the hooks that deliver to us, on all pages.
	list(ctx context.Context) ([]hook, error)
	create(ctx context.Context) error
	update(ctx context.Context, id string) error
	remove(ctx context.Context, id string) error
}

// memory is a place that remembers what it delivered.
type memory interface {
	// recall lists attempts since a time, newest first.
	recall(ctx context.Context, hook string, since time.Time) ([]attempt, error)
	// again asks for one more attempt.
	again(ctx context.Context, hook string, attempt int64) error
}

// hook is one that delivers to us.
type hook struct {
	id   string
	same bool // it is as the manifest wants it, as far as can be seen
}

// attempt is one attempt to deliver.
type attempt struct {
	id       int64
	delivery string // the same for all attempts of one delivery
	arrived  bool
}

// site is where one event keeps hooks, with what its secrets say now.
type site struct {
	places []place
	// secrets are what hooks were made with. No sender shows them, so a change is only known here.
	secrets string
}

// hookReconciler keeps the hooks of one event. One goroutine uses it.
type hookReconciler struct {
	open   func(ctx context.Context, env pull.Env) (site, error)
	every  time.Duration
	finish bool // remove the hooks with the event
	now    func() time.Time

	made  string               // digest of the secrets that all hooks have
	since map[string]time.Time // up to when a place was asked for what is missing
	tries map[string]int       // by delivery
}

func newHookReconciler(finish bool, open func(ctx context.Context, env pull.Env) (site, error)) *hookReconciler {
	return &hookReconciler{
		open: open, every: interval, finish: finish, now: time.Now, since: map[string]time.Time{},
		tries: map[string]int{},
	}
}

func (k *hookReconciler) reader() pull.Reader {
	r := pull.Reader{Run: func(ctx context.Context, env pull.Env, _ pull.Emit) error { return k.run(ctx, env) }}
	if k.finish {
		r.Finish = k.removeAll
	}
	return r
}

func (k *hookReconciler) run(ctx context.Context, env pull.Env) error {
	for {
		if err := k.reconcile(ctx, env); err != nil {
			return err
		}
		env.Up()
		t := time.NewTimer(k.every)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// reconcile brings every place up to date; one that fails does not keep the others from it.
func (k *hookReconciler) reconcile(ctx context.Context, env pull.Env) error {
	s, err := k.open(ctx, env)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(s.secrets))
	secrets := hex.EncodeToString(digest[:])
	var failed []error
	for _, p := range s.places {
		id, err := settle(ctx, p, secrets != k.made)
		if m, ok := p.(memory); ok && err == nil && id != "" {
			err = k.ask(ctx, env, p.name(), id, m)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("hook of %s: %w", p.name(), err))
		}
	}
	if len(failed) == 0 {
		k.made = secrets
	}
	return errors.Join(failed...)
}

// settle leaves exactly one hook, as it is wanted, and returns its id; none for one
// that was just made, which cannot have missed anything.
func settle(ctx context.Context, p place, anew bool) (string, error) {
	hooks, err := p.list(ctx)
	if err != nil {
		return "", err
	}
	if len(hooks) == 0 {
		return "", p.create(ctx)
	}
	for _, extra := range hooks[1:] {
		if err := p.remove(ctx, extra.id); err != nil {
			return "", err
		}
	}
	if anew || !hooks[0].same {
		if err := p.update(ctx, hooks[0].id); err != nil {
			return "", err
		}
	}
	return hooks[0].id, nil
}

// ask has deliveries sent again that never arrived.
func (k *hookReconciler) ask(ctx context.Context, env pull.Env, name, id string, m memory) error {
	began := k.now()
	since := began.Add(-horizon)
	if last, ok := k.since[name]; ok && last.After(since) {
		since = last
	}
	attempts, err := m.recall(ctx, id, since)
	if err != nil {
		return err
	}
	if len(k.tries) > 100*maxAgain {
		clear(k.tries)
	}
	asked := 0
	for _, a := range missed(attempts) {
		if k.tries[a.delivery] >= maxTries {
			continue
		}
		if asked++; asked > maxAgain {
			return nil // the next look goes on
		}
		if err := m.again(ctx, id, a.id); err != nil {
			return fmt.Errorf("ask for delivery %s again: %w", a.delivery, err)
		}
		k.tries[a.delivery]++
		env.Log.InfoContext(
			ctx, "a delivery that did not arrive was asked for again", "eventsource", env.Namespace+"/"+env.EventSource,
			"event", env.Event, "place", name, "delivery", a.delivery,
		)
	}
	k.since[name] = began.Add(-overlap)
	return nil
}

// missed are the deliveries none of whose attempts arrived, oldest first, by their
// newest attempt. Attempts are newest first.
func missed(attempts []attempt) []attempt {
	arrived := map[string]bool{}
	for _, a := range attempts {
		arrived[a.delivery] = arrived[a.delivery] || a.arrived
	}
	var out []attempt
	taken := map[string]bool{}
	for _, a := range attempts {
		if !arrived[a.delivery] && !taken[a.delivery] {
			taken[a.delivery] = true
			out = append(out, a)
		}
	}
	slices.Reverse(out)
	return out
}

// removeAll removes the hooks with their event.
func (k *hookReconciler) removeAll(ctx context.Context, env pull.Env) error {
	s, err := k.open(ctx, env)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range s.places {
		hooks, err := p.list(ctx)
		for _, h := range hooks {
			err = errors.Join(err, p.remove(ctx, h.id))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("remove hook of %s: %w", p.name(), err))
		}
	}
	return errors.Join(failed...)
}

// address is where the sender shall deliver; "" when the manifest has no URL.
// Source: Argo Events appends the endpoint to the URL.
func address(w *v1alpha1.WebhookContext) string {
	if w == nil || w.URL == "" {
		return ""
	}
	endpoint := strings.Trim(w.Endpoint, "/")
	if endpoint == "" {
		return w.URL
	}
	return strings.TrimSuffix(w.URL, "/") + "/" + endpoint
}

// sameSet compares without order.
func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
