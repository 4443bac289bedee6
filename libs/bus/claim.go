package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go/jetstream"
)

// claimScheme marks a dataref that points into the payloads bucket.
const claimScheme = "argosy-payload:"

// claimLimit bounds what a claim may bring back into memory. Senders are held to
// 25 MiB; base64 and headers of the compatible view need some room on top.
const claimLimit = 64 << 20

// checkIn moves a large body into the payloads bucket. Each event has an object of its own, and one that is there is
// not put again: putting would pull the chunks from under whoever reads them. The day is part of the name, so that an
// event that is published again long after does not point to a body that is about to age out.
func (b *Bus) checkIn(ctx context.Context, subject string, e Event) (Event, error) {
	body := e.Data()
	sum := sha256.Sum256(body)
	name := strings.Join(
		[]string{hex.EncodeToString(sum[:]), MessageID(subject, e), time.Now().UTC().Format("20060102")}, ".",
	)
	objects := b.Objects(PayloadsBucket)
	// Only a complete object is found: its name is written after its chunks.
	there, err := objects.Has(ctx, name)
	if err == nil && !there {
		err = objects.Put(ctx, name, bytes.NewReader(body))
	}
	if err != nil {
		return e, fmt.Errorf("check in %d bytes of event %s: %w", len(body), e.ID(), err)
	}
	out := e.Clone()
	out.DataEncoded = nil
	out.SetExtension(extDataRef, claimScheme+name)
	return out, nil
}

// checkOut brings a claimed body back.
func (b *Bus) checkOut(ctx context.Context, e Event) (Event, error) {
	name, claimed := strings.CutPrefix(extension(e, extDataRef), claimScheme)
	if !claimed {
		return e, nil
	}
	r, err := b.Objects(PayloadsBucket).Open(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return e, fault.Poisonf("check out body of event %s: %w", e.ID(), err)
	}
	if err != nil {
		return e, fmt.Errorf("check out body of event %s: %w", e.ID(), err)
	}
	defer r.Close()
	body, err := io.ReadAll(io.LimitReader(r, claimLimit+1))
	if err != nil {
		return e, fmt.Errorf("check out body of event %s: %w", e.ID(), err)
	}
	if len(body) > claimLimit {
		return e, fault.Poisonf(
			"check out body of event %s: it has more than %d bytes: %w", e.ID(), claimLimit, ErrTooLarge,
		)
	}
	e.DataEncoded = body
	return e, nil
}
