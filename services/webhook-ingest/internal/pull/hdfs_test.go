package pull

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"google.golang.org/protobuf/encoding/protowire"
)

// nameNode speaks the part of Hadoop's protocol that a listing needs.
type nameNode struct {
	t       *testing.T
	address string

	mu    sync.Mutex
	files map[string]uint64 // sizes by path; a folder ends with /
	user  string
	mute  bool // it answers no more
	// refuse is the exception that it answers all calls with.
	refuse string
}

func newNameNode(t *testing.T, files ...string) *nameNode {
	t.Helper()
	n := &nameNode{t: t, files: map[string]uint64{}}
	for _, f := range files {
		n.files[f] = 1
	}
	n.address = serve(t, n.serve)
	return n
}

func (n *nameNode) put(name string, size uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[name] = size
}

func (n *nameNode) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, 7)); err != nil { // "hrpc", version, class, no authentication
		return
	}
	for {
		packet, err := sized(conn)
		if err != nil {
			return
		}
		var parts []decoded
		for len(packet) > 0 {
			part, size := protowire.ConsumeBytes(packet)
			if size < 0 {
				return
			}
			parts, packet = append(parts, decode(n.t, part)), packet[size:]
		}
		if len(parts) < 3 { // the context of the connection
			n.mu.Lock()
			n.user = decode(n.t, parts[1].bytes(2)).text(1)
			n.mu.Unlock()
			continue
		}
		answer, ok := n.answer(parts[1].text(1), parts[2].text(1), parts[2].text(2))
		if !ok {
			continue
		}
		call := uint64(protowire.DecodeZigZag(parts[0].number(3)))
		header := joined(number(1, call), number(2, 0))
		if n.refuse != "" {
			header = joined(number(1, call), number(2, 1), text(4, n.refuse), text(5, "SIMPLE is off\n\tat a stack"))
		}
		body := append(protowire.AppendBytes(nil, header), protowire.AppendBytes(nil, answer)...)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
			return
		}
	}
}

// answer lists a folder in pages of two.
func (n *nameNode) answer(method, name, after string) (answer []byte, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mute {
		return nil, false
	}
	if _, folder := n.files[name+"/"]; method != "getListing" || !folder {
		return nil, true
	}
	var list []byte
	left := 0
	for _, file := range slices.Sorted(maps.Keys(n.files)) {
		base := path.Base(file)
		if path.Dir(strings.TrimSuffix(file, "/")) != name || base <= after {
			continue
		}
		if left++; left <= 2 {
			list = append(list, inner(1, hdfsStatus(base, n.files[file], strings.HasSuffix(file, "/")))...)
		}
	}
	return inner(1, list, number(2, uint64(max(left-2, 0)))), true
}

func hdfsStatus(name string, size uint64, folder bool) []byte {
	kind := uint64(2)
	if folder {
		kind = 1
	}
	return joined(number(1, kind), text(2, name), number(3, size), inner(4, number(1, 0o644)), text(5, "o"), text(6, "g"), number(7, 1700000000000), number(8, 0))
}

