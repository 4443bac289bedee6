package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams of the mesh. See docs/contracts.md for their subjects.
const (
	Events   = "EVENTS"
	Commands = "COMMANDS"
	Facts    = "FACTS"
	Runs     = "RUNS"
	Dead     = "DEAD"
)

// The buckets of the mesh.
const (
	MembersBucket   = "members"   // heartbeats of replicas
	WindowsBucket   = "windows"   // sensor conditions
	LocksBucket     = "locks"     // workflow synchronization
	MemoBucket      = "memo"      // memoized outputs
	PositionsBucket = "positions" // how far a source was read
	ReadersBucket   = "readers"   // how far subscribers that share a reader are
	PayloadsBucket  = "payloads"  // objects: bodies over the inline limit
	ArtifactsBucket = "artifacts" // objects: the default artifact repository
	LogsBucket      = "logs"      // objects: archived logs
	ArchiveBucket   = "archive"   // records of runs that ended; objects: their workflows
)

// Limits bounds what the bus keeps. The zero value is unusable; start from
// DefaultLimits.
type Limits struct {
	EventBytes int64         // disk for EVENTS; full means publishers are refused
	EventAge   time.Duration // how far back replay reaches
	FactAge    time.Duration // how far back lineage reaches
	Dedupe     time.Duration // window in which a message id is known
	SeenAge    time.Duration // how far back deliveries are recognised
	Replicas   int           // copies of each stream: 1, or 3 in production
}

// DefaultLimits fits one machine.
func DefaultLimits() Limits {
	return Limits{
		EventBytes: 4 << 30, EventAge: 7 * 24 * time.Hour, FactAge: 30 * 24 * time.Hour,
		// GitHub lets people redeliver for three days; SeenAge is longer.
		Dedupe: 10 * time.Minute, SeenAge: 4 * 24 * time.Hour, Replicas: 1,
	}
}

// Declare creates or updates every stream and bucket. It is idempotent and any
// replica of any service may call it at any time.
func (b *Bus) Declare(ctx context.Context, l Limits) error {
	for _, s := range streams(l) {
		if err := b.declareStream(ctx, s); err != nil {
			return fmt.Errorf("declare stream %s: %w", s.Name, classed(err))
		}
	}
	for name, ttl := range map[string]time.Duration{
		MembersBucket: time.Minute, WindowsBucket: 0, LocksBucket: 0, MemoBucket: 0, PositionsBucket: 0,
		ReadersBucket: 0, ArchiveBucket: 0,
	} {
		cfg := jetstream.KeyValueConfig{Bucket: name, TTL: ttl, Replicas: l.Replicas, History: 1}
		if _, err := b.js.CreateOrUpdateKeyValue(ctx, cfg); err != nil {
			return fmt.Errorf("declare bucket %s: %w", name, err)
		}
	}
	for _, name := range []string{PayloadsBucket, ArtifactsBucket, LogsBucket, ArchiveBucket} {
		cfg := jetstream.ObjectStoreConfig{Bucket: name, Replicas: l.Replicas}
		if name == PayloadsBucket {
			// Journals and dead letters live longer than events, and their bodies lie here too.
			cfg.TTL = max(l.EventAge, l.FactAge)
		}
		if _, err := b.js.CreateOrUpdateObjectStore(ctx, cfg); err != nil {
			return fmt.Errorf("declare objects %s: %w", name, err)
		}
	}
	return nil
}

// maxConsumers is said for every stream, since a server takes 1,000 where nothing is said, and takes -1 for nothing.
// Each Sensor and each WorkflowEventBinding has consumers of its own, and reading makes some for a while.
const maxConsumers = 1 << 20

// errInvalidConfig is the server's "invalid stream configuration".
const errInvalidConfig jetstream.ErrorCode = 10052

// declareStream creates or updates a stream. Servers before 2.12 do not let the limit of consumers of a stream change;
// there it stays as it is.
func (b *Bus) declareStream(ctx context.Context, s jetstream.StreamConfig) error {
	_, err := b.js.CreateOrUpdateStream(ctx, s)
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != errInvalidConfig {
		return err
	}
	there, lookErr := b.js.Stream(ctx, s.Name)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	kept := there.CachedInfo().Config.MaxConsumers
	if kept == s.MaxConsumers {
		return err
	}
	s.MaxConsumers = kept
	if _, again := b.js.CreateOrUpdateStream(ctx, s); again != nil {
		return err
	}
	b.log.WarnContext(
		ctx,
		"the server keeps a stream's limit of consumers: set default_max_consumers to -1 in its limits, or make the stream anew",
		"stream", s.Name, "max_consumers", kept,
	)
	return nil
}

func streams(l Limits) []jetstream.StreamConfig {
	common := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: l.Replicas, Duplicates: l.Dedupe, AllowDirect: true,
		MaxConsumers: maxConsumers,
	}
	stream := func(name, subject string, shape func(*jetstream.StreamConfig)) jetstream.StreamConfig {
		c := common
		c.Name, c.Subjects = name, []string{subject}
		shape(&c)
		return c
	}
	return []jetstream.StreamConfig{
		// DiscardNew: a full stream refuses the sender, who then knows, instead of
		// forgetting what was accepted.
		stream(Events, "events.>", func(c *jetstream.StreamConfig) {
			c.MaxAge, c.MaxBytes, c.Discard = l.EventAge, l.EventBytes, jetstream.DiscardNew
		}),
		stream(Commands, "commands.>", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }),
		stream(Facts, "facts.>", func(c *jetstream.StreamConfig) { c.MaxAge = l.FactAge }),
		stream(Runs, "runs.>", func(c *jetstream.StreamConfig) { c.MaxAge, c.AllowRollup = l.FactAge, true }),
		stream(Dead, "dead.>", func(c *jetstream.StreamConfig) { c.MaxAge = l.FactAge }),
	}
}
