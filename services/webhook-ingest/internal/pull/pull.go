// Package pull reads the sources that do not come to us: queues, streams, stores,
// clocks and the cluster itself.
//
// A source is acknowledged only after its event is durable, so that a crash repeats
// and never loses; and the id of an event comes from its position in the source, so
// that what is repeated is recognised. A source whose ids are the same on every
// replica may be read by all of them; the others are read by the owner of their
// EventSource.
package pull

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// settleTime bounds the telling what became of a message.
const settleTime = 5 * time.Second

// settling is a context for what must still be said when ctx ended: a message that is durable and whose acknowledgement
// is given up comes again.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// line is a connection that only its end interrupts. It is not cut between an event and its acknowledgement.
type line struct{ mu sync.Mutex }

// cutWith ends a connection with ctx.
func (l *line) cutWith(ctx context.Context, end func() error) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		_ = end()
	})
}

// whole does what is not interrupted: do must heed ctx where it waits.
func (l *line) whole(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return do()
}

// Emit makes an event of what was read and returns when it is durable, or when
// nobody wants it: the source may then be acknowledged. While it cannot be made
// durable Emit waits; its error means that ctx ended and that nothing may be
// acknowledged. data is encoded as JSON.
type Emit func(ctx context.Context, id string, data any) error

// Run reads one source until ctx ends or the source breaks. It is called again
// later when it returns, whatever it returns.
type Run func(ctx context.Context, env Env, emit Emit) error

// Reader is one source that is declared.
type Reader struct {
	// Run reads it.
	Run Run
	// Filter drops events; nil keeps all.
	Filter *v1alpha1.EventSourceFilter
	// AllReplicas says that all replicas read: either their ids are the same, or the source shares its messages out.
	AllReplicas bool
	// Limit is how many events per second are read; 0 means no limit.
	Limit float64
	// Finish undoes what Run left at others, when the event is gone from its manifest; nil when there is nothing.
	Finish func(ctx context.Context, env Env) error
}

// Env is what a reader works with.
type Env struct {
	// Namespace, EventSource and Event say which event it is.
	Namespace, EventSource, Event string
	// Secrets reads what the manifest refers to.
	Secrets *secret.Reader
	// Own says which namespaces may use the identity of this process.
	Own identity.Own
	// Positions remembers how far the source was read.
	Positions Positions
	// Accounts reaches the API server as the service account of an EventSource, which is Account of Namespace.
	Accounts *actas.Accounts
	Account  string
	// Log is for what is neither an event nor an error.
	Log *slog.Logger
	// Up is called when the source is being read.
	Up    func()
	azure azureRig // a test's
	// Note is called with what the status should say beside that, such as a place that had to be made anew.
	Note func(text string)
}

// notef tells the status something; there may be none.
func (e Env) notef(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	e.Log.Warn(text, "eventsource", e.Namespace+"/"+e.EventSource, "event", e.Event)
	if e.Note != nil {
		e.Note(text)
	}
}

// Name names the event among all, for what the source remembers of us.
func (e Env) Name() string { return e.Namespace + "/" + e.EventSource + "/" + e.Event }

// Positions remembers how far sources were read.
type Positions interface {
	// Load returns what was saved, nil when nothing was.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces it.
	Save(ctx context.Context, name string, position []byte) error
}

// Kinds makes the readers of one kind of an EventSource, by event.
var Kinds = map[string]func(*v1alpha1.EventSourceSpec) map[string]Reader{
	"amqp": func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.AMQP, amqpQueue) },
	"azureEventsHub": func(s *v1alpha1.EventSourceSpec) map[string]Reader {
		return each(s.AzureEventsHub, eventsHub)
	},
	"azureQueueStorage": func(s *v1alpha1.EventSourceSpec) map[string]Reader {
		return each(s.AzureQueueStorage, storageQueue)
	},
	"azureServiceBus": func(s *v1alpha1.EventSourceSpec) map[string]Reader {
		return each(s.AzureServiceBus, serviceBus)
	},
	"calendar":  func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Calendar, calendar) },
	"emitter":   func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Emitter, emitterChannel) },
	"file":      func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.File, file) },
	"generic":   func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Generic, genericServer) },
	"hdfs":      func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.HDFS, hdfsFolder) },
	"jetstream": func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.JetStream, jetStream) },
	"kafka":     func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Kafka, kafkaTopic) },
	"minio":     func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Minio, bucket) },
	"mns":       func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.MNS, mnsQueue) },
	"mqtt":      func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.MQTT, mqttTopic) },
	"nats":      func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.NATS, natsSubject) },
	"nsq":       func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.NSQ, nsqTopic) },
	"pubSub":    func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.PubSub, pubSubTopic) },
	"pulsar":    func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Pulsar, pulsarTopics) },
	"redis":     func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Redis, redisChannels) },
	"redisStream": func(s *v1alpha1.EventSourceSpec) map[string]Reader {
		return each(s.RedisStream, redisStreams)
	},
	"resource": func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.Resource, resource) },
	"sqs":      func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.SQS, sqsQueue) },
	"sftp":     func(s *v1alpha1.EventSourceSpec) map[string]Reader { return each(s.SFTP, sftpServer) },
}

func each[T any](sources map[string]T, read func(T) Reader) map[string]Reader {
	out := make(map[string]Reader, len(sources))
	for name, c := range sources {
		out[name] = read(c)
	}
	return out
}

// Key derives an id from a position.
func Key(parts ...any) string {
	h := sha256.New()
	for _, p := range parts {
		var text string
		if raw, ok := p.([]byte); ok {
			text = string(raw)
		} else {
			text = fmt.Sprint(p)
		}
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Metadata is the part of the view that most kinds share.
type Metadata map[string]string

// pause waits; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool { return wait.For(ctx, d) == nil }

// over reports that nobody wants more of a source. What fails then is no failure.
func over(ctx context.Context) bool { return ctx.Err() != nil }
