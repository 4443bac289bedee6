package cluster

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/node"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/render"
)

// Load imports image archives into the node.
func Load(ctx context.Context, dir string, archives []string, progress io.Writer) error {
	c, err := open(dir)
	if err != nil {
		return err
	}
	s := newSession(c, progress)
	if !c.Full() || s.programs.Pid("containerd") == 0 {
		return fmt.Errorf("no node runs here; start it with: localcluster up --dir %s", dir)
	}
	for _, archive := range archives {
		path, err := filepath.Abs(archive)
		if err != nil {
			return fmt.Errorf("resolve %s: %w", archive, err)
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("image archive: %w; build it with: images build", err)
		}
		if err := s.importImage(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) importImage(ctx context.Context, path string) error {
	out, err := s.ctr(ctx, "images", "import", path)
	if err != nil {
		return fmt.Errorf("import %s: %w", path, err)
	}
	s.sayf("%s", strings.TrimSpace(out))
	return nil
}

// ctr runs containerd's client inside the node's mount namespace, as the
// unpacking of layers needs.
func (s *session) ctr(ctx context.Context, args ...string) (string, error) {
	argv := append([]string{"ctr", "--address", render.Socket(s.Cluster), "--namespace", "k8s.io"}, args...)
	argv = node.Enter(s.programs.Pid(holder), argv)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// loadPause imports the sandbox image unless the node has it.
func (s *session) loadPause(ctx context.Context) error {
	if out, err := s.ctr(ctx, "images", "list", "--quiet", "name=="+render.PauseImage); err == nil &&
		strings.TrimSpace(out) != "" {
		return nil
	}
	binary, err := os.ReadFile(s.pause)
	if err != nil {
		return fmt.Errorf("read pause: %w", err)
	}
	path := s.Path("run", "pause.tar")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write pause image: %w", err)
	}
	defer func() { _ = os.Remove(path) }()
	if err := writePauseImage(file, binary); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write pause image: %w", err)
	}
	if _, err := s.ctr(ctx, "images", "import", path); err != nil {
		return err
	}
	// The kubelet collects no image with this label, should collection be on.
	_, err = s.ctr(ctx, "images", "label", render.PauseImage, "io.cri-containerd.pinned=pinned")
	return err
}

// writePauseImage writes a docker archive of one layer with one file.
func writePauseImage(w io.Writer, binary []byte) error {
	var layer strings.Builder
	if err := writeTar(&layer, map[string][]byte{"pause": binary}, "pause"); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(layer.String()))
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/pause"}, "User": "65535:65535"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return fmt.Errorf("encode image config: %w", err)
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{render.PauseImage}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return fmt.Errorf("encode image manifest: %w", err)
	}
	files := map[string][]byte{"layer.tar": []byte(layer.String()), "config.json": config, "manifest.json": manifest}
	return writeTar(w, files, "layer.tar", "config.json", "manifest.json")
}

func writeTar(w io.Writer, files map[string][]byte, order ...string) error {
	archive := tar.NewWriter(w)
	for _, name := range order {
		header := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
	}
	return archive.Close()
}
