package hdfs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/hdfs/hdfstest"
	"google.golang.org/protobuf/encoding/protowire"
)

func client(t *testing.T, addresses ...string) *Client {
	t.Helper()
	c := New(Config{Addresses: addresses, User: hdfstest.User})
	t.Cleanup(c.Close)
	return c
}

// content is text that differs in each of its places.
func content(size int) string {
	out := make([]byte, 0, size+8)
	for i := 0; len(out) < size; i++ {
		out = binary.BigEndian.AppendUint64(out, uint64(i)*0x9e3779b97f4a7c15)
	}
	return string(out[:size])
}

func TestFilesOfAllSizesComeBack(t *testing.T) {
	h := hdfstest.Start(t)
	c := client(t, h.Address)
	for _, size := range []int{
		0, 1, chunk - 1, chunk, chunk + 1, packetData, packetData + 1, hdfstest.BlockSize - 1, hdfstest.BlockSize,
		hdfstest.BlockSize + 1, 3*hdfstest.BlockSize + 777,
	} {
		want := content(size)
		// A source that gives one byte at a time first, and its end with the last.
		source := io.MultiReader(
			iotest.OneByteReader(strings.NewReader(want[:min(size, 1000)])),
			iotest.DataErrReader(strings.NewReader(want[min(size, 1000):])),
		)
		if err := c.Write(t.Context(), "/a/b/file", source); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got := h.Files()["/a/b/file"]; got != want {
			t.Errorf("%d bytes: the cluster has %d others", size, len(got))
		}
		var got bytes.Buffer
		if err := c.Read(t.Context(), "/a/b/file", &got); err != nil || got.String() != want {
			t.Errorf("%d bytes: read %d: %v", size, got.Len(), err)
		}
		if info, err := c.Stat(t.Context(), "/a/b/file"); err != nil || info.Size != int64(size) || info.Folder ||
			info.Name != "file" {
			t.Errorf("%d bytes: %+v, %v", size, info, err)
		}
		if err := c.Delete(t.Context(), "/a/b/file"); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(h.Asked(), "renewLease") {
		t.Error("the lease of a file with several blocks is not renewed")
	}
}

func TestWhatBreaksOffIsNoFile(t *testing.T) {
	for name, end := range map[string]error{
		"as a body does": io.ErrUnexpectedEOF, "in another way": errors.New("reset"),
	} {
		for _, after := range []int{0, 1, packetData, hdfstest.BlockSize, hdfstest.BlockSize + 5} {
			h := hdfstest.Start(t)
			err := client(t, h.Address).Write(
				t.Context(), "/f", io.MultiReader(strings.NewReader(content(after)), &once{end}),
			)
			if !errors.Is(err, ErrSource) || !errors.Is(err, end) || fault.Of(err) != fault.Retry {
				t.Errorf("%s after %d bytes: %v", name, after, err)
			}
			if files := h.Files(); len(files) != 0 {
				t.Errorf("%s after %d bytes: %d files are complete", name, after, len(files))
			}
		}
	}
}

// once fails once, and then looks as if it had ended.
type once struct{ err error }

func (o *once) Read([]byte) (int, error) {
	err := o.err
	o.err = io.EOF
	return 0, err
}

func TestTheActiveNameNodeIsAsked(t *testing.T) {
	h := hdfstest.Start(t)
	h.Put("/f", "text")
	c := client(t, "127.0.0.1:1", h.Standby, h.Address)
	var got strings.Builder
	if err := c.Read(t.Context(), "/f", &got); err != nil || got.String() != "text" {
		t.Errorf("%q, %v", got.String(), err)
	}
	h.Cut("getFileInfo", 1) // the connection was idle for long
	if _, err := c.Stat(t.Context(), "/f"); err != nil {
		t.Errorf("on another connection: %v", err)
	}
	h.Cut("getFileInfo", 2)
	if _, err := c.Stat(t.Context(), "/f"); err == nil || fault.Of(err) != fault.Retry {
		t.Errorf("while it is away: %v", err)
	}
	if _, err := c.Stat(t.Context(), "/f"); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	if _, err := client(t).Stat(t.Context(), "/f"); err == nil {
		t.Error("nobody is asked, and answers")
	}
}

func TestAnotherDataNodeGoesOn(t *testing.T) {
	want := content(hdfstest.BlockSize + 9000)
	for name, c := range map[string]struct {
		f             hdfstest.Fault
		reads, writes string // what is said of it
	}{
		"refuses": {hdfstest.Refuses, `"not you"`, `"not you"`},
		"breaks":  {hdfstest.Breaks, "unexpected EOF", ""},
		"garbles": {hdfstest.Garbles, "broken", "status 2"},
		"floods":  {hdfstest.Floods, "more than", "more than"},
	} {
		h := hdfstest.Start(t)
		h.Put("/f", want)
		h.Fail(0, c.f)
		var got bytes.Buffer
		if err := client(t, h.Address).Read(t.Context(), "/f", &got); err != nil || got.String() != want {
			t.Errorf("one %s: %d bytes, %v", name, got.Len(), err)
		}
		h.Fail(1, c.f)
		got.Reset()
		err := client(t, h.Address).Read(t.Context(), "/f", &got)
		if fault.Of(err) != fault.Retry || strings.Count(err.Error(), "data node") != 2 ||
			!strings.Contains(err.Error(), c.reads) ||
			!strings.HasPrefix(want, got.String()) {
			t.Errorf("both %s: %d bytes, %v", name, got.Len(), err)
		}
		err = client(t, h.Address).Write(t.Context(), "/g", strings.NewReader(want))
		if fault.Of(err) != fault.Retry || errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.writes) ||
			len(h.Files()) != 1 {
			t.Errorf("writing, %s: %v", name, err)
		}
	}
}

