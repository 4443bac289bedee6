// Package metric takes measurements from metric systems: one entry in a registry per system.
//
// Promise: a call ends within its time and never reads more than its share of bytes, whatever the other side does.
// Most measurements are one question; some go on and are resumed later, possibly by another process: all that is
// needed for that is in the measurement. An error names the host that was asked, never a URL or a secret. A value is
// plain (number, list, map, text) so that conditions can look at it; judging it is not done here.
package metric

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrUnknown is returned for a metric whose provider is not served.
var ErrUnknown = errors.New("no provider that is served")

// What one measurement leaves in its run, which is an object of at most 1.5 MB.
const (
	maxText     = 4 << 10
	maxMetadata = 8 << 10
	maxMessage  = 1 << 10
	// maxValues is how many numbers of an answer are looked at; a verdict needs a few.
	maxValues = 10_000
)

// Request is what is to be measured, and for which run.
type Request struct {
	// Metric has its arguments filled in.
	Metric v1alpha1.Metric
	// Run is the run it belongs to.
	Run *v1alpha1.AnalysisRun
	// Number is that of the measurement within its metric, from 1.
	Number int
	// Interval is the time between measurements; 0 when there is only one.
	Interval time.Duration
	// Now is the time.
	Now time.Time
	// Ending says that the measurement is ended, so that arguments may be missing in the metric.
	Ending bool
	// Hidden are the values that must not be shown. Providers add what they read from Secrets.
	Hidden *Redactor
}

// Outcome is what a measurement came to.
type Outcome struct {
	// Result is what conditions see.
	Result any
	// Text is what people see.
	Text string
	// Phase is set by providers that judge by themselves. Running says that the measurement goes on.
	Phase v1alpha1.AnalysisPhase
	// Message explains the phase.
	Message string
	// ResumeAt is when to look at a measurement that goes on.
	ResumeAt time.Time
	// Metadata says how the value came about; a provider that resumes finds it again in the measurement.
	Metadata map[string]string
	// About is the metadata of the metric as a whole.
	About map[string]string
}

// Provider measures. All methods may be called twice for the same measurement, since a process may end before it has
// written what came of the first call. An error makes the measurement one of phase Error.
type Provider interface {
	// Run begins a measurement, and most of the time ends it.
	Run(ctx context.Context, r Request) (Outcome, error)
	// Resume looks at a measurement that goes on.
	Resume(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error)
	// Terminate ends a measurement that goes on, since its run ends.
	Terminate(ctx context.Context, r Request, m v1alpha1.Measurement) (Outcome, error)
	// Collect removes what measurements left behind, but for the newest.
	Collect(ctx context.Context, r Request, keep int) error
}

// Query takes one measurement by one question.
type Query func(ctx context.Context, r Request) (Outcome, error)

// once is a provider of measurements that never go on.
type once struct{ query Query }

// Run implements [Provider].
func (o once) Run(ctx context.Context, r Request) (Outcome, error) { return o.query(ctx, r) }

// Resume implements [Provider]. A measurement of an earlier version, or edited by hand, is taken anew.
func (o once) Resume(ctx context.Context, r Request, _ v1alpha1.Measurement) (Outcome, error) {
	return o.query(ctx, r)
}

// Terminate implements [Provider].
func (o once) Terminate(context.Context, Request, v1alpha1.Measurement) (Outcome, error) {
	return Outcome{Phase: v1alpha1.AnalysisSuccessful, Message: "metric terminated"}, nil
}

// Collect implements [Provider].
func (o once) Collect(context.Context, Request, int) error { return nil }

// kind is one metric system, and all that the rest knows of it. A new one is its file and its place in kinds.
type kind struct {
	// name is its field in the provider of a metric.
	name string
	// is reports whether a provider is of this kind.
	is func(v1alpha1.MetricProvider) bool
	// open makes it, once in a process.
	open func(*tools) Provider
}

// asking is a kind whose measurements are one question; runs with the same one share its answers.
func asking(name string, is func(v1alpha1.MetricProvider) bool, open func(*tools) Query) kind {
	return kind{
		name: name,
		is:   is,
		open: func(t *tools) Provider { return once{newShared(name, open(t), t.Now).ask} },
	}
}

// kinds are those that are served.
var kinds = []kind{
	prometheusKind, webKind, jobKind, datadogKind, newRelicKind, wavefrontKind, graphiteKind, influxdbKind,
	cloudWatchKind, kayentaKind, skywalkingKind, pluginKind,
}

// Secrets reads values of Secrets.
type Secrets interface {
	Value(ctx context.Context, namespace string, s *corev1.SecretKeySelector) (string, error)
}

