#!/usr/bin/env bash
# nats.go 1.55.0: a client that may not buffer (ReconnectBufSize(-1)) and waits for its first connection
# (RetryOnFailedConnect) is told "outbound buffer limit exceeded" by every publish and request while no server can be
# reached, however small the message. Nothing in the error says that there is no connection: it is none of
# ErrDisconnected, ErrConnectionClosed and ErrNoServers, and who looks for those to tell "the bus is away" from "I send
# too much" takes the one for the other. A message with a header is refused with "headers not supported by this server"
# instead, although no server was asked. Only the state of the connection tells.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOTOOLCHAIN=local GOFLAGS=-mod=mod GOWORK=off
cat > go.mod <<'MOD'
module finding

go 1.26.0

require github.com/nats-io/nats.go v1.55.0
MOD
cat > main.go <<'GO'
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	url := "nats://" + l.Addr().String()
	l.Close() // nobody listens there now
	nc, err := nats.Connect(
		url, nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(time.Hour),
	)
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	err = nc.Publish("subject", []byte("x"))
	_, asked := nc.Request("subject", []byte("x"), time.Second)
	m := nats.NewMsg("subject")
	m.Header.Set("a", "b")
	headed := nc.PublishMsg(m)
	says := func(e error) []bool {
		return []bool{
			errors.Is(e, nats.ErrDisconnected), errors.Is(e, nats.ErrConnectionClosed), errors.Is(e, nats.ErrNoServers),
			errors.Is(e, nats.ErrReconnectBufExceeded),
		}
	}
	fmt.Println("status:", nc.Status(), "publish:", err, says(err), "request:", asked, says(asked), "with a header:", headed)
	if !errors.Is(headed, nats.ErrHeadersNotSupported) {
		os.Exit(1)
	}
	for _, e := range []error{err, asked} {
		if s := says(e); s[0] || s[1] || s[2] || !s[3] {
			os.Exit(1)
		}
	}
	if nc.IsConnected() {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
if go run .; then echo "as described, with nats.go v1.55.0"; else echo "not as described any more" >&2; exit 1; fi
