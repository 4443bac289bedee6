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
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// sidecar is a plugin that makes a ConfigMap of what it was sent, and knows folders with a file plugin.txt.
func sidecar(t *testing.T, dir, name string, discovers bool) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(wire{}))
	stream := func(answer func(about fields, files map[string]string) (fields, error)) grpc.StreamHandler {
		return func(_ any, in grpc.ServerStream) error {
			about, files, err := received(in)
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			out, err := answer(about, files)
			if err != nil {
				return err
			}
			return in.SendMsg(&out)
		}
	}
	yes := fields{}
	yes.setNumber(1, 1)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "plugin.ConfigManagementPluginService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "CheckPluginConfiguration",
			Handler: func(
				_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
			) (any, error) {
				if err := decode(&fields{}); err != nil || !discovers {
					return &fields{}, err
				}
				return &yes, nil
			},
		}},
		Streams: []grpc.StreamDesc{
			{StreamName: "MatchRepository", ClientStreams: true, Handler: stream(
				func(about fields, files map[string]string) (fields, error) {
					if _, ok := files[string(about[2][0])+"/plugin.txt"]; ok {
						return yes, nil
					}
					return fields{}, nil
				},
			)},
			{StreamName: "GenerateManifest", ClientStreams: true, Handler: stream(
				func(about fields, files map[string]string) (fields, error) {
					if text, ok := files["fail"]; ok {
						return nil, status.Error(codes.Unknown, text)
					}
					var env []string
					for _, e := range about[5] {
						f, err := decodeFields(e)
						if err != nil {
							return nil, err
						}
						env = append(env, fmt.Sprintf("  %s: %q\n", f[1][0], bytes.Join(f[2], nil)))
					}
					text := fmt.Sprintf(
						"%sdata:\n  files: %d\n%s",
						cm(name+"-"+string(about[1][0])),
						len(files),
						strings.Join(env, ""),
					)
					return fields{1: {[]byte(text), []byte(cm("second"))}}, nil
				},
			)},
		},
	}, nil)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
}

// received reads what a plugin is sent, and checks it.
func received(in grpc.ServerStream) (about fields, files map[string]string, err error) {
	var archive []byte
	for {
		var m fields
		if err := in.RecvMsg(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		switch {
		case m[1] != nil:
			about, err = decodeFields(m[1][0])
		case m[2] != nil:
			var f fields
			f, err = decodeFields(m[2][0])
			archive = append(archive, f[1][0]...)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if sum := sha256.Sum256(archive); string(about[3][0]) != hex.EncodeToString(sum[:]) {
		return nil, nil, errors.New("another checksum")
	}
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, nil, err
	}
	files = map[string]string{}
	for r := tar.NewReader(zipped); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return about, files, nil
		}
		if err != nil {
			return nil, nil, err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, nil, err
		}
		files[head.Name] = string(text)
	}
}

func TestPlugins(t *testing.T) {
	dir := t.TempDir()
	sidecar(t, dir, "quiet", false)
	sidecar(t, dir, "tanka-v1", true)
	r := newRig(t)
	r.Plugins = NewPlugins(dir)
	value := "s"
	files := map[string]string{
		"app/plugin.txt": "x", "app/a.yaml": cm("a"), "lib/x": strings.Repeat("x", 200_000), "plain/a.yaml": cm("a"),
	}
	named := func(name string) *v1alpha1.ApplicationSourcePlugin {
		return &v1alpha1.ApplicationSourcePlugin{
			Name: name, Env: []v1alpha1.EnvEntry{{Name: "X", Value: "$ARGOCD_APP_NAME"}},
			Parameters: []v1alpha1.ApplicationSourcePluginParameter{
				{
					Name: "image.tag", String: &value}, {Name: "list", Array: []string{"a", "b"}}, {Name: "m",
					Map: map[string]string{"k": "v"}},
			},
		}
	}
	for name, c := range map[string]struct {
		path   string
		plugin *v1alpha1.ApplicationSourcePlugin
		kind   string
		want   []string
	}{
		"named":      {"app", named("quiet"), "Plugin", []string{"ConfigMap/quiet-web", "ConfigMap/second"}},
		"discovered": {"app", nil, "Plugin", []string{"ConfigMap/tanka-v1-web", "ConfigMap/second"}},
		"unnamed":    {"app", named(""), "Plugin", []string{"ConfigMap/tanka-v1-web", "ConfigMap/second"}},
		"unknown":    {"plain", nil, "Directory", []string{"ConfigMap/a"}},
	} {
		got, err := r.Render(
			t.Context(),
			input(t, repository(files), v1alpha1.ApplicationSource{Path: c.path, Plugin: c.plugin}),
		)
		if diff := cmp.Diff(c.want, namesOf(got.Objects)); diff != "" || err != nil || got.Type != c.kind {
			t.Errorf("%s: %s, %v %s", name, got.Type, err, diff)
		}
		if name != "named" || err != nil {
			continue
		}
		data, _ := got.Objects[0].Object["data"].(map[string]any)
		for key, want := range map[string]any{
			"files": int64(4), "ARGOCD_APP_NAME": "web", "ARGOCD_ENV_X": "web", "PARAM_IMAGE_TAG": "s",
			"PARAM_LIST_1": "b", "PARAM_M_K": "v",
			"KUBE_VERSION": "1.36.0",
		} {
			if data[key] != want {
				t.Errorf("%s is %v, want %v", key, data[key], want)
			}
		}
	}
	for want, c := range map[string]struct {
		name  string
		files map[string]string
	}{
		`no plugin "none" among [quiet tanka-v1]`: {"none", files},
		"on purpose":             {"quiet", with(files, "fail", "on purpose")},
		"no plugin says that it": {"", map[string]string{"app/a": ""}},
	} {
		_, err := r.Render(
			t.Context(),
			input(t, repository(c.files), v1alpha1.ApplicationSource{Path: "app", Plugin: named(c.name)}),
		)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The bytes are those that the compiler of Protocol Buffers' own code writes.
func TestWire(t *testing.T) {
	about := fields{1: {[]byte("a")}}
	about.setNumber(4, 300)
	for want, f := range map[string]fields{
		"12030a0161": {2: {fields{1: {[]byte("a")}}.encode()}}, "0a016120ac02": about, "": {},
	} {
		if got := hex.EncodeToString(f.encode()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzDecodeFields(f *testing.F) {
	for _, seed := range []string{"\x12\x03\x0a\x01a", "\x0a", "\x08\x01", "\x0d\x00\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := decodeFields(data)
		if err != nil {
			return
		}
		again, err := decodeFields(found.encode())
		if diff := cmp.Diff(found, again); err != nil || diff != "" {
			t.Errorf("%x: %v %s", data, err, diff)
		}
	})
}
