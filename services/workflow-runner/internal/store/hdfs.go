package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/hdfs"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

const (
	// asidePrefix begins the names of files that are still being stored. With its dot they are hidden, as Hadoop has
	// it.
	asidePrefix = ".argosy-"
	// tidyTime bounds how long what was stored in part is taken away, whoever waits for it no more.
	tidyTime = 30 * time.Second
	// walkLimit bounds the folders that are looked into for one artifact.
	walkLimit = 100_000
)

// dfs is a cluster of HDFS. It is reached by protocols of its own: pods go through this service.
type dfs struct {
	config hdfs.Config
	force  bool // what is there already is replaced
}

// hdfs finds out how a cluster is reached. What would silently be left out is refused.
func (s *Stores) hdfs(_ context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	h := l.HDFS
	for _, kerberos := range []struct {
		field string
		set   bool
	}{
		{"krbKeytabSecret", h.KrbKeytabSecret != nil}, {"krbCCacheSecret", h.KrbCCacheSecret != nil},
		{"krbConfigConfigMap", h.KrbConfigConfigMap != nil},
		{"krbRealm", h.KrbRealm != ""}, {"krbServicePrincipalName", h.KrbServicePrincipalName != ""},
		{"krbUsername", h.KrbUsername != ""},
	} {
		if kerberos.set {
			return nil, fault.Poisonf("hdfs: %s is not supported: name nodes that want Kerberos cannot be asked; hdfsUser is", kerberos.field)
		}
	}
	switch {
	case h.DataTransferProtection != "":
		return nil, fault.Poisonf("hdfs: dataTransferProtection %q is not supported: it needs Kerberos",
			h.DataTransferProtection)
	case len(h.Addresses) == 0:
		return nil, fault.Poisonf("hdfs: addresses is empty")
	case h.HdfsUser == "":
		return nil, fault.Poisonf("hdfs: hdfsUser is missing")
	}
	for _, address := range h.Addresses {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return nil, fault.Poisonf("hdfs: addresses: %q is not host:port", address)
		}
	}
	return &dfs{config: hdfs.Config{Addresses: h.Addresses, User: h.HdfsUser, Dial: s.dial(namespace)}, force: h.Force},
		nil
}

// pathOf is the path of a key. One that is not absolute begins at the root: keys of other stores have no slash there.
func pathOf(key string) (string, error) {
	name := path.Clean("/" + key)
	if name == "/" {
		return "", fault.Poisonf("hdfs: path %q names no file", key)
	}
	return name, nil
}

// fail says what was done with which path.
func (d *dfs) fail(action, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s in hdfs of %s: %w", action, name, strings.Join(d.config.Addresses, ", "), ErrAbsent)
	}
	return fmt.Errorf("%s %s in hdfs: %w", action, name, err)
}

