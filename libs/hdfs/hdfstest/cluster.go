// Package hdfstest is a cluster of HDFS in this process, for tests of what speaks its protocols.
package hdfstest

import (
	"bufio"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// User is whom the name nodes know.
	User = "argo"
	// BlockSize is the size of blocks: small, so that files have several, and one packet does not fill one.
	BlockSize = 100 << 10
	// pool is the name of the blocks of the cluster.
	pool = "BP-1"
)

// Cluster is a cluster of HDFS: name nodes, of which one stands by, and two data nodes. What it is asked must be as
// Hadoop wants it.
type Cluster struct {
	Address string // of the active name node
	Standby string

	mu     sync.Mutex
	files  map[string]*dfsFile // by path; folders too
	blocks map[int][]byte      // as they were sent to their end
	nodes  []*dataNode
	next   int // block
	refuse map[string]string
	cut    map[string]int
	asked  []string
	hasty  int // answers to complete and addBlock that ask for patience
	silent bool
}

// dfsFile is a file or a folder.
type dfsFile struct {
	folder bool
	holder string // who writes it, "" when it is complete
	blocks []int
	sizes  []int
	flags  map[protowire.Number]int // more fields of its LocatedBlocksProto
}

// Start serves a cluster until the test ends.
func Start(t *testing.T) *Cluster {
	t.Helper()
	h := &Cluster{
		files: map[string]*dfsFile{"/": {folder: true}}, blocks: map[int][]byte{}, refuse: map[string]string{},
		cut: map[string]int{},
	}
	for range 2 {
		n := &dataNode{cluster: h}
		n.address = listen(t, n.serve)
		h.nodes = append(h.nodes, n)
	}
	h.Address = listen(t, func(conn net.Conn) { h.serve(conn, false) })
	h.Standby = listen(t, func(conn net.Conn) { h.serve(conn, true) })
	return h
}

// listen serves connections until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// Put keeps a file, and the folders above it.
func (h *Cluster) Put(name, content string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.above(name)
	f := &dfsFile{}
	for rest := content; rest != ""; {
		size := min(BlockSize, len(rest))
		h.next++
		h.blocks[h.next] = []byte(rest[:size])
		f.blocks, f.sizes, rest = append(f.blocks, h.next), append(f.sizes, size), rest[size:]
	}
	h.files[name] = f
}

// Mark sets a field of the LocatedBlocksProto of a file: 3 says that it is still being written.
func (h *Cluster) Mark(name string, field protowire.Number) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[name].flags = map[protowire.Number]int{field: 1}
}

// Files are the files that are complete, and what they hold.
func (h *Cluster) Files() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]string{}
	for name, f := range h.files {
		if f.folder || f.holder != "" {
			continue
		}
		var text strings.Builder
		for _, id := range f.blocks {
			text.Write(h.blocks[id])
		}
		out[name] = text.String()
	}
	return out
}

// Paths are all files and folders, those that are still written too.
func (h *Cluster) Paths() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.files))
}

// Asked are the methods that were called, in order.
func (h *Cluster) Asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

// Refuse makes the name node answer a method with an exception; "" ends that.
func (h *Cluster) Refuse(method, exception string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse[method] = exception
}

// Cut makes the name node do what a method asks for some times, and hang up before it answers.
func (h *Cluster) Cut(method string, times int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut[method] = times
}

// Haste makes the next calls that depend on data nodes come too early.
func (h *Cluster) Haste(calls int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hasty = calls
}

// Silence makes the name node do what it is asked, and answer no more.
func (h *Cluster) Silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = true
}

func (h *Cluster) silenced() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.silent
}

// above makes the folders above a path. The lock is held.
func (h *Cluster) above(name string) {
	for dir := path.Dir(name); h.files[dir] == nil; dir = path.Dir(dir) {
		h.files[dir] = &dfsFile{folder: true}
	}
}

// serve answers the calls of one connection to a name node. Source: Hadoop, "RPC".
func (h *Cluster) serve(conn net.Conn, standby bool) {
	in := bufio.NewReader(conn)
	hello := make([]byte, 7)
	if _, err := io.ReadFull(in, hello); err != nil || string(hello) != "hrpc\x09\x00\x00" {
		return
	}
	user := ""
	for {
		parts, err := callOf(in)
		if err != nil {
			return
		}
		call := int(protowire.DecodeZigZag(parts[0].number(3)))
		if call == -3 {
			user = parts[1].inner(2).text(1)
			continue
		}
		method := parts[1].text(1)
		answer, exception := []byte(nil), "org.apache.hadoop.ipc.StandbyException"
		if !standby {
			if answer, exception = h.answer(method, user, parts[2]); h.hangsUp(method) {
				return
			}
			if h.silenced() {
				continue
			}
		}
		body := protowire.AppendBytes(protowire.AppendBytes(nil, encode(1, call, 2, 0)), answer)
		if exception != "" {
			body = protowire.AppendBytes(
				nil, encode(1, call, 2, 1, 4, exception, 5, method+" is refused\n\tat a stack"),
			)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
			return
		}
	}
}

// callOf reads a packet with its parts.
func callOf(in *bufio.Reader) ([]message, error) {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(in, packet); err != nil {
		return nil, err
	}
	var parts []message
	for len(packet) > 0 {
		raw, n := protowire.ConsumeBytes(packet)
		if n < 0 {
			return nil, errPeer
		}
		part, err := decode(raw)
		if err != nil {
			return nil, err
		}
		parts, packet = append(parts, part), packet[n:]
	}
	if !proper(parts) {
		return nil, errPeer
	}
	return parts, nil
}

// proper reports whether the parts are those of a call: its header, and who asks, or what with what.
func proper(parts []message) bool {
	if len(parts) < 2 || parts[0].number(1) != 2 || parts[0].number(2) != 0 || len(parts[0].raw(4)) != 16 {
		return false
	}
	return len(parts) == 2 && protowire.DecodeZigZag(parts[0].number(3)) == -3 ||
		len(parts) == 3 && parts[1].text(2) == "org.apache.hadoop.hdfs.protocol.ClientProtocol" &&
			parts[1].number(3) == 1
}

func (h *Cluster) hangsUp(method string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cut[method] > 0 {
		h.cut[method]--
		return true
	}
	return false
}
