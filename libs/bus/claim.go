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

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/nats-io/nats.go/jetstream"
)

// claimScheme marks a dataref that points into the payloads bucket.
const claimScheme = "argosy-payload:"

// claimLimit bounds what a claim may bring back into memory. Senders are held to
// 25 MiB; base64 and headers of the compatible view need some room on top.
const claimLimit = 64 << 20

// checkIn moves a large body into the payloads bucket. The object is named by its
// content, so repeating after a crash stores nothing new.
func (b *Bus) checkIn(ctx context.Context, e Event) (Event, error) {
	body := e.Data()
	if len(body) <= b.inline {
		return e, nil
	}
	sum := sha256.Sum256(body)
	name := hex.EncodeToString(sum[:])
	if err := b.Objects(PayloadsBucket).Put(ctx, name, bytes.NewReader(body)); err != nil {
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
	body, err := io.ReadAll(io.LimitReader(r, claimLimit))
	if err != nil {
		return e, fmt.Errorf("check out body of event %s: %w", e.ID(), err)
	}
	e.DataEncoded = body
	return e, nil
}
