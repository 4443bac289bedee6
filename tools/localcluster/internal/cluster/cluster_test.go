package cluster

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/process"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
	"github.com/argosy-mesh/argosy/tools/localcluster/internal/toolchain"
)

// options of a bare control plane; the kube binary is that of ARGOSY_KUBE, or
// of the repository's bin, built when missing.
func options(t *testing.T) Options {
	t.Helper()
	bin, err := filepath.Abs("../../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	return Options{
		Dir: t.TempDir(), Name: "test", Mode: state.ControlPlane, Progress: io.Discard,
		Kube: os.Getenv("ARGOSY_KUBE"), Find: toolchain.Finder{Dirs: []string{bin}, Progress: os.Stderr},
	}
}

func TestControlPlaneLifecycle(t *testing.T) {
	if testing.Short() {
		t.Skip("starts etcd and an API server")
	}
	o := options(t)
	t.Cleanup(func() { _ = Down(t.Context(), o.Dir, io.Discard) })
	programs := process.Set{Run: filepath.Join(o.Dir, "run"), Logs: filepath.Join(o.Dir, "logs")}
	up := func() (etcd, apiserver int) {
		t.Helper()
		if err := Up(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return programs.Pid("etcd"), programs.Pid("kube-apiserver")
	}

	etcd, apiserver := up()
	status, err := Inspect(t.Context(), o.Dir)
	if err != nil || !status.Up {
		t.Fatalf("status after up: %+v, %v", status, err)
	}
	if again, alsoAgain := up(); again != etcd || alsoAgain != apiserver {
		t.Error("a second up has restarted something")
	}

	if err := syscall.Kill(apiserver, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := process.Poll(t.Context(), time.Millisecond, func() error {
		if programs.Pid("kube-apiserver") != 0 {
			return errors.New("runs")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if status, err := Inspect(t.Context(), o.Dir); err != nil || status.Up {
		t.Errorf("status without API server: %+v, %v", status, err)
	}
	kept, fresh := up()
	if kept != etcd || fresh == apiserver || fresh == 0 {
		t.Errorf("after the kill: etcd %d -> %d, apiserver %d -> %d", etcd, kept, apiserver, fresh)
	}

	if err := Down(t.Context(), o.Dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{kept, fresh} {
		if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "state.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("state is left: %v", err)
	}
	if err := Down(t.Context(), o.Dir, io.Discard); err != nil {
		t.Errorf("second down: %v", err)
	}
}

func zombie(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", itoa(pid)).Output()
	return err != nil || strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

func itoa(n int) string { raw, _ := json.Marshal(n); return string(raw) }

func TestUpRefusesOtherFlags(t *testing.T) {
	o := options(t)
	c, err := plan(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	o.Mode = state.Full
	if _, err := plan(o); err == nil || !strings.Contains(err.Error(), "localcluster down --dir "+o.Dir) {
		t.Errorf("error %v does not say what to do", err)
	}
}

func TestUpTellsWhyAProgramDies(t *testing.T) {
	o := options(t)
	o.Kube = "/bin/false"
	err := Up(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "etcd does not work: it has ended") {
		t.Errorf("error %v", err)
	}
	if err := Down(t.Context(), o.Dir, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestPortsAreDistinct(t *testing.T) {
	c := &state.Cluster{Mode: state.Full, Controllers: true}
	if err := planPorts(c); err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(c.Ports)
	var ports map[string]int
	if err := json.Unmarshal(raw, &ports); err != nil {
		t.Fatal(err)
	}
	seen := map[int]string{}
	for name, port := range ports {
		if other, taken := seen[port]; taken || port == 0 {
			t.Errorf("port %d for %s and %s", port, name, other)
		}
		seen[port] = name
	}
}

func TestPauseImage(t *testing.T) {
	var archive bytes.Buffer
	if err := writePauseImage(&archive, []byte("binary")); err != nil {
		t.Fatal(err)
	}
	var names []string
	reader := tar.NewReader(&archive)
	for {
		header, err := reader.Next()
		if err != nil {
			break
		}
		names = append(names, header.Name)
	}
	if got := strings.Join(names, " "); got != "layer.tar config.json manifest.json" {
		t.Errorf("archive holds %s", got)
	}
}
