package hdfstest

import (
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The exceptions of a name node.
const (
	notFound = "java.io.FileNotFoundException"
	exists   = "org.apache.hadoop.fs.FileAlreadyExistsException"
	denied   = "org.apache.hadoop.security.AccessControlException"
	noLease  = "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException"
	tooEarly = "org.apache.hadoop.hdfs.server.namenode.NotReplicatedYetException"
	badPath  = "org.apache.hadoop.fs.InvalidPathException"
)

// pages is how many pages a listing of the whole cluster would have, and listPage the least entries of one.
const (
	pages    = 10
	listPage = 2
)

// answer does one call, and returns what is answered, or an exception.
func (h *Cluster) answer(method, user string, q message) (answer []byte, exception string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, method)
	if user != User {
		return nil, denied
	}
	if said := h.refuse[method]; said != "" {
		return nil, said
	}
	name := q.text(1)
	// what is about no path has a field or none
	if len(q) > 1 && (!strings.HasPrefix(name, "/") || path.Clean(name) != name) {
		return nil, badPath
	}
	switch method {
	case "getFileInfo":
		return h.info(name), ""
	case "getListing":
		return h.listing(name, q.text(2)), ""
	case "getBlockLocations":
		return h.locations(name, int(q.number(2)), int(q.number(3)))
	case "getServerDefaults":
		return encode(1, encode(1, BlockSize, 2, 512, 3, 64<<10, 4, 2, 5, 4096, 8, 2)), ""
	case "create":
		return h.create(name, q)
	case "addBlock", "complete":
		return h.grow(method, name, q)
	case "renewLease":
		return nil, ""
	case "rename2":
		return nil, h.rename(name, q.text(2), q.number(3) == 1)
	case "delete":
		return encode(1, h.remove(name)), ""
	}
	return nil, "org.apache.hadoop.ipc.RpcNoSuchMethodException"
}

// info is what is known of a path, nothing when there is none.
func (h *Cluster) info(name string) []byte {
	f := h.files[name]
	if f == nil {
		return nil
	}
	return encode(1, h.status("", f))
}

// status is an HdfsFileStatusProto.
func (h *Cluster) status(name string, f *dfsFile) []byte {
	kind, size := 2, 0
	if f.folder {
		kind = 1
	}
	for _, s := range f.sizes {
		size += s
	}
	return encode(1, kind, 2, name, 3, size, 4, encode(1, 0o644), 5, User, 6, "g", 7, 1700000000000, 8, 0)
}

// listing is one page of a folder.
func (h *Cluster) listing(folder, after string) []byte {
	f := h.files[folder]
	if f == nil {
		return nil
	}
	if !f.folder {
		return encode(1, append(encode(1, h.status("", f)), encode(2, 0)...))
	}
	var page []byte
	left, most := 0, max(listPage, len(h.files)/pages)
	for _, name := range slices.Sorted(maps.Keys(h.files)) {
		base := path.Base(name)
		if name == "/" || path.Dir(name) != folder || base <= after {
			continue
		}
		if left++; left <= most {
			page = append(page, encode(1, h.status(base, h.files[name]))...)
		}
	}
	return encode(1, append(page, encode(2, max(left-most, 0))...))
}

// block is an ExtendedBlockProto.
func block(id, size int) []byte { return encode(1, pool, 2, id, 3, 1000+id, 4, size) }

// located is a LocatedBlockProto with the data nodes in their order.
func (h *Cluster) located(id, size, offset int) []byte {
	out := encode(
		1, block(id, size), 2, offset, 4, 0, 5, encode(1, "token", 2, strconv.Itoa(id), 3, "HDFS_BLOCK_TOKEN", 4, ""),
	)
	for _, n := range h.nodes {
		host, port, _ := net.SplitHostPort(n.address)
		at, _ := strconv.Atoi(port)
		out = append(out, encode(3, encode(1, encode(1, host, 2, "localhost", 3, "uuid-"+port, 4, at, 5, 0, 6, 0)))...)
	}
	return out
}

// locations are the blocks of a range of a file.
func (h *Cluster) locations(name string, from, long int) (answer []byte, exception string) {
	f := h.files[name]
	if f == nil || f.folder {
		return nil, notFound
	}
	var blocks []byte
	offset := 0
	for i, id := range f.blocks {
		if offset+f.sizes[i] > from && offset < from+long {
			blocks = append(blocks, encode(2, h.located(id, f.sizes[i], offset))...)
		}
		offset += f.sizes[i]
	}
	writing := 0
	if f.holder != "" || f.flags[3] != 0 {
		writing = 1
	}
	out := append(encode(1, offset, 3, writing, 5, 1), blocks...)
	for field := range f.flags {
		if field != 3 {
			out = append(out, encode(int(field), encode(1, 1))...)
		}
	}
	return encode(1, out), ""
}

// create begins a file.
func (h *Cluster) create(name string, q message) (answer []byte, exception string) {
	switch {
	case h.files[name] != nil:
		return nil, exists
	case q.number(4) != 1 || q.number(5) != 1 || q.number(6) != 2 || q.number(7) != BlockSize ||
		q.inner(2).number(1) != 0o644 || q.text(3) == "":
		return nil, "org.apache.hadoop.HadoopIllegalArgumentException"
	}
	h.above(name)
	h.files[name] = &dfsFile{holder: q.text(3)}
	return encode(1, h.status("", h.files[name])), ""
}

// grow settles the block before and adds one, or ends the file.
func (h *Cluster) grow(method, name string, q message) (answer []byte, exception string) {
	f := h.files[name]
	if f == nil || f.holder == "" || f.holder != q.text(2) {
		return nil, noLease
	}
	if !h.settles(f, q.inner(3)) {
		return nil, "java.io.IOException"
	}
	if h.hasty > 0 {
		h.hasty--
		if method == "addBlock" {
			return nil, tooEarly
		}
		return encode(1, 0), ""
	}
	if method == "complete" {
		f.holder = ""
		return encode(1, 1), ""
	}
	if n := len(f.sizes); n > 0 && f.sizes[n-1] != BlockSize {
		return nil, "java.io.IOException" // only the last is not full
	}
	h.next++
	f.blocks, f.sizes = append(f.blocks, h.next), append(f.sizes, 0)
	offset := 0
	for _, s := range f.sizes {
		offset += s
	}
	return encode(1, h.located(h.next, 0, offset)), ""
}

// settles notes the size of the last block, which must be the one that is told, as it came to its end.
func (h *Cluster) settles(f *dfsFile, told message) bool {
	last := len(f.blocks) - 1
	if last < 0 {
		return len(told) == 0
	}
	id := f.blocks[last]
	content, there := h.blocks[id]
	f.sizes[last] = len(content)
	return there && told.text(1) == pool && int(told.number(2)) == id && int(told.number(3)) == 1000+id &&
		int(told.number(4)) == len(content)
}

// rename moves a file.
func (h *Cluster) rename(from, to string, overwrite bool) (exception string) {
	f, there := h.files[from], h.files[to]
	switch {
	case f == nil || h.files[path.Dir(to)] == nil:
		return notFound
	case there != nil && (!overwrite || there.folder):
		return exists
	}
	delete(h.files, from)
	h.files[to] = f
	return ""
}

// remove takes a path away with all below it, and says whether there was one.
func (h *Cluster) remove(name string) (was int) {
	for other := range h.files {
		if other == name || strings.HasPrefix(other, name+"/") {
			delete(h.files, other)
			was = 1
		}
	}
	return was
}
