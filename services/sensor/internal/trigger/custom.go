package trigger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// services is the custom trigger: a gRPC service of the user's. Source: the service
// triggers.Trigger of Argo Events, whose messages hold bytes in fields 1 and 2:
//
//	FetchResource(resource=1) resource=1
//	Execute(resource=1, payload=2) response=1
//	ApplyPolicy(request=1) success=1, message=2
type services struct {
	world World
	conns *pool[*grpc.ClientConn]
}

func newCustom(w World) Adapter { return &services{world: w, conns: newPool((*grpc.ClientConn).Close)} }

// Close closes the connections.
func (x *services) Close() error { return x.conns.Close() }

// wire is a message of the service: the bytes of fields 1 and 2. success is field 1
// of the last answer, where it is a number.
type wire struct {
	one, two []byte
	success  bool
}

// Fire fetches the resource, applies the parameters, executes, and applies the
// policy. The key goes along as metadata.
func (x *services) Fire(ctx context.Context, c Call) (Result, error) {
	t := c.Template.Custom
	conn, err := x.dial(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "idempotency-key", c.Key), requestTimeout)
	defer cancel()
	spec, err := json.Marshal(t.Spec)
	if err != nil {
		return Result{}, fault.AsPoison(err)
	}
	fetched, err := call(ctx, conn, "FetchResource", wire{one: spec})
	if err != nil {
		return Result{}, err
	}
	resource := fetched.one
	if len(t.Parameters) > 0 {
		if resource, err = c.Fill.Apply(resource, t.Parameters); err != nil {
			return Result{}, fault.Poisonf("custom.%w", err)
		}
	}
	var payload []byte
	if len(t.Payload) > 0 {
		if payload, err = c.Fill.Payload(t.Payload); err != nil {
			return Result{}, fault.Poisonf("custom.%w", err)
		}
	}
	executed, err := call(ctx, conn, "Execute", wire{one: resource, two: payload})
	if err != nil {
		return Result{}, err
	}
	judged, err := call(ctx, conn, "ApplyPolicy", wire{one: executed.one})
	if err != nil {
		return Result{}, err
	}
	if !judged.success {
		return Result{}, fmt.Errorf("custom: the policy of %s failed: %s", t.ServerURL, brief(string(judged.two)))
	}
	return Result{Summary: brief(string(judged.two))}, nil
}

func (x *services) dial(ctx context.Context, c Call, t *v1alpha1.CustomTrigger) (*grpc.ClientConn, error) {
	secure := insecure.NewCredentials()
	ca := ""
	if t.Secure {
		var err error
		if ca, err = x.world.Values.Value(ctx, c.Sensor.Namespace, t.CertSecret); err != nil {
			return nil, err
		}
		cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerNameOverride}
		if ca != "" {
			cfg.RootCAs = x509.NewCertPool()
			if !cfg.RootCAs.AppendCertsFromPEM([]byte(ca)) {
				return nil, fault.Poisonf("custom.certSecret: holds no certificate in PEM")
			}
		}
		secure = credentials.NewTLS(cfg)
	}
	return x.conns.get([]any{t.ServerURL, t.Secure, ca, t.ServerNameOverride}, func() (*grpc.ClientConn, error) {
		conn, err := grpc.NewClient(
			t.ServerURL, grpc.WithTransportCredentials(secure),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(wireCodec{}), grpc.MaxCallRecvMsgSize(maxAnswer<<6)),
		)
		return conn, fault.AsPoison(err)
	})
}

// final are answers that another attempt will not change.
var final = map[codes.Code]bool{
	codes.InvalidArgument: true, codes.Unimplemented: true, codes.OutOfRange: true,
	codes.FailedPrecondition: true,
}

func call(ctx context.Context, conn *grpc.ClientConn, method string, in wire) (wire, error) {
	var out wire
	if err := conn.Invoke(ctx, "/triggers.Trigger/"+method, &in, &out); err != nil {
		if final[status.Code(err)] {
			err = fault.AsPoison(err)
		}
		return out, fmt.Errorf("custom: %s: %w", method, err)
	}
	return out, nil
}

// wireCodec writes and reads the two fields; the messages are too small for
// generated code.
type wireCodec struct{}

// Name is that of protobuf, which this is.
func (wireCodec) Name() string { return "proto" }

// Marshal writes fields 1 and 2.
func (wireCodec) Marshal(v any) ([]byte, error) {
	m, ok := v.(*wire)
	if !ok {
		return nil, fmt.Errorf("%T is no message of the service", v)
	}
	var out []byte
	if m.success {
		out = protowire.AppendVarint(protowire.AppendTag(out, 1, protowire.VarintType), 1)
	}
	for i, field := range [][]byte{m.one, m.two} {
		if len(field) > 0 {
			out = protowire.AppendBytes(protowire.AppendTag(out, protowire.Number(i+1), protowire.BytesType), field)
		}
	}
	return out, nil
}

// Unmarshal reads them; other fields are skipped.
func (wireCodec) Unmarshal(data []byte, v any) error {
	m, ok := v.(*wire)
	if !ok {
		return fmt.Errorf("%T is no message of the service", v)
	}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return protowire.ParseError(n)
		}
		m.take(number, kind, data[:n])
		data = data[n:]
	}
	return nil
}

func (m *wire) take(number protowire.Number, kind protowire.Type, value []byte) {
	switch {
	case kind == protowire.VarintType && number == 1:
		v, _ := protowire.ConsumeVarint(value)
		m.success = v != 0
	case kind == protowire.BytesType && number == 1:
		b, _ := protowire.ConsumeBytes(value)
		m.one = append([]byte(nil), b...)
	case kind == protowire.BytesType && number == 2:
		b, _ := protowire.ConsumeBytes(value)
		m.two = append([]byte(nil), b...)
	}
}
