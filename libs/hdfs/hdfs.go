// Package hdfs speaks the part of Hadoop's protocols that artifacts and folders that are watched need: to look for,
// list, read, write, rename and remove files of HDFS.
//
// Whoever writes a manifest says which servers are asked. What they answer is bounded before it is kept: no answer
// makes this process hold more than [answerLimit], and no packet of data more than [packetLimit]. Errors of class
// poison are final. There is no Kerberos and no encryption on the wire; name and data nodes that want them are refused
// with words. See docs/adr/0048-hdfs-through-the-runner.md.
package hdfs

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"path"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// Config says which cluster is asked, and as whom.
type Config struct {
	Addresses []string // of its name nodes, host:port; the active one is found
	User      string
	// Dial connects, to name and to data nodes; nil connects as usual.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Info is what a name node knows of a file or a folder. A symbolic link counts as a file; reading it is refused.
type Info struct {
	Name     string // its last part
	Size     int64
	Mode     fs.FileMode // rights only
	Folder   bool
	Modified time.Time // to the millisecond
}

// Client asks one cluster. It connects when it is first asked, and is of one goroutine.
type Client struct {
	config Config
	id     [16]byte // of this client, for all its calls: a call that is repeated with its number is done once
	calls  int32
	active int // of the addresses
	conn   *link
}

// Stat looks for a file or a folder, or returns [fs.ErrNotExist].
func (c *Client) Stat(ctx context.Context, name string) (Info, error) {
	answer, err := c.call(ctx, "getFileInfo", putBytes(nil, 1, name))
	if err != nil {
		return Info{}, err
	}
	if !answer.has(1) {
		return Info{}, fs.ErrNotExist
	}
	info, err := infoOf(answer.bytes(1))
	info.Name = path.Base(name)
	return info, err
}

// List tells of what a folder holds after a name, in the order of names. One that is not there, or is a file, is
// [fs.ErrNotExist].
func (c *Client) List(ctx context.Context, folder, after string, tell func(Info) error) error {
	for last := after; ; {
		question := putNum(putBytes(putBytes(nil, 1, folder), 2, last), 3, 0)
		answer, err := c.call(ctx, "getListing", question)
		if err != nil {
			return err
		}
		if !answer.has(1) {
			return fs.ErrNotExist
		}
		page, err := answer.sub(1)
		if err != nil {
			return err
		}
		for _, entry := range page[1] {
			info, err := infoOf(entry.b)
			if err != nil {
				return err
			}
			if info.Name == "" { // of a file, itself is listed
				return fs.ErrNotExist
			}
			if info.Name <= last {
				return fmt.Errorf("the name node lists %q after %q", info.Name, last)
			}
			last = info.Name
			if err := tell(info); err != nil {
				return err
			}
		}
		if page.num(2) == 0 || len(page[1]) == 0 {
			return nil
		}
	}
}

// infoOf reads an HdfsFileStatusProto.
func infoOf(raw []byte) (Info, error) {
	status, err := readWire(raw)
	if err != nil {
		return Info{}, err
	}
	rights, err := status.sub(4)
	if err != nil {
		return Info{}, err
	}
	info := Info{
		Name: string(status.bytes(2)), Size: int64(status.num(3)), Mode: fs.FileMode(rights.num(1)) & fs.ModePerm,
		Modified: time.UnixMilli(int64(status.num(7))),
	}
	switch status.num(1) {
	case 1:
		info.Folder = true
	case 2, 3:
	default:
		return info, fault.Poisonf("%q is neither a file nor a folder", info.Name)
	}
	if info.Size < 0 {
		return info, fmt.Errorf("the name node says that %q has %d bytes", info.Name, info.Size)
	}
	return info, nil
}

// Rename moves a file or a folder in one step. What is there already is replaced or, unless overwrite, [fs.ErrExist].
func (c *Client) Rename(ctx context.Context, from, to string, overwrite bool) error {
	question := putBytes(putBytes(nil, 1, from), 2, to)
	flag := uint64(0)
	if overwrite {
		flag = 1
	}
	_, err := c.call(ctx, "rename2", putNum(question, 3, flag))
	return err
}

// Delete removes a file, or a folder with all below it. What is not there is no error.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := c.call(ctx, "delete", putNum(putBytes(nil, 1, name), 2, 1))
	return err
}

// holder is the name of this client in leases.
func (c *Client) holder() string { return "argosy-" + hex.EncodeToString(c.id[:]) }
