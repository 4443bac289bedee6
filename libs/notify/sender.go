package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

const (
	share    = 4                // objects that one service sends about at once
	deadline = 10 * time.Second // of one message
	patience = 30 * time.Second // of all messages about one object by one service; the others wait for the next try
)

// ErrBusy is wrapped by the error about a service whose share is taken: come again later.
var ErrBusy = errors.New("the service is busy")

// Sender sends the messages of one configuration. Safe for concurrent use.
type Sender struct {
	config *Config
	env    Env

	mu    sync.Mutex
	lanes map[string]*lane // by name of the service
}

// lane is the share of one service.
type lane struct {
	service Service
	slots   chan struct{}
}

// NewSender returns a sender.
func NewSender(c *Config, env Env) *Sender {
	return &Sender{config: c, env: env, lanes: map[string]*lane{}}
}

// Deliver sends what is to be told about an object and returns what the state is then, and whether it changed. It is
// to be recorded whatever the error: what went out must not go out again. Services work at the same time, each within
// its share; when that is taken the error wraps [ErrBusy]. An error of class poison alone says that no other try will
// help: such a notification counts as told. No error holds a value of the Secret.
func (s *Sender) Deliver(
	ctx context.Context, subject Subject, destinations map[string][]Destination, told State, now time.Time,
) (State, bool, error) {
	decided := s.config.Decide(subject, destinations, told)
	next := maps.Clone(told)
	for _, key := range decided.Forget {
		delete(next, key)
	}
	byService := map[string][]Notification{}
	for _, n := range decided.Send {
		byService[n.To.Service] = append(byService[n.To.Service], n)
	}
	var mu sync.Mutex
	var errs []error
	var wait sync.WaitGroup
	for name, all := range byService {
		wait.Go(func() {
			s.run(ctx, name, subject, all, func(n Notification, err error) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, s.named(n, err))
				if err == nil || fault.Of(err) == fault.Poison {
					next[n.Key] = now.Unix()
				}
			})
		})
	}
	wait.Wait()
	return next, !maps.Equal(next, told), joined(errs)
}

// joined prefers what another try may mend.
func joined(errs []error) error {
	var retry []error
	for _, err := range errs {
		if fault.Of(err) == fault.Retry {
			retry = append(retry, err)
		}
	}
	if len(retry) > 0 {
		return errors.Join(retry...)
	}
	return errors.Join(errs...)
}

// run sends the notifications of one service, one after the other.
func (s *Sender) run(
	ctx context.Context, name string, subject Subject, all []Notification, done func(Notification, error),
) {
	l, err := s.lane(name)
	if err == nil {
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		default:
			err = ErrBusy
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, n := range all {
		if err != nil {
			done(n, err)
			continue
		}
		done(n, s.send(ctx, l.service, subject, n))
	}
}

func (s *Sender) send(ctx context.Context, service Service, subject Subject, n Notification) error {
	m, err := s.config.Render(subject, n)
	if err != nil {
		return fault.AsPoison(err)
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return service.Send(ctx, m)
}

func (s *Sender) named(n Notification, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("notify %s:%s about %s: %w", n.To.Service, n.To.Recipient, n.Trigger, s.config.redacted(err))
}

func (s *Sender) lane(name string) (*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[name]; l != nil {
		return l, nil
	}
	d, is := s.config.services[name]
	if !is {
		return nil, fault.Poisonf("service %s is not configured", name)
	}
	service, err := d.kind.make(d.text, s.env)
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	l := &lane{service: service, slots: make(chan struct{}, share)}
	s.lanes[name] = l
	return l, nil
}