func TestAFolderOfHDFSIsTold(t *testing.T) {
	n := newNameNode(t, "/in/", "/in/deep/", "/in/old.txt")
	r := newRig(t)
	c := v1alpha1.HDFSEventSource{
		Addresses: []string{n.address}, Directory: "/in/", PathRegexp: `.*\.txt$`, Type: "CREATE", HdfsUser: "guest", CheckInterval: "20ms", Metadata: map[string]string{"k": "v"},
	}
	stop := r.start(hdfsFolder(c))
	n.put("/in/deep/new.other", 1)
	n.put("/in/deep/new.txt", 1)
	e := r.next()
	if e.get("name") != "/in/deep/new.txt" || e.get("op") != "CREATE" || e.get("metadata.k") != "v" || e.id == "" {
		t.Errorf("%+v", e)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	n.put("/in/late.txt", 1)
	n.put("/in/old.txt", 2) // a WRITE, which nobody asked for
	stop = r.start(hdfsFolder(c))
	if e := r.next(); e.get("name") != "/in/late.txt" {
		t.Errorf("after a restart: %+v", e)
	}
	r.quiet()
	n.mu.Lock()
	n.mute = true
	user := n.user
	n.mu.Unlock()
	if user != "guest" {
		t.Errorf("user %q", user)
	}
	if err := stop(); err != nil { // also while the name node keeps silent
		t.Error(err)
	}
}

func TestTheActiveNameNodeIsFound(t *testing.T) {
	standby, active := newNameNode(t, "/in/"), newNameNode(t, "/in/", "/in/a")
	standby.refuse = "org.apache.hadoop.ipc.StandbyException"
	r := newRig(t)
	c := v1alpha1.HDFSEventSource{Addresses: []string{"127.0.0.1:1", standby.address, active.address}, Directory: "/in", Path: "b", HdfsUser: "guest", CheckInterval: "20ms"}
	r.start(hdfsFolder(c))
	active.put("/in/b", 1)
	if e := r.next(); e.get("name") != "/in/b" || e.get("op") != "CREATE" {
		t.Errorf("%+v", e)
	}
}

func TestHDFSThatCannotBeRead(t *testing.T) {
	n := newNameNode(t, "/in/")
	secured := newNameNode(t, "/in/")
	secured.refuse = "org.apache.hadoop.security.AccessControlException"
	r := newRig(t)
	good := v1alpha1.HDFSEventSource{Addresses: []string{n.address}, Directory: "/in", Path: "a", HdfsUser: "guest"}
	for name, c := range map[string]struct {
		change func(*v1alpha1.HDFSEventSource)
		says   string
	}{
		"interval":     {func(c *v1alpha1.HDFSEventSource) { c.CheckInterval = "0s" }, "checkInterval"},
		"no interval":  {func(c *v1alpha1.HDFSEventSource) { c.CheckInterval = "soon" }, "checkInterval"},
		"no path":      {func(c *v1alpha1.HDFSEventSource) { c.Path = "" }, "path"},
		"no user":      {func(c *v1alpha1.HDFSEventSource) { c.HdfsUser = "" }, "hdfsUser"},
		"no addresses": {func(c *v1alpha1.HDFSEventSource) { c.Addresses = nil }, "addresses"},
		"no folder":    {func(c *v1alpha1.HDFSEventSource) { c.Directory = "/none" }, "does not exist"},
		"nobody":       {func(c *v1alpha1.HDFSEventSource) { c.Addresses = []string{"127.0.0.1:1"} }, "127.0.0.1:1"},
		"a keytab":     {func(c *v1alpha1.HDFSEventSource) { c.KrbKeytabSecret = ref("user") }, "Kerberos"},
		"tickets":      {func(c *v1alpha1.HDFSEventSource) { c.KrbCCacheSecret = ref("user") }, "Kerberos"},
		"secured":      {func(c *v1alpha1.HDFSEventSource) { c.Addresses = []string{secured.address} }, `AccessControlException "SIMPLE`},
	} {
		config := good
		c.change(&config)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := hdfsFolder(config).Run(ctx, r.env, r.emit); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestBadAnswersOfANameNode(t *testing.T) {
	fine := protowire.AppendBytes(nil, joined(number(1, 1), number(2, 0)))
	for name, packet := range map[string][]byte{
		"nothing": {}, "half a header": {9, 1}, "no header": {1, 0xff}, "no answer": fine, "half an answer": append(bytes.Clone(fine), 9, 1), "no protobuf": append(bytes.Clone(fine), 1, 0xff),
		"another call": append(protowire.AppendBytes(nil, joined(number(1, 7), number(2, 0))), 0),
	} {
		if got, err := hadoopAnswer(packet, 1); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzNameNode(f *testing.F) {
	f.Add(append(protowire.AppendBytes(nil, joined(number(1, 1), number(2, 0))), protowire.AppendBytes(nil, inner(1, number(2, 0)))...))
	f.Fuzz(func(_ *testing.T, packet []byte) {
		if answer, err := hadoopAnswer(packet, 1); err == nil {
			_, _ = answer.sub(1)
		}
	})
}
