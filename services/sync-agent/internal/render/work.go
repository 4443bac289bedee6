package render

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// workerArgument makes the program a worker.
const workerArgument = "render-worker"

// maxStackBytes bounds the stack of a worker: templates that include themselves without end are found out by it.
const maxStackBytes = 256 << 20

// toWorker is what a worker is told. One of the fields is set.
type toWorker struct {
	Job     []byte // as JSON
	Index   *indexJob
	Looked  *Looked
	Fetched *Fetched
	Problem string // instead of an answer
	Source  bool   // the problem is one of the source
}

// refuse makes an answer one of an error. The first that is not about the source is kept.
func (t *toWorker) refuse(err error, first *error) {
	if err == nil {
		return
	}
	t.Problem, t.Source = err.Error(), errors.Is(err, ErrSource)
	if !t.Source && *first == nil {
		*first = err
	}
}

// fromWorker is what a worker says. One of the fields is set.
type fromWorker struct {
	Look   *Look
	Fetch  *Fetch
	Result *toldResult
}

// toldResult is what comes out in the end.
type toldResult struct {
	Objects   [][]byte // as JSON
	Versions  []ChartVersion
	Reads     []Read
	Problem   string
	Transient bool
	Memory    uint64 // that the worker has from the system, in bytes

	err error // what a transient problem was here
}

// told is an error about the source that somebody else put into words.
type told string

// Error is the text.
func (t told) Error() string { return string(t) }

// Is reports that only another commit or spec can heal it.
func (told) Is(target error) bool { return target == ErrSource }

func (t *toldResult) read() ([]*unstructured.Unstructured, []Read, error) {
	switch {
	case t.err != nil:
		return nil, t.Reads, t.err
	case t.Problem != "" && t.Transient:
		return nil, t.Reads, errors.New(t.Problem)
	case t.Problem != "":
		return nil, t.Reads, told(t.Problem)
	}
	out := make([]*unstructured.Unstructured, 0, len(t.Objects))
	for _, text := range t.Objects {
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(text); err != nil {
			return nil, t.Reads, fmt.Errorf("%w: %w", ErrSource, err)
		}
		out = append(out, o)
	}
	return out, t.Reads, nil
}

// IsWorker reports whether the arguments of the program, its name first, are those of a worker.
func IsWorker(args []string) bool { return len(args) == 3 && args[1] == workerArgument }

// Work renders what it is told to until nobody can tell it any more, and returns the exit code of the program.
func Work(args []string, in io.Reader, out io.Writer) int {
	if err := confine(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := &peer{out: gob.NewEncoder(out), in: gob.NewDecoder(in)}
	for {
		var said toWorker
		if err := p.in.Decode(&said); err != nil {
			return 0
		}
		if err := p.out.Encode(fromWorker{Result: said.do(p)}); err != nil {
			return 1
		}
	}
}

// confine takes from the process what no render needs: memory without end, files, the network by the usual ways.
func confine(args []string) error {
	memory, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("memory %q: %w", args[2], err)
	}
	debug.SetMemoryLimit(memory * 3 / 4)
	go watch(uint64(memory))
	debug.SetMaxStack(min(maxStackBytes, int(memory/4)))
	// When the memory of the container runs out, the worker goes and not the service. Not every system has this.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600)
	rlimits := map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: 64}
	if uint64(memory) > 2*reserved() {
		rlimits[unix.RLIMIT_DATA] = uint64(memory)
	}
	for which, value := range rlimits {
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limit the process: %w", err)
		}
	}
	http.DefaultTransport = noNetwork{}
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	return nil
}

// reserved are the bytes of data that the process has before it does anything: next to none, but terabytes with the
// race detector, which no limit may cut.
func reserved() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return math.MaxUint64 / 2
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmData:" {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				break
			}
			return kilobytes << 10
		}
	}
	return math.MaxUint64 / 2
}

// watch ends the process when it has more memory than it may, where the system does not see to that, and when whoever
// started it is gone, whatever it computes.
func watch(memory uint64) {
	parent := os.Getppid()
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for range time.Tick(100 * time.Millisecond) {
		metrics.Read(sample)
		if sample[0].Value.Uint64()-sample[1].Value.Uint64() > memory {
			fmt.Fprintln(os.Stderr, "out of memory")
			os.Exit(2)
		}
		if os.Getppid() != parent {
			os.Exit(1)
		}
	}
}

// noNetwork refuses requests.
type noNetwork struct{}

var errNoNetwork = errors.New("nothing is fetched from here; copy it into the repository")

// RoundTrip refuses.
func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoNetwork }

// peer asks whoever started the worker.
type peer struct {
	out *gob.Encoder
	in  *gob.Decoder
}

func (p *peer) ask(question fromWorker) (toWorker, error) {
	var said toWorker
	if err := p.out.Encode(question); err != nil {
		return said, err
	}
	if err := p.in.Decode(&said); err != nil {
		return said, err
	}
	switch {
	case said.Problem != "" && said.Source:
		return said, told(said.Problem)
	case said.Problem != "":
		return said, errors.New(said.Problem)
	}
	return said, nil
}

// Look asks what is at a path.
func (p *peer) Look(_ context.Context, l Look) (Looked, error) {
	said, err := p.ask(fromWorker{Look: &l})
	if err != nil || said.Looked == nil {
		return Looked{}, err
	}
	return *said.Looked, nil
}

// Fetch asks for what is outside.
func (p *peer) Fetch(_ context.Context, f Fetch) (Fetched, error) {
	said, err := p.ask(fromWorker{Fetch: &f})
	if err != nil || said.Fetched == nil {
		return Fetched{}, err
	}
	return *said.Fetched, nil
}

// do is what a worker was told to.
func (t toWorker) do(asker Asker) *toldResult {
	out := &toldResult{}
	if t.Index != nil {
		var err error
		if out.Versions, err = VersionsOf(t.Index.Text, t.Index.Name); err != nil {
			out.Problem = err.Error()
		}
	} else {
		out = result(t.Job, asker)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out.Memory = m.Sys - m.HeapReleased
	return out
}

// result does a job.
func result(text []byte, asker Asker) *toldResult {
	var job Job
	if err := json.Unmarshal(text, &job); err != nil {
		return &toldResult{Problem: err.Error(), Transient: true}
	}
	objects, reads, err := run(context.Background(), &job, asker)
	out := &toldResult{Reads: reads}
	total := 0
	for _, o := range objects {
		text, jerr := o.MarshalJSON()
		if jerr != nil {
			err = fmt.Errorf("%w: %s %s: %w", ErrSource, o.GetKind(), o.GetName(), jerr)
			break
		}
		if total += len(text); total > maxBytes {
			err = fmt.Errorf("%w: %w: the manifests are over %d bytes", ErrSource, ErrLimit, maxBytes)
			break
		}
		out.Objects = append(out.Objects, text)
	}
	if err != nil {
		out.Objects, out.Problem, out.Transient = nil, err.Error(), !errors.Is(err, ErrSource)
	}
	return out
}
