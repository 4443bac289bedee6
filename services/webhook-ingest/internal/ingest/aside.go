package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/wal"
)

// aside keeps the events that can never be stored on the bus: they are files beside
// the local log, and a condition of their EventSource for as long as the files are
// there.
type aside struct {
	wal     *wal.Log
	log     *slog.Logger
	changed func(key string) // an EventSource whose status may say something new

	mu    sync.Mutex
	files map[string]asideFile // by path
}

// asideFile is one event as it is kept for people.
type asideFile struct {
	Reason  string          `json:"reason"`
	At      time.Time       `json:"at"`
	Subject string          `json:"subject,omitempty"`
	Event   json.RawMessage `json:"event,omitempty"`
	Raw     []byte          `json:"raw,omitempty"` // of a record that cannot be read
}

func newAside(local *wal.Log, log *slog.Logger) *aside {
	a := &aside{wal: local, log: log, changed: func(string) {}, files: map[string]asideFile{}}
	for _, path := range local.Aside() {
		var f asideFile
		if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &f) == nil {
			f.Event, f.Raw = nil, nil
		}
		a.files[path] = f // what cannot be read is a damaged part of the local log
	}
	return a
}

// put keeps a record of the local log. What cannot even be kept is said in the log.
func (a *aside) put(ctx context.Context, raw []byte, why error) {
	f := asideFile{Reason: why.Error(), At: time.Now().UTC(), Raw: raw}
	id := ""
	if subject, e, err := unpack(raw); err == nil {
		id = e.ID()
		if text, err := json.Marshal(e); err == nil {
			f.Subject, f.Event, f.Raw = subject, text, nil
		}
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		var path string
		if path, err = a.wal.SetAside(bus.Key(string(raw))+".json", text); err == nil {
			a.mu.Lock()
			a.files[path] = asideFile{Reason: f.Reason, At: f.At, Subject: f.Subject}
			a.mu.Unlock()
			a.log.ErrorContext(ctx, "event can never be stored and is set aside", "subject", clipped(f.Subject), "event_id", clipped(id), "file", path, "error", clipped(f.Reason))
		}
	}
	if err != nil {
		a.log.ErrorContext(ctx, "event can never be stored and cannot be set aside; it is dropped", "subject", clipped(f.Subject), "event_id", clipped(id), "error", err)
	}
	a.changed(eventSourceOf(f.Subject))
}

// eventSourceOf is the namespace/name of the EventSource of a subject.
func eventSourceOf(subject string) string {
	parts := strings.Split(subject, ".")
	if len(parts) < 3 {
		return ""
	}
	namespace, _ := events.Untoken(parts[1]) // ours, so they can be read
	name, _ := events.Untoken(parts[2])
	return namespace + "/" + name
}

// look forgets the files that a person removed.
func (a *aside) look() {
	there := map[string]bool{}
	for _, path := range a.wal.Aside() {
		there[path] = true
	}
	for path := range a.files {
		if !there[path] {
			delete(a.files, path)
		}
	}
}

func (a *aside) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.look()
	return len(a.files)
}

// about is what the status of an EventSource says of it; "" when there is nothing.
func (a *aside) about(key string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.look()
	n, last, where := 0, asideFile{}, ""
	for path, f := range a.files {
		if eventSourceOf(f.Subject) != key {
			continue
		}
		if n++; f.At.After(last.At) {
			last, where = f, path
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d event(s) could not be stored and are kept in %s of the service; remove the files when they are dealt with. The last: %s", n, filepath.Dir(where), clipped(last.Reason))
}

// clipped keeps lines of the log readable.
func clipped(text string) string {
	const most = 512
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
