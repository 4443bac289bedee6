package executor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// store is an artifact store that is away for the first requests.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	away    int // requests that still get a 503
	asked   int
}

func newStore(t *testing.T) (*store, string) {
	s := &store{objects: map[string][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	w.Header().Set(protocol.StoreHeader, "1")
	if s.away > 0 {
		s.away--
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodPut {
		s.objects[r.URL.Path] = body
		w.WriteHeader(http.StatusNoContent)
		return
	}
	object, there := s.objects[r.URL.Path]
	if !there {
		http.Error(w, "no such artifact", http.StatusNotFound)
		return
	}
	_, _ = w.Write(object)
}

// ended is what a run of the executor left behind.
type ended struct {
	code     int
	out, err string
	report   protocol.Termination
}

// execute runs the executor as a pod does.
func execute(t *testing.T, task protocol.Task, args ...string) ended {
	t.Helper()
	raw, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	at := Places{Termination: filepath.Join(t.TempDir(), "termination-log"), Staging: t.TempDir()}
	var out, errs bytes.Buffer
	e := ended{code: Main(t.Context(), args, func(string) string { return string(raw) }, Streams{Out: &out, Err: &errs},
		at)}
	e.out, e.err = out.String(), errs.String()
	if text, err := os.ReadFile(at.Termination); err == nil {
		if err := json.Unmarshal(text, &e.report); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return e
}

func shell(script string) []string { return []string{"run", "--", "sh", "-c", script} }

func TestExitCodes(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want int
	}{
		{"good", shell("true"), 0},
		{"the program's own", shell("exit 7"), 7},
		{"killed", shell("kill -9 $$"), 137},
		{"not there", []string{"run", "--", "/no/such/program"}, 127},
		{"not a program", []string{"run", "--", "/etc/hostname"}, 126},
		{"usage", []string{"dance"}, 2},
		{"nothing to run", []string{"run", "--"}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := execute(t, protocol.Task{}, c.args...); got.code != c.want {
				t.Errorf("exit code %d, want %d: %s", got.code, c.want, got.err)
			}
		})
	}
}

func TestTheResultIsStandardOutputWithoutItsLastNewline(t *testing.T) {
	got := execute(t, protocol.Task{Result: true}, shell(`printf 'a\nb\n'; echo chatter >&2`)...)
	if got.code != 0 || got.report.Result == nil || *got.report.Result != "a\nb" {
		t.Errorf("%+v", got)
	}
	if got.out != "a\nb\n" || got.err != "chatter\n" {
		t.Errorf("streams: %q, %q", got.out, got.err)
	}
}

func TestAFailedProgramStillHasAResult(t *testing.T) {
	got := execute(t, protocol.Task{Result: true}, shell("echo why; exit 3")...)
	if got.code != 3 || got.report.Result == nil || *got.report.Result != "why" {
		t.Errorf("%+v", got)
	}
}

func TestALongOutputKeepsItsEnd(t *testing.T) {
	kept := &tail{limit: 10}
	for i := range 100 {
		fmt.Fprintf(kept, "%02d ", i)
	}
	if got := kept.text(); got != " 97 98 99 " {
		t.Errorf("%q", got)
	}
}

func TestTheTaskIsHiddenFromTheProgram(t *testing.T) {
	t.Setenv(protocol.TaskVariable, "secret")
	got := execute(t, protocol.Task{Result: true}, shell("echo [$"+protocol.TaskVariable+"]")...)
	if *got.report.Result != "[]" {
		t.Errorf("the program saw %s", *got.report.Result)
	}
}

func TestParameters(t *testing.T) {
	dir := t.TempDir()
	task := protocol.Task{Parameters: []protocol.Parameter{
		{Name: "tag", Path: dir + "/tag"},
		{Name: "gone", Path: dir + "/gone", Optional: true},
	}}
	got := execute(t, task, shell("echo v1 > "+dir+"/tag")...)
	if got.code != 0 || got.report.Error != "" || len(got.report.Parameters) != 1 ||
		got.report.Parameters["tag"] != "v1" {
		t.Errorf("%+v", got)
	}
	task.Parameters[1].Optional = false
	got = execute(t, task, shell("true")...)
	if !strings.Contains(got.report.Error, `"gone"`) || got.report.Parameters["tag"] != "v1" {
		t.Errorf("one that is missing must be named and keep no other back: %+v", got.report)
	}
	if err := os.WriteFile(dir+"/gone", make([]byte, parameterLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got = execute(t, task, shell("true")...); !strings.Contains(got.report.Error, "use an artifact") {
		t.Errorf("%+v", got.report)
	}
}

func TestAFolderGoesOutAndComesBack(t *testing.T) {
	objects, url := newStore(t)
	dir := t.TempDir()
	script := fmt.Sprintf("mkdir -p %[1]s/out/sub && echo one > %[1]s/out/a && echo two > %[1]s/out/sub/b && chmod 755 %[1]s/out/a && ln -s sub/b %[1]s/out/link", dir)
	got := execute(t, protocol.Task{Artifacts: []protocol.Transfer{{Name: "out", Path: dir + "/out", URL: url + "/o"}}},
		shell(script)...)
	if got.code != 0 || got.report.Error != "" || len(got.report.Artifacts) != 1 || len(objects.objects["/o"]) == 0 {
		t.Fatalf("%+v", got)
	}
	staging := t.TempDir()
	if err := load(t.Context(), protocol.Task{Inputs: []protocol.Transfer{{Name: "in", Path: "in", URL: url + "/o"}}},
		staging); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(staging, "inputs/in/link"))
	if err != nil || string(text) != "two\n" {
		t.Errorf("%q, %v", text, err)
	}
	info, err := os.Stat(filepath.Join(staging, "inputs/in/a"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(staging, "executor")); err != nil {
		t.Errorf("the executor did not install itself: %v", err)
	}
}

func TestPlainRawAndMissingArtifacts(t *testing.T) {
	objects, url := newStore(t)
	objects.objects["/plain"] = []byte("as it is")
	mode := int32(0o700)
	staging := t.TempDir()
	task := protocol.Task{Inputs: []protocol.Transfer{
		{Name: "plain", Path: "plain", URL: url + "/plain", Plain: true},
		{Name: "raw", Path: "raw", Raw: "#!/bin/sh\n", Mode: &mode},
	}}
	if err := load(t.Context(), task, staging); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(staging + "/inputs/plain"); string(text) != "as it is" {
		t.Errorf("plain: %q", text)
	}
	if info, err := os.Stat(staging + "/inputs/raw"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("raw: %v, %v", info, err)
	}
	gone := protocol.Transfer{Name: "gone", Path: "gone", URL: url + "/gone"}
	err := load(t.Context(), protocol.Task{Inputs: []protocol.Transfer{gone}}, staging)
	if err == nil || !strings.Contains(err.Error(), "no such artifact") {
		t.Errorf("a missing artifact: %v", err)
	}
	gone.Optional = true
	if err := load(t.Context(), protocol.Task{Inputs: []protocol.Transfer{gone}}, staging); err != nil {
		t.Errorf("a missing optional artifact: %v", err)
	}
	got := execute(t, protocol.Task{Artifacts: []protocol.Transfer{{Name: "o", Path: "/no/such", URL: url + "/o",
		Optional: true}}}, shell("true")...)
	if got.code != 0 || got.report.Error != "" || len(got.report.Artifacts) != 0 {
		t.Errorf("a missing optional output: %+v", got)
	}
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	objects, url := newStore(t)
	objects.away = 2
	file := filepath.Join(t.TempDir(), "f")
	got := execute(t, protocol.Task{Artifacts: []protocol.Transfer{{Name: "f", Path: file, URL: url + "/f",
		Plain: true}}}, shell("echo x > "+file)...)
	if got.code != 0 || got.report.Error != "" || string(objects.objects["/f"]) != "x\n" || objects.asked != 3 {
		t.Errorf("%+v after %d requests", got, objects.asked)
	}
}

func TestPatienceEnds(t *testing.T) {
	var pauses []time.Duration
	err := patiently(t.Context(), func() error { return io.ErrUnexpectedEOF },
		func(_ context.Context, d time.Duration) error {
			if pauses = append(pauses, d); len(pauses) == 9 {
				return context.DeadlineExceeded
			}
			return nil
		})
	if !errors.Is(err, io.ErrUnexpectedEOF) || pauses[1] != 2*pauses[0] || pauses[8] != 5*time.Second {
		t.Errorf("%v after %v", err, pauses)
	}
}

func TestALargeReportIsStored(t *testing.T) {
	objects, url := newStore(t)
	got := execute(t, protocol.Task{Result: true, ReportURL: url + "/report"},
		shell("head -c 5000 /dev/zero | tr '\\0' x")...)
	if got.code != 0 || !got.report.Stored || got.report.Result != nil {
		t.Fatalf("%+v", got)
	}
	var stored protocol.Termination
	if err := json.Unmarshal(objects.objects["/report"], &stored); err != nil || len(*stored.Result) != 5000 {
		t.Errorf("%v", err)
	}
	got = execute(t, protocol.Task{Result: true, ReportURL: "http://%"},
		shell("head -c 5000 /dev/zero | tr '\\0' x")...)
	if got.report.Stored || !strings.Contains(got.report.Error, "store a report") {
		t.Errorf("one that cannot be stored: %+v", got.report)
	}
}

// TestSignalsReachTheProgram needs a process of its own, since a signal is for a
// whole process.
func TestSignalsReachTheProgram(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "executor")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary,
		"../../cmd/executor").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), binary,
		shell("trap 'echo stopped; exit 9' TERM; echo ready; while :; do sleep 0.05; done")...)
	cmd.Env = append(os.Environ(), protocol.TaskVariable+"={}")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	_ = cmd.Wait()
	// Outside of a pod the last word may find no place, which is told by code 1 of a good program only.
	if code := cmd.ProcessState.ExitCode(); string(rest) != "stopped\n" || code != 9 {
		t.Errorf("%q, exit code %d", rest, code)
	}
}

