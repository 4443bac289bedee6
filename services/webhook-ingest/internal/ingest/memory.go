package ingest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
)

// memory is what one hook is read into, and where the data of its event is written. It is used again when the hook is
// answered: nothing of an event stays with whoever takes it, the bus and the local log copy it.
type memory struct {
	body bytes.Buffer
	room []byte
}

// memoryKept is how much is kept for the next hook. Pushes seldom have more; what one large hook took is given up.
const memoryKept = 64 << 10

// besideBody is what the data of an event usually holds beside the body: its headers.
const besideBody = 2 << 10

var memories = sync.Pool{New: func() any { return &memory{} }}

func takeMemory() *memory {
	return memories.Get().(*memory) //nolint:forcetypeassert // nothing else is put there
}

func (m *memory) give() {
	if m.body.Cap() > memoryKept || cap(m.room) > memoryKept {
		return
	}
	m.body.Reset()
	memories.Put(m)
}

// roomFor is room for the data of an event of the body that was read.
func (m *memory) roomFor() []byte {
	m.room = slices.Grow(m.room[:0], m.body.Len()+besideBody)
	return m.room
}

// readBody caps what was sent, and what it unpacks to.
func (m *memory) readBody(w http.ResponseWriter, r *http.Request) error {
	capped := http.MaxBytesReader(w, r.Body, core.MaxBody)
	switch encoding := r.Header.Get("Content-Encoding"); {
	case encoding == "" || strings.EqualFold(encoding, "identity"):
		return m.readAll(capped, r.ContentLength)
	case strings.EqualFold(encoding, "gzip"):
		unzipped, err := gzip.NewReader(capped)
		if err != nil {
			return err
		}
		return m.readAll(http.MaxBytesReader(w, unzipped, core.MaxBody), -1)
	default:
		return fmt.Errorf("content encoding %q", encoding)
	}
}

// readAll reads into a buffer of the announced size, so that it need not grow. A
// sender may announce much and send nothing: no more than 1 MiB is believed.
func (m *memory) readAll(r io.Reader, length int64) error {
	if length > 0 {
		m.body.Grow(int(min(length, 1<<20)) + bytes.MinRead)
	}
	_, err := m.body.ReadFrom(r)
	return err
}