// Data nodes begin with the chunk that a byte is in.
func TestAReadMayBeginAnywhere(t *testing.T) {
	h := hdfstest.Start(t)
	want := content(9000)
	h.Put("/f", want)
	c := client(t, h.Address)
	for _, from := range []int64{0, 1, chunk - 1, chunk, 4*chunk + 7, 8999} {
		blocks, size, err := c.locate(t.Context(), "/f", from)
		if err != nil || len(blocks) != 1 || size != 9000 {
			t.Fatalf("%d blocks, %d bytes: %v", len(blocks), size, err)
		}
		var got bytes.Buffer
		sent, err := c.readFrom(t.Context(), blocks[0].nodes[0], blocks[0], from, &got)
		if err != nil || sent != 9000-from || got.String() != want[from:] {
			t.Errorf("from %d: %d bytes, %v", from, sent, err)
		}
	}
}

func TestNameNodesWaitForDataNodes(t *testing.T) {
	h := hdfstest.Start(t)
	h.Haste(3)
	if err := client(t, h.Address).Write(
		t.Context(), "/f", strings.NewReader(content(hdfstest.BlockSize+1)),
	); err != nil ||
		len(h.Files()) != 1 {
		t.Errorf("%v, %d files", err, len(h.Files()))
	}
	h.Haste(2)
	if err := client(t, h.Address).Write(t.Context(), "/empty", strings.NewReader("")); err != nil ||
		len(h.Files()) != 2 {
		t.Errorf("to complete: %v, %d files", err, len(h.Files()))
	}
	h.Haste(1000)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	if err := client(t, h.Address).Write(ctx, "/g", strings.NewReader("x")); err == nil || err.Error() != "enough" {
		t.Errorf("for ever: %v", err)
	}
}

func TestFoldersAreListedByPages(t *testing.T) {
	h := hdfstest.Start(t)
	for _, name := range []string{"/d/a", "/d/b/x", "/d/c", "/d/d", "/d/e"} {
		h.Put(name, "text")
	}
	c := client(t, h.Address)
	list := func(folder, after string) (names []string, err error) {
		err = c.List(t.Context(), folder, after, func(i Info) error {
			if i.Folder {
				i.Name += "/"
			}
			names = append(names, i.Name)
			return nil
		})
		return names, err
	}
	if names, err := list("/d", ""); err != nil || !slices.Equal(names, []string{"a", "b/", "c", "d", "e"}) {
		t.Errorf("%q, %v", names, err)
	}
	if names, err := list("/d", "bb"); err != nil || !slices.Equal(names, []string{"c", "d", "e"}) {
		t.Errorf("%q, %v", names, err)
	}
	for _, none := range []string{"/none", "/d/a"} {
		if names, err := list(none, ""); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", none, names, err)
		}
	}
	enough := errors.New("enough")
	if err := c.List(t.Context(), "/d", "", func(Info) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
}

