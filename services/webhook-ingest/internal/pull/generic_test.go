package pull

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// eventing runs a server of the service in this process. It tells what it was asked,
// sends the events, and ends.
func eventing(t *testing.T, events ...wirePair) (address string, asked chan wirePair, auth chan string) {
	t.Helper()
	asked, auth = make(chan wirePair, 10), make(chan string, 10)
	s := grpc.NewServer(grpc.ForceServerCodec(pairCodec{}))
	s.RegisterService(
		&grpc.ServiceDesc{ServiceName: "generic.Eventing", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
			StreamName: "StartEventSource", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
				var in wirePair
				if err := stream.RecvMsg(&in); err != nil {
					return err
				}
				md, _ := metadata.FromIncomingContext(stream.Context())
				auth <- strings.Join(md.Get("authorization"), " ")
				asked <- in
				for _, e := range events {
					if err := stream.SendMsg(&e); err != nil {
						return err
					}
				}
				return nil
			},
		}}},
		nil,
	)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), asked, auth
}

func TestAGenericServerStreamsEvents(t *testing.T) {
	address, asked, auth := eventing(t, wirePair{"x", []byte(`{"n":1}`)}, wirePair{"x", []byte("text")})
	r := newRig(t)
	c := v1alpha1.GenericEventSource{
		URL: address, Config: "key: value", Insecure: true, JSONBody: true, AuthSecret: ref("password"),
		Metadata: map[string]string{"k": "v"},
	}
	err := genericServer(c).Run(t.Context(), r.env, r.emit)
	if err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("%v: the end of a stream is read again later", err)
	}
	if in := <-asked; in.name != r.env.Event || string(in.bytes) != "key: value" {
		t.Errorf("%+v", in)
	}
	if got := <-auth; got != "Bearer guest" {
		t.Errorf("authorization %q", got)
	}
	if e := r.next(); e.get("body.n") != "1" || e.get("metadata.k") != "v" {
		t.Errorf("%+v", e)
	}
	if e := r.next(); e.get("body") != "text" {
		t.Errorf("%+v: what is no JSON is text", e)
	}
}

func TestAGenericServerIsStoppedAndRefused(t *testing.T) {
	address, _, _ := eventing(t, wirePair{"x", []byte("1")}, wirePair{"x", []byte("2")})
	r := newRig(t)
	r.refuse = func(told) bool { return true }
	if err := genericServer(v1alpha1.GenericEventSource{URL: address, Insecure: true}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("an event that is not durable ends the reading")
	}
	if err := genericServer(v1alpha1.GenericEventSource{URL: address}).Run(t.Context(), r.env, r.emit); err == nil {
		t.Error("TLS with a server that has none")
	}
	if err := genericServer(v1alpha1.GenericEventSource{URL: address, Insecure: true, AuthSecret: ref("none")}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("without its secret")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := genericServer(v1alpha1.GenericEventSource{URL: address, Insecure: true}).Run(
		ctx, r.env, r.emit,
	); err == nil {
		t.Error("a stream that never began")
	}
}

func FuzzGenericMessage(f *testing.F) {
	good, _ := pairCodec{}.Marshal(&wirePair{"a", []byte("b")})
	f.Add(good)
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m wirePair
		if (pairCodec{}).Unmarshal(data, &m) != nil {
			return
		}
		text, err := pairCodec{}.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		var again wirePair
		if err := (pairCodec{}).Unmarshal(text, &again); err != nil || again.name != m.name ||
			string(again.bytes) != string(m.bytes) {
			t.Errorf("%+v became %+v: %v", m, again, err)
		}
	})
}
