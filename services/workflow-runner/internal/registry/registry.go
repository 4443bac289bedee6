// Package registry asks container registries what images run: the program that a container without command would start.
//
// It asks as the kubelet would, with the pull secrets of the pod and of its service account, and keeps what it learnt
// for a while. Only a few kilobytes per image are read: its manifest and its configuration.
package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/singleflight"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// timeout bounds one question.
	timeout = 15 * time.Second
	// glance is how long whoever asks waits for an answer: of a few that reconcile, none is held for a registry that is
	// slow.
	glance = 2 * time.Second
	// patience is how long a registry may be away until an image counts as unknown.
	patience = 2 * time.Minute
	// pause is how long a registry that did not answer is left alone: the pods of a fan-out must not wait for it in
	// turn.
	pause = 5 * time.Second
	// tagAge is how long is believed what an image runs whose tag may be moved; a digest never moves.
	tagAge = 10 * time.Minute
	// kept bounds the images that are remembered.
	kept = 4096
	// layers of indexes that may lie above an image. Two are common: platforms, and attestations beside them.
	depth = 3
)

// Program is what an image runs. Source: OCI image specification, config.Entrypoint and config.Cmd.
type Program struct {
	Entrypoint []string
	Cmd        []string
}

// Config says how registries are reached.
type Config struct {
	Reader   client.Reader // reads pull secrets and service accounts of any namespace
	Insecure []string      // hosts of registries that speak plain HTTP, as images name them
	// Dial connects to all others; nil connects as usual.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client asks registries. Safe for concurrent use.
type Client struct {
	reader   client.Reader
	insecure []string
	carry    http.RoundTripper
	asking   singleflight.Group
	now      func() time.Time
	glance   time.Duration

	mu    sync.Mutex
	known map[[sha256.Size]byte]answer
}

// answer is what is known of an image, or since when nobody answers.
type answer struct {
	program Program
	found   bool
	since   time.Time
	lasting bool
	tried   time.Time // when it was asked in vain
	err     error     // what came of that
}

// New makes a client.
func New(c Config) *Client {
	return &Client{
		reader: c.Reader, insecure: c.Insecure, carry: newCarrier(c), now: time.Now, glance: glance,
		known: map[[sha256.Size]byte]answer{},
	}
}

// Puller is who pulls an image: the credentials of a pod.
type Puller struct {
	Namespace string
	Account   string   // service account, "" is default
	Secrets   []string // imagePullSecrets of the pod
}

// Program says what an image runs. An error of class poison is final: there is no such image, or the registry does not
// show it. Any other may pass.
func (c *Client) Program(ctx context.Context, who Puller, image string) (Program, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%q", []any{image, who}))
	known, ok := c.recall(key)
	switch {
	case ok && known.found:
		return known.program, nil
	case ok && c.now().Sub(known.tried) < pause:
		return Program{}, known.err
	}
	flight := c.asking.DoChan(string(key[:]), func() (any, error) { return c.learn(ctx, key, who, image) })
	late := time.NewTimer(c.glance)
	defer late.Stop()
	select {
	case end := <-flight:
		got, _ := end.Val.(Program)
		return got, end.Err
	case <-late.C:
		return Program{}, fmt.Errorf("the registry did not answer within %s yet", c.glance)
	case <-ctx.Done():
		return Program{}, context.Cause(ctx)
	}
}

// learn asks for an image, and remembers what came of it.
func (c *Client) learn(ctx context.Context, key [sha256.Size]byte, who Puller, image string) (Program, error) {
	got, err := c.ask(ctx, who, image)
	if err == nil {
		c.remember(key, got)
		return got.program, nil
	}
	if fault.Of(err) == fault.Poison {
		return Program{}, err
	}
	known, ok := c.recall(key)
	if !ok {
		known.since = c.now()
	}
	if c.now().Sub(known.since) > patience {
		err = fault.Poisonf("no answer for %s: %w", patience, err)
	}
	known.tried, known.err = c.now(), err
	c.remember(key, known)
	return Program{}, err
}

func (c *Client) recall(key [sha256.Size]byte) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.known[key]
	limit := tagAge
	if !a.found {
		limit = 2 * patience // of an old failure nothing follows
	}
	if ok && !a.lasting && c.now().Sub(a.since) > limit {
		delete(c.known, key)
		return answer{}, false
	}
	return a, ok
}

func (c *Client) remember(key [sha256.Size]byte, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= kept {
		clear(c.known)
	}
	c.known[key] = a
}

// ask reads the configuration of an image.
func (c *Client) ask(ctx context.Context, who Puller, image string) (answer, error) {
	ref, err := c.parse(image)
	if err != nil {
		return answer{}, err
	}
	// Whoever shares the answer must not lose it to the one that asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	keys, err := c.keychain(ctx, who)
	if err != nil {
		return answer{}, err
	}
	program, err := read(
		ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(keys), remote.WithTransport(c.carry),
		remote.WithUserAgent("argosy"),
	)
	if err != nil {
		return answer{}, classed(err)
	}
	_, lasting := ref.(name.Digest)
	return answer{program: program, found: true, since: c.now(), lasting: lasting}, nil
}

func (c *Client) parse(image string) (name.Reference, error) {
	var options []name.Option
	if host, _, ok := strings.Cut(image, "/"); ok && slices.Contains(c.insecure, host) {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(image, options...)
	if err != nil {
		return nil, fault.Poisonf("it is no image reference: %w", err)
	}
	return ref, nil
}

func read(ref name.Reference, options ...remote.Option) (Program, error) {
	for range depth {
		found, err := remote.Get(ref, options...)
		if err != nil {
			return Program{}, err
		}
		if !found.MediaType.IsIndex() {
			image, err := found.Image()
			if err != nil {
				return Program{}, err
			}
			file, err := image.ConfigFile()
			if err != nil {
				return Program{}, err
			}
			return Program{Entrypoint: file.Config.Entrypoint, Cmd: file.Config.Cmd}, nil
		}
		index, err := found.ImageIndex()
		if err != nil {
			return Program{}, err
		}
		list, err := index.IndexManifest()
		if err != nil {
			return Program{}, err
		}
		one, ok := pick(list.Manifests)
		if !ok {
			return Program{}, fault.Poisonf("it has no image for linux")
		}
		ref = ref.Context().Digest(one.Digest.String())
	}
	return Program{}, fault.Poisonf("its indexes are nested more than %d deep", depth)
}

// pick chooses the image of an index: that of this machine's kind, else any for Linux. Images of one index run the same
// program, as their nodes may be of any kind.
func pick(all []v1.Descriptor) (v1.Descriptor, bool) {
	var other v1.Descriptor
	found := false
	for _, d := range all {
		if d.Platform != nil && d.Platform.OS != "linux" && d.Platform.OS != "" {
			continue
		}
		if d.Platform == nil || d.Platform.Architecture == runtime.GOARCH {
			return d, true
		}
		if !found {
			other, found = d, true
		}
	}
	return other, found
}

// classed says whether an answer is final. What the registry refuses stays refused; that it is not there may pass.
func classed(err error) error {
	if fault.Of(err) == fault.Poison {
		return err
	}
	refused, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return err
	}
	switch refused.StatusCode {
	case http.StatusNotFound:
		return fault.Poisonf("the registry has no such image")
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Poisonf("the registry does not show it to these pull secrets: %w", err)
	}
	if refused.StatusCode >= 400 && refused.StatusCode < 500 && refused.StatusCode != http.StatusTooManyRequests &&
		refused.StatusCode != http.StatusRequestTimeout {
		return fault.AsPoison(err)
	}
	return err
}

var _ authn.Keychain = keychain{}
