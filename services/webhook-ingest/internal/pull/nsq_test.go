package pull

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// nsqd speaks the part of the protocol that a consumer sees: one message, again
// until it is finished. It tells the commands that came.
func nsqd(t *testing.T) (address string, commands chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	commands = make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveNSQ(conn, commands)
		}
	}()
	return l.Addr().String(), commands
}

const nsqID = "0123456789abcdef"

func serveNSQ(conn net.Conn, commands chan string) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	if _, err := io.ReadFull(in, make([]byte, 4)); err != nil { // "  V2"
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command := strings.Fields(line)
		if len(command) == 0 {
			continue
		}
		switch command[0] {
		case "IDENTIFY":
			size := make([]byte, 4)
			if _, err := io.ReadFull(in, size); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(size))); err != nil {
				return
			}
			nsqFrame(conn, 0, []byte(`{"max_rdy_count":2500,"version":"1.3.0"}`))
		case "SUB":
			nsqFrame(conn, 0, []byte("OK"))
		case "RDY", "REQ":
			if command[0] == "RDY" && command[1] == "0" {
				continue
			}
			nsqFrame(conn, 2, nsqMessage(`{"n":1}`))
		case "CLS":
			nsqFrame(conn, 0, []byte("CLOSE_WAIT"))
		}
		commands <- strings.TrimSpace(line)
	}
}

func nsqFrame(w io.Writer, kind uint32, data []byte) {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)+4))
	out = binary.BigEndian.AppendUint32(out, kind)
	_, _ = w.Write(append(out, data...))
}

func nsqMessage(body string) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(1700000000000000000))
	out = binary.BigEndian.AppendUint16(out, 1)
	return append(append(out, nsqID...), body...)
}

func TestAnNSQMessageIsFinishedWhenItIsDurable(t *testing.T) {
	address, commands := nsqd(t)
	r := newRig(t)
	refused := false
	r.refuse = func(told) bool {
		defer func() { refused = true }()
		return !refused
	}
	stop := r.start(
		nsqTopic(
			v1alpha1.NSQEventSource{
				HostAddress: address, Topic: "orders", Channel: "argosy", JSONBody: true,
				Metadata: map[string]string{"k": "v"},
			},
		),
	)
	e := r.next()
	if e.get("body.n") != "1" || e.get("timestamp") != "1700000000000000000" || e.get("nsqdAddress") != address ||
		e.get("metadata.k") != "v" ||
		e.id == "" {
		t.Errorf("%+v", e)
	}
	var seen []string
	deadline := time.After(30 * time.Second)
	for len(seen) == 0 || !strings.HasPrefix(seen[len(seen)-1], "FIN") {
		select {
		case c := <-commands:
			seen = append(seen, c)
		case <-deadline:
			t.Fatalf("%v", seen)
		}
	}
	all := strings.Join(seen, "; ")
	if !strings.Contains(all, "SUB orders argosy") || !strings.Contains(all, "REQ "+nsqID) ||
		strings.Index(all, "REQ") > strings.Index(all, "FIN "+nsqID) {
		t.Errorf("%s: what is not durable comes again", all)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := nsqTopic(v1alpha1.NSQEventSource{HostAddress: "127.0.0.1:1", Topic: "t", Channel: "c"}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("nobody is there")
	}
	if err := nsqTopic(v1alpha1.NSQEventSource{HostAddress: address, Topic: "no topic"}).Run(
		t.Context(), r.env, r.emit,
	); err == nil {
		t.Error("a name that cannot be")
	}
}
