package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	// pluginTime bounds one answer of a plugin. Source: Argo CD's default for programs that generate manifests.
	pluginTime = 90 * time.Second
	// pluginChunk is how much of an archive is sent at once, in bytes.
	pluginChunk = 64 << 10
)

// Plugins are sidecars that generate manifests, each with its socket in a folder. Source: version 2 of Argo CD's config
// management plugins.
type Plugins struct {
	dir string
}

// NewPlugins returns the plugins whose sockets are in dir; "" is none.
func NewPlugins(dir string) *Plugins { return &Plugins{dir: dir} }

// names are those of the plugins that there are.
func (p *Plugins) names() []string {
	if p == nil || p.dir == "" {
		return nil
	}
	found, _ := filepath.Glob(filepath.Join(p.dir, "*.sock")) // the pattern is well formed
	var out []string
	for _, f := range found {
		out = append(out, strings.TrimSuffix(filepath.Base(f), ".sock"))
	}
	slices.Sort(out)
	return out
}

// generate returns the manifests that a plugin makes of the files of a repository.
func (p *Plugins) generate(
	ctx context.Context, call PluginCall, app, dir string, files map[string][]byte,
) ([]byte, error) {
	name := call.Name
	if name == "" {
		var err error
		if name, err = p.match(ctx, app, dir, files, call); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(p.names(), name) {
		return nil, fmt.Errorf("%w: there is no plugin %q among %v; is its sidecar running?", ErrSource, name, p.names())
	}
	var answer []string
	err := p.stream(ctx, name, "GenerateManifest", app, dir, files, call, func(m fields) {
		for _, text := range m[1] {
			answer = append(answer, string(text))
		}
	})
	if err != nil {
		return nil, err
	}
	return []byte(strings.Join(answer, "\n---\n")), nil
}

var errUnmatched = errors.New("no plugin says that it knows the source")

// match is the first plugin that knows a source.
func (p *Plugins) match(
	ctx context.Context, app, dir string, files map[string][]byte, call PluginCall,
) (string, error) {
	for _, name := range p.names() {
		discovers := false
		err := p.call(ctx, name, func(ctx context.Context, conn *grpc.ClientConn) error {
			var answer fields
			err := conn.Invoke(ctx, pluginService+"CheckPluginConfiguration", &fields{}, &answer)
			discovers = answer.truth(1)
			return err
		})
		if err != nil {
			return "", err
		}
		if !discovers {
			continue
		}
		supported := false
		err = p.stream(ctx, name, "MatchRepository", app, dir, files, call, func(m fields) { supported = m.truth(1) })
		if err != nil {
			return "", err
		}
		if supported {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: %w; set spec.source.plugin.name", ErrSource, errUnmatched)
}

// call connects to a plugin.
func (p *Plugins) call(ctx context.Context, name string, do func(context.Context, *grpc.ClientConn) error) error {
	ctx, cancel := context.WithTimeout(ctx, pluginTime)
	defer cancel()
	conn, err := grpc.NewClient(
		"unix://"+filepath.Join(p.dir, name+".sock"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(wire{}), grpc.MaxCallRecvMsgSize(maxBytes)),
	)
	if err == nil {
		defer func() { _ = conn.Close() }()
		err = do(ctx, conn)
	}
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.Unavailable, codes.Canceled:
		return fmt.Errorf("plugin %q: %w", name, err)
	default:
		return fmt.Errorf("%w: plugin %q: %s", ErrSource, name, status.Convert(err).Message())
	}
}

// pluginService is how the methods of plugins begin.
const pluginService = "/plugin.ConfigManagementPluginService/"

// stream sends the files to a plugin and reads its answer.
func (p *Plugins) stream(
	ctx context.Context, name, method, app, dir string, files map[string][]byte, call PluginCall, read func(fields),
) error {
	archive, err := pack(files)
	if err != nil {
		return fmt.Errorf("pack the repository for plugin %q: %w", name, err)
	}
	return p.call(ctx, name, func(ctx context.Context, conn *grpc.ClientConn) error {
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, pluginService+method)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(archive)
		about := fields{1: {[]byte(app)}, 2: {[]byte(dir)}, 3: {[]byte(hex.EncodeToString(sum[:]))}}
		about.setNumber(4, uint64(len(archive)))
		for _, e := range call.Env {
			about[5] = append(about[5], fields{1: {[]byte(e.Name)}, 2: {[]byte(e.Value)}}.encode())
		}
		err = s.SendMsg(&fields{1: {about.encode()}})
		for chunk := range slices.Chunk(archive, pluginChunk) {
			if err == nil {
				err = s.SendMsg(&fields{2: {fields{1: {chunk}}.encode()}})
			}
		}
		// What the plugin says counts more than that it stopped reading.
		if cerr := s.CloseSend(); cerr != nil {
			return errors.Join(err, cerr)
		}
		var answer fields
		if err := s.RecvMsg(&answer); err != nil {
			return err
		}
		read(answer)
		return nil
	})
}

// pack makes an archive of files.
func pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	zipped, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // of a level that there is
	w := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// PluginSockets is where upstream's sidecars put their sockets.
const PluginSockets = "/home/argocd/cmp-server/plugins"