func TestARenameReplacesOnlyWhenAsked(t *testing.T) {
	h := hdfstest.Start(t)
	h.Put("/a", "new")
	h.Put("/b", "old")
	c := client(t, h.Address)
	if err := c.Rename(t.Context(), "/a", "/b", false); !errors.Is(err, fs.ErrExist) || fault.Of(err) != fault.Poison {
		t.Errorf("%v", err)
	}
	if err := c.Rename(t.Context(), "/a", "/b", true); err != nil || h.Files()["/b"] != "new" || len(h.Files()) != 1 {
		t.Errorf("%v, %q", err, h.Files())
	}
	if err := c.Rename(t.Context(), "/a", "/c", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestErrorsOfNameNodesAreClassed(t *testing.T) {
	h := hdfstest.Start(t)
	h.Put("/f", "text")
	for exception, want := range map[string]fault.Class{
		"org.apache.hadoop.security.AccessControlException":             fault.Poison,
		"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException":      fault.Poison,
		"org.apache.hadoop.hdfs.server.namenode.SafeModeException":      fault.Retry,
		"org.apache.hadoop.ipc.StandbyException":                        fault.Retry,
		"org.apache.hadoop.hdfs.server.namenode.NotReplicatedException": fault.Retry,
	} {
		h.Refuse("getFileInfo", exception)
		_, err := client(t, h.Address).Stat(t.Context(), "/f")
		short := exception[strings.LastIndex(exception, ".")+1:]
		if fault.Of(err) != want || !strings.Contains(err.Error(), short+": getFileInfo is refused") ||
			!strings.Contains(err.Error(), h.Address) ||
			strings.Contains(err.Error(), "stack") {
			t.Errorf("%s: class %s, %v", exception, fault.Of(err), err)
		}
	}
	if _, err := New(Config{Addresses: []string{h.Address}, User: "other"}).Stat(
		t.Context(), "/f",
	); fault.Of(err) != fault.Poison {
		t.Errorf("another user: %v", err)
	}
}

func TestFilesThatCannotBeReadAreRefused(t *testing.T) {
	for says, c := range map[string]struct {
		field protowire.Number
		class fault.Class
	}{
		"still being written": {3, fault.Retry}, "encryption zone": {6, fault.Poison},
		"erasure coded": {7, fault.Poison},
	} {
		h := hdfstest.Start(t)
		h.Put("/f", "text")
		h.Mark("/f", c.field)
		var got bytes.Buffer
		if err := client(t, h.Address).Read(
			t.Context(), "/f", &got,
		); fault.Of(err) != c.class || !strings.Contains(err.Error(), says) ||
			got.Len() != 0 {
			t.Errorf("%s: %v, %d bytes", says, err, got.Len())
		}
	}
	h := hdfstest.Start(t)
	if err := client(t, h.Address).Read(t.Context(), "/none", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	h.Put("/f", content(5000))
	gone := errors.New("gone")
	if err := client(t, h.Address).Read(t.Context(), "/f", failing{gone}); !errors.Is(err, gone) ||
		strings.Contains(err.Error(), "data node") {
		t.Errorf("nobody reads: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// An address may lead to anything: what it says is not believed.
func TestServersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct{ says, want string }{
		"nothing":        {"", "EOF"},
		"half a size":    {"\x00\x00", "unexpected EOF"},
		"half a packet":  {"\x00\x00\x00\x09xx", "unexpected EOF"},
		"more than fits": {"\xff\xff\xff\xff", "4294967295 bytes"},
		"no header":      {"\x00\x00\x00\x01\xff", "cannot be read"},
		"another call":   {"\x00\x00\x00\x06\x04\x08\x07\x10\x00\x00", "another call"},
		"HTTP":           {"HTTP/1.1 400 Bad Request\r\n\r\n", "1213486160 bytes"},
	} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			// All of the question, so that nothing is unread when it hangs up: what is said gets through.
			for got := ""; !strings.HasSuffix(got, "/file"); {
				some := make([]byte, 4096)
				n, err := conn.Read(some)
				if err != nil {
					return
				}
				got += string(some[:n])
			}
			_, _ = io.WriteString(conn, c.says)
		}()
		if info, err := client(t, l.Addr().String()).Stat(t.Context(), "/file"); fault.Of(err) != fault.Retry ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		_ = l.Close()
	}
}

func TestNobodyWaitsForAServerThatIsSilent(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the pod is gone")
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(conn, make([]byte, 16)) // it asks
		cancel(stop)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	began := time.Now()
	if _, err := client(t, l.Addr().String()).Stat(ctx, "/f"); !errors.Is(err, stop) || time.Since(began) > patience/2 {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(
		append(
			protowire.AppendBytes(nil, putNum(putNum(nil, 1, 1), 2, 0)),
			protowire.AppendBytes(nil, putBytes(nil, 1, putNum(nil, 1, 2)))...),
	)
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, packet []byte) {
		if answer, err := readAnswer(packet, 1); err == nil {
			_, _ = infoOf(answer.bytes(1))
			_, _ = blockOf(answer.bytes(1))
		}
	})
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0, 0})
	f.Add([]byte{0, 0, 0, 5, 0, 5, 37, 1, 0, 0, 0, 'x'})
	f.Fuzz(func(t *testing.T, sent []byte) {
		p := packets{in: bufio.NewReader(bytes.NewReader(sent)), sums: checksum{chunk: chunk}}
		for {
			data, err := p.next()
			if err != nil {
				return
			}
			if len(data) > len(sent) {
				t.Errorf("%d bytes out of %d", len(data), len(sent))
			}
		}
	})
}
