// Package obs is how a service is observed: structured logs, Prometheus metrics,
// OpenTelemetry traces and the health endpoints.
package obs

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Config says who we are and where telemetry goes.
type Config struct {
	Service  string
	Instance string
	Level    string    // debug, info, warn or error
	Endpoint string    // OTLP/HTTP endpoint of traces; empty means none are exported
	Out      io.Writer // where logs go
}

// Telemetry is what a process reports with.
type Telemetry struct {
	Log      *slog.Logger
	Registry *prometheus.Registry
	Tracer   oteltrace.Tracer
	provider *trace.TracerProvider
	exports  bool
}

// New sets up telemetry. Trace ids are made and passed on even when nothing is
// exported, so that the causal record always has one.
func New(ctx context.Context, cfg Config) (*Telemetry, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	options := []trace.TracerProviderOption{trace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", cfg.Service), attribute.String("service.instance.id", cfg.Instance)))}
	if cfg.Endpoint != "" {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.Endpoint))
		if err != nil {
			return nil, fmt.Errorf("export traces to %s: %w", cfg.Endpoint, err)
		}
		options = append(options, trace.WithBatcher(exporter))
	}
	provider := trace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	log := slog.New(slog.NewJSONHandler(cfg.Out, &slog.HandlerOptions{Level: level})).With(
		"service", cfg.Service, "instance", cfg.Instance,
	)
	return &Telemetry{
		Log: log, Registry: registry, Tracer: provider.Tracer(cfg.Service), provider: provider,
		exports: cfg.Endpoint != "",
	}, nil
}

// Flush sends what is still buffered, within five seconds.
func (t *Telemetry) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("flush traces: %w", err)
	}
	return nil
}

// Start begins a span that continues the trace of a W3C traceparent; an empty or
// malformed one starts a new trace. It returns the traceparent to pass on.
func (t *Telemetry) Start(ctx context.Context, name, traceparent string) (context.Context, oteltrace.Span, string) {
	if !t.exports {
		return ctx, noop.Span{}, onward(ctx, traceparent)
	}
	carrier := propagation.MapCarrier{}
	if traceparent != "" {
		carrier["traceparent"] = traceparent
	}
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	ctx, span := t.Tracer.Start(ctx, name)
	onward := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, onward)
	return ctx, span, onward["traceparent"]
}

// onward is the traceparent of a span that nobody is told of: the trace goes on through it, which is all that it is
// for.
func onward(ctx context.Context, traceparent string) string {
	parent := oteltrace.SpanContext{}
	if traceparent != "" {
		parent = oteltrace.SpanContextFromContext(
			propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent}),
		)
	}
	trace, flags := parent.TraceID(), parent.TraceFlags()&oteltrace.FlagsSampled
	if !parent.IsValid() {
		flags = oteltrace.FlagsSampled
		binary.NativeEndian.PutUint64(trace[:8], rand.Uint64()) // an id, not a secret
		binary.NativeEndian.PutUint64(trace[8:], rand.Uint64()) // an id, not a secret
	}
	var room [len("00-") + 32 + len("-") + 16 + len("-00")]byte
	out := hex.AppendEncode(append(room[:0], "00-"...), trace[:])
	span := binary.NativeEndian.AppendUint64(nil, rand.Uint64()|1) // no secret; none is all zeros
	out = hex.AppendEncode(append(out, '-'), span)
	return string(hex.AppendEncode(append(out, '-'), []byte{byte(flags)}))
}
