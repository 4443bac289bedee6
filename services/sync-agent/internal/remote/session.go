package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/wait"
	core "github.com/argosy-mesh/argosy/services/sync-agent/internal/core/remote"
)

// An agent says every beat that it is there, and hears itself say so by the same way that brings its assignments: when
// it does not for a few beats, the way is broken, wherever between here and the control cluster, and it begins anew.
const (
	beat      = time.Second
	deafAfter = 5 * beat
	again     = time.Second
	// resync is after how long everything is asked for again, for what may have been lost between servers.
	resync = 5 * time.Minute
)

var (
	errDeaf       = errors.New("the heartbeat does not come back")
	errUnanswered = errors.New("the control cluster does not say what to do: does a Secret there name this agent?")
)

// Run listens to the control cluster until ctx ends, through all times at which it cannot be reached.
func (m *Mirror) Run(ctx context.Context) error {
	for told := false; ctx.Err() == nil; {
		err := m.session(ctx)
		m.connected.Store(false)
		if ctx.Err() != nil {
			break
		}
		if !told || m.heardOnce.Swap(false) {
			m.Log.WarnContext(ctx, "the control cluster is away; its applications are seen to as they were", "error", err)
			told = true
		}
		if wait.For(ctx, again) != nil {
			break
		}
	}
	return nil //nolint:nilerr // it was asked to end
}

// session is one time of being connected.
func (m *Mirror) session(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	box := m.Bus.Mailbox(m.Agent)
	began := time.Now()
	nonce := fmt.Sprintf("%s/%d", m.Instance, began.UnixNano())
	var echo atomic.Int64
	echo.Store(began.UnixNano())
	m.mu.Lock()
	m.fresh, m.current = newHeard(), false
	m.mu.Unlock()
	var beats sync.WaitGroup
	err := box.Listen(ctx, func() error {
		if err := m.send(ctx, box, core.Hello, nonce); err != nil {
			return err
		}
		beats.Go(func() {
			for asked := began; wait.For(ctx, beat) == nil; {
				err := m.beat(ctx, box)
				if err == nil && time.Since(asked) > resync {
					asked, err = time.Now(), m.send(ctx, box, core.Hello, nonce)
				}
				switch {
				case err != nil:
					stop(err)
				case time.Since(time.Unix(0, echo.Load())) > deafAfter:
					stop(errDeaf)
				case !m.isCurrent() && time.Since(began) > deafAfter:
					stop(errUnanswered)
				}
			}
		})
		return nil
	}, func(c bus.Change) error {
		switch {
		case c.Current && string(c.Value) != nonce:
			return nil // it was asked by another
		case c.Key == core.Alive:
			echo.Store(time.Now().UnixNano())
		}
		m.hear(ctx, c)
		return nil
	})
	stop(err)
	beats.Wait()
	return err
}

func (m *Mirror) isCurrent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current
}

func (m *Mirror) beat(ctx context.Context, box bus.Mailbox) error {
	m.count++
	text, err := json.Marshal(core.Beat{Instance: m.Instance, Count: m.count})
	if err != nil {
		return fmt.Errorf("encode a heartbeat: %w", err)
	}
	return m.send(ctx, box, core.Alive, string(text))
}

func (m *Mirror) send(ctx context.Context, box bus.Mailbox, key, value string) error {
	ctx, cancel := context.WithTimeout(ctx, deafAfter)
	defer cancel()
	return box.Send(ctx, key, []byte(value))
}

// hear takes a word of the control cluster. Until all that is there was told, what was known before holds.
func (m *Mirror) hear(ctx context.Context, c bus.Change) {
	m.mu.Lock()
	if c.Current && m.current {
		m.mu.Unlock()
		return // a control cluster that begins repeats it unasked
	}
	into := m.known
	if !m.current {
		into = m.fresh
	}
	var apps []core.Key
	var projects []string
	if c.Current {
		apps, projects = m.fresh.everything()
		m.known, m.fresh, m.current = m.fresh, nil, true
	} else if k, name, is := into.take(c); is && m.current {
		if name != "" {
			projects = append(projects, name)
		} else {
			apps = append(apps, k)
		}
	}
	m.mu.Unlock()
	if c.Current {
		m.connected.Store(true)
		m.heardOnce.Store(true)
		m.Log.InfoContext(ctx, "the control cluster is there", "applications", len(apps), "projects", len(projects))
	}
	m.wake(ctx, apps, projects)
}

// heard is what the control cluster said, and what was said to it.
type heard struct {
	apps     map[core.Key]*core.Assignment
	projects map[string]*spoken
	reports  map[core.Key][]byte
}

// spoken is what was said of a project; nil text has it go.
type spoken struct{ text []byte }

func newHeard() *heard {
	return &heard{
		apps: map[core.Key]*core.Assignment{}, projects: map[string]*spoken{}, reports: map[core.Key][]byte{},
	}
}

// take notes a change; is tells whether something has to be done about an Application or a project.
func (h *heard) take(c bus.Change) (k core.Key, project string, is bool) {
	if k, is = core.ParseApp(c.Key, core.Up); is {
		if h.reports[k] = c.Value; c.Removed {
			delete(h.reports, k)
		}
		return k, "", false
	}
	if project, is = core.ParseProject(c.Key); is {
		if c.Removed {
			c.Value = nil
		}
		h.projects[project] = &spoken{text: c.Value}
		return k, project, true
	}
	if k, is = core.ParseApp(c.Key, core.Down); !is {
		return k, "", false
	}
	delete(h.apps, k)
	if c.Removed {
		return k, "", false
	}
	a := &core.Assignment{}
	if json.Unmarshal(c.Value, a) != nil {
		return k, "", false // it stays as it is; an agent of a later version may know
	}
	h.apps[k] = a
	return k, "", true
}

// everything is all that was told at once. A project that is used and was not told is gone.
func (h *heard) everything() (apps []core.Key, projects []string) {
	for k, a := range h.apps {
		apps = append(apps, k)
		name, _ := a.Spec["project"].(string)
		if name = or(name, defaultProject); !a.Withdrawn && h.projects[name] == nil {
			h.projects[name] = &spoken{}
		}
	}
	for name := range h.projects {
		projects = append(projects, name)
	}
	return apps, projects
}
