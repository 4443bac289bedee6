package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

// genericMethod is the call that a server of the user's answers with a stream of
// events. Source: the service generic.Eventing of Argo Events; both its messages
// have text in field 1 and bytes in field 2:
//
//	EventSource{name=1, config=2}
//	Event{name=1, payload=2}
const genericMethod = "/generic.Eventing/StartEventSource"

// maxGeneric is the largest event taken from a server.
const maxGeneric = 25 << 20

// genericServer reads the stream of a server. The contract has no acknowledgement
// and no ids: what the server sends while nobody listens is up to it. As the next
// event is taken after the last is durable, a server feels back-pressure.
func genericServer(c v1alpha1.GenericEventSource) Reader {
	return Reader{Filter: c.Filter, Run: func(ctx context.Context, env Env, emit Emit) error {
		token, err := env.secretOf(ctx, c.AuthSecret)
		if err != nil {
			return err
		}
		secure := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
		if c.Insecure {
			secure = insecure.NewCredentials()
		}
		conn, err := grpc.NewClient(
			c.URL, grpc.WithTransportCredentials(secure),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(pairCodec{}), grpc.MaxCallRecvMsgSize(maxGeneric)),
		)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", c.URL, err)
		}
		defer func() { _ = conn.Close() }()
		if token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "Authorization", "Bearer "+token)
		}
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, genericMethod)
		if err != nil {
			return fmt.Errorf("start the event source of %s: %w", c.URL, err)
		}
		if err := stream.SendMsg(&wirePair{name: env.Event, bytes: []byte(c.Config)}); err != nil {
			return fmt.Errorf("start the event source of %s: %w", c.URL, err)
		}
		if err := stream.CloseSend(); err != nil {
			return fmt.Errorf("start the event source of %s: %w", c.URL, err)
		}
		env.Up()
		return genericEvents(ctx, stream, c, emit)
	}}
}

func genericEvents(ctx context.Context, stream grpc.ClientStream, c v1alpha1.GenericEventSource, emit Emit) error {
	for {
		var event wirePair
		err := stream.RecvMsg(&event)
		switch {
		case over(ctx):
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%s ended its stream", c.URL)
		case err != nil:
			return fmt.Errorf("read from %s: %w", c.URL, err)
		}
		if err := emit(
			ctx, "", genericData{Content: content(c.JSONBody, event.bytes), Metadata: c.Metadata},
		); err != nil {
			return err
		}
	}
}

// genericData is the view. Source: Argo Events, GenericEventData.
type genericData struct {
	Content
	Metadata Metadata `json:"metadata,omitempty"`
}

// wirePair is both messages of the service.
type wirePair struct {
	name  string
	bytes []byte
}

// pairCodec writes and reads them; they are too small for generated code.
type pairCodec struct{}

// Name is that of protobuf, which this is.
func (pairCodec) Name() string { return "proto" }

// Marshal writes fields 1 and 2.
func (pairCodec) Marshal(v any) ([]byte, error) {
	m, ok := v.(*wirePair)
	if !ok {
		return nil, fmt.Errorf("%T is no message of the service", v)
	}
	out := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), m.name)
	return protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), m.bytes), nil
}

// Unmarshal reads them; other fields are skipped.
func (pairCodec) Unmarshal(data []byte, v any) error {
	m, ok := v.(*wirePair)
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
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(data[:n])
			switch number {
			case 1:
				m.name = string(value)
			case 2:
				m.bytes = append([]byte(nil), value...)
			}
		}
		data = data[n:]
	}
	return nil
}