// Open streams a file, or a folder as an archive that is marked as one.
func (d *dfs) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := pathOf(key)
	if err != nil {
		return nil, err
	}
	client := hdfs.New(d.config)
	info, err := client.Stat(ctx, name)
	if err != nil {
		client.Close()
		return nil, d.fail("look for", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	read := client.Read
	if info.Folder {
		read = func(ctx context.Context, name string, to io.Writer) error { return packFolder(ctx, client, name, to) }
	}
	go func() {
		defer client.Close()
		_ = w.CloseWithError(d.fail("read", name, read(ctx, name, w))) // of nil it is the end
	}()
	return &stream{PipeReader: r, cancel: cancel}, nil
}

// stream is what is being read. Who closes it ends the reading.
type stream struct {
	*io.PipeReader

	cancel context.CancelFunc
}

// Close ends the reading.
func (s *stream) Close() error {
	s.cancel()
	return s.PipeReader.Close()
}

// Names lists the paths of files that begin so. Those that are still being stored are none.
func (d *dfs) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	prefix = "/" + strings.TrimPrefix(prefix, "/")
	client := hdfs.New(d.config)
	defer client.Close()
	folder, _ := path.Split(prefix)
	var names []string
	err := walk(ctx, client, path.Clean(folder), func(name string, info hdfs.Info) (bool, error) {
		switch {
		case info.Folder:
			return strings.HasPrefix(name+"/", prefix), nil
		case !strings.HasPrefix(name, prefix):
			return false, nil
		case len(names) == limit:
			return false, fault.Poisonf("hdfs has more than %d files below %q", limit, prefix)
		}
		names = append(names, name)
		return false, nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, d.fail("list", prefix, err)
	}
	slices.Sort(names)
	return names, nil
}

// walk tells of all that is in a folder, and in those of its folders that are wanted.
func walk(ctx context.Context, client *hdfs.Client, folder string,
	tell func(name string, info hdfs.Info) (enter bool, err error)) error {
	// Folders are looked into one after the other, not while another is being listed: each page of a listing is old at
	// once.
	todo := []string{folder}
	for looked := 0; len(todo) > 0; looked++ {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := client.List(ctx, at, "", func(info hdfs.Info) error {
			name := path.Join(at, info.Name)
			if strings.HasPrefix(info.Name, asidePrefix) {
				return nil
			}
			enter, err := tell(name, info)
			if enter {
				todo = append(todo, name)
			}
			if looked+len(todo) > walkLimit {
				return fault.Poisonf("hdfs has more than %d folders below %s", walkLimit, folder)
			}
			return err
		})
		if err != nil && (at == folder || !errors.Is(err, fs.ErrNotExist)) {
			return err // one that is gone since it was listed holds nothing
		}
	}
	return nil
}

// Remove takes away a file, or a folder with all below it, and what uploads of it left behind that broke off.
func (d *dfs) Remove(ctx context.Context, key string) error {
	name, err := pathOf(key)
	if err != nil {
		return err
	}
	client := hdfs.New(d.config)
	defer client.Close()
	if err := client.Delete(ctx, name); err != nil {
		return d.fail("remove", name, err)
	}
	var left []string
	err = client.List(ctx, path.Dir(name), aside(name), func(info hdfs.Info) error {
		if !strings.HasPrefix(info.Name, aside(name)) {
			return errSeen
		}
		left = append(left, path.Join(path.Dir(name), info.Name))
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errSeen) {
		return d.fail("list", path.Dir(name), err)
	}
	for _, other := range left {
		if err := client.Delete(ctx, other); err != nil {
			return d.fail("remove", other, err)
		}
	}
	return nil
}

// errSeen ends a listing that is read no further.
var errSeen = errors.New("enough was seen")

// aside begins the names of files that are to become this one. It is as long for each name: names have a limit.
func aside(name string) string {
	sum := sha256.Sum256([]byte(path.Base(name)))
	return asidePrefix + hex.EncodeToString(sum[:8]) + "-"
}

// Put stores a file. It is written aside and renamed when it is whole, so that a part is never under its name: not
// after a crash either, which leaves a hidden file. Without force, one that is there already is an error unless it is
// the same: a pod that got no answer sends it once more.
func (d *dfs) Put(ctx context.Context, key string, body io.Reader) error {
	name, err := pathOf(key)
	if err != nil {
		return err
	}
	client := hdfs.New(d.config)
	defer client.Close()
	info, err := client.Stat(ctx, name)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return d.fail("look for", name, err)
	case err == nil && info.Folder:
		return fault.Poisonf("store %s in hdfs: it is a folder", name)
	case err == nil && !d.force:
		return d.same(ctx, client, name, body)
	}
	part := path.Join(path.Dir(name), aside(name)+strings.ToLower(rand.Text()))
	err = client.Write(ctx, part, body)
	if err == nil {
		err = client.Rename(ctx, part, name, d.force)
	}
	if err == nil {
		return nil
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	_ = client.Delete(late, part) // when it stays it is hidden, until the artifact is removed
	return d.fail("store", name, meanwhile(err))
}

// meanwhile makes an error of what others did to a path one that passes: what is there is found out when the body comes
// again.
func meanwhile(err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return errors.New("somebody else changed it meanwhile: " + err.Error())
	}
	return err
}

// same accepts a body that is there already.
func (d *dfs) same(ctx context.Context, client *hdfs.Client, name string, body io.Reader) error {
	sent, kept := sha256.New(), sha256.New()
	if _, err := io.Copy(sent, body); err != nil {
		return d.fail("store", name, errors.Join(hdfs.ErrSource, err))
	}
	if err := client.Read(ctx, name, kept); err != nil {
		return d.fail("read", name, meanwhile(err))
	}
	if !bytes.Equal(sent.Sum(nil), kept.Sum(nil)) {
		return fault.Poisonf("store %s in hdfs: it is there already, and is another; force: true replaces it", name)
	}
	return nil
}
