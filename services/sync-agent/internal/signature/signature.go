// Package signature tells by which OpenPGP key a commit or a tag of Git is signed.
package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// Limits of what is read from others.
const (
	maxKeys      = 1 << 20
	maxSignature = 64 << 10
)

// Errors that verification ends with.
var (
	ErrUnsigned = errors.New("it is not signed")
	ErrForeign  = errors.New("its signature is not one of OpenPGP")
	ErrInvalid  = errors.New("its signature is not good")
)

// Keyring holds the public keys that an installation trusts. It is immutable; the zero value holds none.
type Keyring struct {
	ID      string // of its content
	keys    openpgp.EntityList
	ignored []error
}

// NewKeyring reads armored keys. Texts that hold none are listed as problems.
func NewKeyring(texts map[string]string) *Keyring {
	sum := sha256.New()
	k := &Keyring{}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		fmt.Fprintf(sum, "%d %s%d %s", len(name), name, len(text), text)
		if len(text) > maxKeys {
			k.ignored = append(k.ignored, fmt.Errorf("key %s: it has %d bytes, over %d", name, len(text), maxKeys))
			continue
		}
		found, err := openpgp.ReadArmoredKeyRing(strings.NewReader(text))
		if err != nil {
			k.ignored = append(k.ignored, fmt.Errorf("key %s: %w", name, err))
			continue
		}
		k.keys = append(k.keys, found...)
	}
	k.ID = hex.EncodeToString(sum.Sum(nil)[:16])
	return k
}

// Problems are the keys that could not be read.
func (k *Keyring) Problems() []error { return k.ignored }

// Signer returns the fingerprints, in capital hexadecimal digits, of the primary key and of the key that made the
// signature of an object: a commit, or a tag that has a message. The object is as Git stores it.
func (k *Keyring) Signer(kind string, data []byte) (fingerprints []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrInvalid, r) // a packet of somebody must not end the process
		}
	}()
	signed, armored := cutCommit(data)
	if kind == "tag" {
		signed, armored = cutTag(data)
	}
	switch {
	case len(armored) == 0:
		return nil, ErrUnsigned
	case len(armored) > maxSignature:
		return nil, fmt.Errorf("%w: it has %d bytes, over %d", ErrInvalid, len(armored), maxSignature)
	case !bytes.Contains(armored, []byte("-----BEGIN PGP ")):
		return nil, ErrForeign
	}
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	packet, by, err := openpgp.VerifyDetachedSignature(k.keys, bytes.NewReader(signed), block.Body, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	primary := fmt.Sprintf("%X", by.PrimaryKey.Fingerprint)
	out := []string{primary}
	if packet.IssuerKeyId != nil {
		for _, found := range k.keys.KeysById(*packet.IssuerKeyId) {
			if f := fmt.Sprintf("%X", found.PublicKey.Fingerprint); f != primary && found.Entity == by {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

// Matches reports whether one of some fingerprints is that of a key as people write it: a fingerprint, or the last 16
// digits or more of one.
func Matches(key string, fingerprints []string) bool {
	key = strings.ToUpper(strings.TrimPrefix(strings.ReplaceAll(key, " ", ""), "0x"))
	return len(key) >= shortestKey && slices.ContainsFunc(
		fingerprints, func(f string) bool { return strings.HasSuffix(f, key) },
	)
}

// shortestKey is how many digits of a fingerprint say which key it is: shorter ids can be made to collide.
const shortestKey = 16

// cutCommit takes the signature out of a commit: the rest is what was signed.
func cutCommit(data []byte) (signed, armored []byte) {
	inside := false
	rest := data
	for len(rest) > 0 {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		switch {
		case inside && line[0] == ' ':
			armored = append(armored, line[1:]...)
			continue
		case bytes.HasPrefix(line, []byte("gpgsig ")):
			inside = true
			armored = append(armored[:0], line[len("gpgsig "):]...)
			continue
		case line[0] == '\n': // the message begins
			return append(append(signed, line...), rest...), armored
		}
		inside = false
		signed = append(signed, line...)
	}
	return signed, armored
}

// signatureStarts are how signatures of tags begin.
var signatureStarts = [][]byte{[]byte("-----BEGIN PGP SIGNATURE-----"), []byte("-----BEGIN SSH SIGNATURE-----")}

// cutTag cuts a tag where its signature begins.
func cutTag(data []byte) (signed, armored []byte) {
	for _, start := range signatureStarts {
		if bytes.HasPrefix(data, start) {
			return nil, data
		}
		if i := bytes.LastIndex(data, append([]byte("\n"), start...)); i >= 0 {
			return data[:i+1], data[i+1:]
		}
	}
	return data, nil
}