// entry is one member of an archive.
type entry struct {
	name, link, text string
	kind             byte
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: 0o644, Size: int64(len(e.text))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func TestWhatLeadsOutOfAnArchiveIsRefused(t *testing.T) {
	cases := map[string][]entry{
		"parent":            {{name: "../out", kind: tar.TypeReg, text: "x"}},
		"parent in between": {{name: "a/../../out", kind: tar.TypeReg, text: "x"}},
		"absolute":          {{name: "/tmp/out", kind: tar.TypeReg, text: "x"}},
		"link out":          {{name: "l", kind: tar.TypeSymlink, link: "../out"}},
		"absolute link":     {{name: "l", kind: tar.TypeSymlink, link: "/etc/passwd"}},
		"chain of links": {{name: "a", kind: tar.TypeDir}, {name: "a/up", kind: tar.TypeSymlink, link: ".."},
			{name: "b", kind: tar.TypeSymlink, link: "a/up/.."},
			{name: "b/out", kind: tar.TypeReg, text: "x"}},
	}
	for name, entries := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unpack(bytes.NewReader(archive(t, entries...)),
				filepath.Join(dir, "deep", "target")); err == nil {
				t.Error("it was unpacked")
			}
			for _, p := range []string{"out", "deep/out"} {
				if _, err := os.Lstat(filepath.Join(dir, p)); err == nil {
					t.Errorf("%s was written", p)
				}
			}
		})
	}
}

func TestABrokenArchiveIsTriedAgainAndLeavesNothing(t *testing.T) {
	var whole bytes.Buffer
	z := gzip.NewWriter(&whole)
	if _, err := z.Write(archive(t, entry{name: "d", kind: tar.TypeDir},
		entry{name: "d/f", kind: tar.TypeReg, text: strings.Repeat("x", 9999)})); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "t")
	if err := place(bytes.NewReader(whole.Bytes()[:whole.Len()/2]), protocol.Transfer{}, target); err == nil {
		t.Fatal("half an archive was good")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("half an archive is there")
	}
	if err := place(&whole, protocol.Transfer{}, target); err != nil {
		t.Fatal(err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, entry{name: "d", kind: tar.TypeDir}, entry{name: "d/f", kind: tar.TypeReg, text: "x"}))
	f.Add(archive(f, entry{name: "../x", kind: tar.TypeReg, text: "x"},
		entry{name: "l", kind: tar.TypeSymlink, link: "/"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		_ = unpack(bytes.NewReader(raw), filepath.Join(dir, "in", "target"))
		outside, err := os.ReadDir(dir)
		if err != nil || len(outside) > 1 {
			t.Errorf("%v, %v", outside, err)
		}
	})
}