// Options are what providers work with.
type Options struct {
	// PrometheusAddress is asked by metrics that name none.
	PrometheusAddress string
	// Namespace is where the Secrets of providers are that a template does not look for beside its run.
	Namespace string
	// Secrets reads them.
	Secrets Secrets
	// Objects reads and writes Jobs; reading may lag behind.
	Objects client.Client
	// Live reads objects as they are.
	Live client.Reader
	// Traffic are the counts that come as events; nil when there are none.
	Traffic Traffic
	// Now is the time; nil is the clock.
	Now func() time.Time
}

// Traffic tells what versions have served.
type Traffic interface {
	// Counted is how many requests the pods with a hash have served in a time, and how many of them failed. Each
	// request is in one of two times that follow each other.
	Counted(ctx context.Context, namespace, hash string, since, until time.Time) (requests, failed float64, err error)
}

// tools are options and what is made of them.
type tools struct {
	Options

	http *asker
}

// Registry finds the provider of a metric by the one field of its provider that is set. It is a [Provider] itself.
type Registry struct {
	providers []Provider // as kinds
}

// New returns the providers that are served.
func New(o Options) *Registry {
	if o.Now == nil {
		o.Now = time.Now
	}
	t, r := &tools{Options: o, http: newAsker()}, &Registry{}
	for _, k := range kinds {
		r.providers = append(r.providers, k.open(t))
	}
	return r
}

// Type is the kind of a metric's provider, "" for none that is served.
func Type(p v1alpha1.MetricProvider) string {
	for _, k := range kinds {
		if k.is(p) {
			return k.name
		}
	}
	return ""
}

func (r *Registry) find(m v1alpha1.Metric) (string, Provider, error) {
	for i, k := range kinds {
		if k.is(m.Provider) {
			return k.name, r.providers[i], nil
		}
	}
	return "", nil, fmt.Errorf("metric %q: %w", m.Name, ErrUnknown)
}

// through calls a provider, and bounds and redacts what it says.
func (r *Registry) through(q Request, call func(Provider) (Outcome, error)) (Outcome, error) {
	name, p, err := r.find(q.Metric)
	if err != nil {
		return Outcome{}, err
	}
	out, err := safely(func() (Outcome, error) { return call(p) })
	if err != nil {
		return out.shown(q.Hidden), q.Hidden.Error(fmt.Errorf("%s: %w", name, err))
	}
	return out.shown(q.Hidden), nil
}

// safely turns a panic into an error: what others answer must not end the process.
func safely(call func() (Outcome, error)) (out Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = Outcome{}, fmt.Errorf("the answer was not understood: %v", v)
		}
	}()
	return call()
}

// Run implements [Provider].
func (r *Registry) Run(ctx context.Context, q Request) (Outcome, error) {
	return r.through(q, func(p Provider) (Outcome, error) { return p.Run(ctx, q) })
}

// Resume implements [Provider].
func (r *Registry) Resume(ctx context.Context, q Request, m v1alpha1.Measurement) (Outcome, error) {
	return r.through(q, func(p Provider) (Outcome, error) { return p.Resume(ctx, q, m) })
}

// Terminate implements [Provider].
func (r *Registry) Terminate(ctx context.Context, q Request, m v1alpha1.Measurement) (Outcome, error) {
	return r.through(q, func(p Provider) (Outcome, error) { return p.Terminate(ctx, q, m) })
}

// Collect implements [Provider].
func (r *Registry) Collect(ctx context.Context, q Request, keep int) error {
	_, p, err := r.find(q.Metric)
	if err != nil {
		return err
	}
	return p.Collect(ctx, q, keep)
}

// shown is an outcome that can be stored and looked at. What a provider resumes by is never cut: see [Provider].
func (o Outcome) shown(hide *Redactor) Outcome {
	o.Text, o.Message = clip(hide.Text(o.Text), maxText), clip(hide.Text(o.Message), maxMessage)
	o.Metadata, o.About = shownMap(o.Metadata, hide), shownMap(o.About, hide)
	return o
}

// resumed are the keys of what providers resume by. It holds names and numbers that are ours, and must come back
// whole.
var resumed = map[string]bool{jobName: true, kayentaID: true, sequentialState: true, sequentialSince: true}

func shownMap(of map[string]string, hide *Redactor) map[string]string {
	out := maps.Clone(of) // it may be shared with other runs
	for key, text := range out {
		if resumed[key] {
			continue
		}
		out[key] = clip(hide.Text(text), maxMetadata)
	}
	return out
}

// clip is the beginning of a text.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xC0 == 0x80 { // not within a character
		most--
	}
	return text[:most] + "…"
}
