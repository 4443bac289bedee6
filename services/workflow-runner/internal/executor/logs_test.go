package executor

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

func TestLogsHoldBothStreams(t *testing.T) {
	objects, url := newStore(t)
	file := filepath.Join(t.TempDir(), "main.log")
	task := protocol.Task{Result: true, Logs: &protocol.Transfer{Name: "main-logs", Path: file, Plain: true,
		URL: url + "/log"}}
	got := execute(t, task, shell("echo one; echo two >&2; exit 3")...)
	if got.code != 3 || got.out != "one\n" || !strings.Contains(got.err, "two") {
		t.Errorf("%+v", got)
	}
	if log := string(objects.objects["/log"]); !strings.Contains(log, "one\n") || !strings.Contains(log, "two\n") {
		t.Errorf("kept %q", log)
	}
	if r := got.report; r.Error != "" || len(r.Artifacts) != 1 || r.Artifacts[0] != "main-logs" || *r.Result != "one" {
		t.Errorf("%+v", r)
	}
}

func TestLogsThatCannotBeKept(t *testing.T) {
	task := protocol.Task{Logs: &protocol.Transfer{Path: filepath.Join(t.TempDir(), "none", "main.log")}}
	if got := execute(t, task, shell("true")...); got.code == 0 || !strings.Contains(got.err, "keep the logs") {
		t.Errorf("%+v", got)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAProgramOutlivesTheRoomForItsLogs(t *testing.T) {
	var file bytes.Buffer
	k := &boundedLog{file: &file, left: 4}
	for _, text := range []string{"abc", "def", "ghi"} {
		if n, err := k.Write([]byte(text)); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if file.String() != "abcd" {
		t.Errorf("kept %q", file.String())
	}
	k = &boundedLog{file: full{}, left: 100}
	if n, err := k.Write([]byte("abc")); n != 3 || err != nil || k.left != 0 {
		t.Errorf("%d, %v, %d left", n, err, k.left)
	}
}

func TestTheOutputOfWhatIsLeftRunningIsNotWaitedFor(t *testing.T) {
	got := execute(t, protocol.Task{Result: true}, shell("echo done; sleep 60 &")...)
	if got.code != 0 || got.report.Result == nil || *got.report.Result != "done" {
		t.Errorf("%+v", got)
	}
}

// zipped is a zip of files by name.
func zipped(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("text")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAZipStaysWithinItsTarget(t *testing.T) {
	for name, raw := range map[string][]byte{
		"a name that leads out": zipped(t, "../evil"),
		"an absolute name":      zipped(t, "/evil"),
		"a hidden way out":      zipped(t, "a/../../evil"),
		"no zip":                []byte("text"),
		"a file under a file":   zipped(t, "a", "a/b"),
	} {
		dir := t.TempDir()
		if err := unzip(bytes.NewReader(raw), filepath.Join(dir, "target")); err == nil {
			t.Errorf("%s was unpacked", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
			t.Errorf("%s got out", name)
		}
	}
	dir := t.TempDir()
	if err := unzip(bytes.NewReader(zipped(t, "a/b", "c")), filepath.Join(dir, "target")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "target", "a", "b")); string(text) != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestTheSizeOfAZipIsBounded(t *testing.T) {
	raw := zipped(t, "a")
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if n, err := extractFile(archive.File[0], root, 4); n != 4 || err != nil {
		t.Errorf("what fits: %d, %v", n, err)
	}
	if _, err := extractFile(archive.File[0], root, 3); err == nil {
		t.Error("what does not fit was unpacked")
	}
}

func FuzzUnzip(f *testing.F) {
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		_ = unzip(bytes.NewReader(raw), filepath.Join(dir, "in"))
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "in" {
				t.Errorf("%s is left beside the target", e.Name())
			}
		}
	})
}

func TestReasonsOfAStoreTellNoKeys(t *testing.T) {
	for answer, want := range map[string]string{
		"<Error><Code>AccessDenied</Code><Message>no</Message><AWSAccessKeyId>AK</AWSAccessKeyId><StringToSign>S</StringToSign></Error>": ": AccessDenied: no",
		"<Code>A":  "",
		"anything": "",
		"":         "",
	} {
		if got := reason(answer); got != want {
			t.Errorf("%q: %q", answer, got)
		}
	}
}

func TestPartsOfAFolder(t *testing.T) {
	for _, c := range []struct {
		name, part, want string
		in               bool
	}{
		{"a/b", "", "a/b", true}, {"a/b", "a", "b", true}, {"a/b", "a/", "b", true}, {"a", "a", "", true},
		{"ab", "a", "ab", false}, {"b", "a", "b", false},
	} {
		if got, in := within(c.name, c.part); got != c.want || in != c.in {
			t.Errorf("%s of %q: %q %v", c.name, c.part, got, in)
		}
	}
}
