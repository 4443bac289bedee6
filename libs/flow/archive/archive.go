// Package archive says what stays of a run when its object is gone: a record that lists show, and the whole workflow as
// it ended. It knows neither where they are kept nor the time.
package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// Record is one run in a list.
type Record struct {
	Namespace  string                 `json:"namespace"`
	Name       string                 `json:"name"`
	UID        string                 `json:"uid"`
	Phase      v1alpha1.WorkflowPhase `json:"phase"`
	Message    string                 `json:"message,omitempty"` // its beginning
	Progress   string                 `json:"progress,omitempty"`
	StartedAt  time.Time              `json:"startedAt"`
	FinishedAt time.Time              `json:"finishedAt"`
	Labels     map[string]string      `json:"labels,omitempty"`
	Large      bool                   `json:"large,omitempty"` // the workflow is an object, no value beside this
}

// messageLimit bounds the message in a record; the workflow has it whole.
const messageLimit = 500

// RecordOf is the record of a workflow that has ended.
func RecordOf(wf *v1alpha1.Workflow) Record {
	r := Record{Namespace: wf.Namespace, Name: wf.Name, UID: string(wf.UID), Phase: wf.Status.Phase,
		Message: wf.Status.Message, Progress: wf.Status.Progress, Labels: wf.Labels}
	if len(r.Message) > messageLimit {
		r.Message = strings.ToValidUTF8(r.Message[:messageLimit], "") + "..."
	}
	if at := wf.Status.StartedAt; at != nil {
		r.StartedAt = at.UTC()
	}
	if at := wf.Status.FinishedAt; at != nil {
		r.FinishedAt = at.UTC()
	}
	return r
}

// Key is where the record of a run is kept: those of a namespace begin with its [Prefix].
func Key(namespace, uid string) string { return Prefix(namespace) + uid }

// Prefix begins the keys of the records of a namespace; "" is all namespaces.
func Prefix(namespace string) string {
	if namespace == "" {
		return "run."
	}
	return "run." + namespace + "."
}

// Body is where the workflow of a run is kept that is not large.
func Body(namespace, uid string) string { return "workflow." + namespace + "." + uid }

// Object is the name of the object that holds the workflow of a run.
func Object(namespace, uid string) string { return namespace + "/" + uid }

// Read takes the records out of what a store holds, the latest end first. What cannot be read is left out, and is an
// error beside the others.
func Read(stored map[string][]byte) ([]Record, error) {
	var errs []error
	all := make([]Record, 0, len(stored))
	for key, text := range stored {
		var r Record
		err := json.Unmarshal(text, &r)
		if err == nil && Key(r.Namespace, r.UID) != key {
			err = errors.New("it is of another run")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("archived run %s: %w", key, err))
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Record) int {
		return cmp.Or(b.FinishedAt.Compare(a.FinishedAt), cmp.Compare(a.UID, b.UID))
	})
	return all, errors.Join(errs...)
}

// Named are the records of one name, in their order.
func Named(all []Record, name string) []Record {
	return slices.DeleteFunc(slices.Clone(all), func(r Record) bool { return r.Name != name && r.UID != name })
}

// Limits bound an archive. Zero of either is no bound.
type Limits struct {
	Count int           // runs, of all namespaces
	Age   time.Duration // since their end
}

// Surplus are the records that are to go: those over the age, and of the others the oldest over the count. The latest
// end comes first in all.
func Surplus(all []Record, l Limits, now time.Time) []Record {
	keep := len(all)
	if l.Age > 0 {
		if i := slices.IndexFunc(all, func(r Record) bool { return now.Sub(r.FinishedAt) > l.Age }); i >= 0 {
			keep = i
		}
	}
	if l.Count > 0 {
		keep = min(keep, l.Count)
	}
	return all[keep:]
}

// unpackLimit bounds a workflow that is read: 100,000 nodes have some 100 MB.
const unpackLimit = 1 << 30

const (
	// packedFrom is the size from which a workflow is gzipped: below, that costs more than it saves.
	packedFrom = 16 << 10
	// LargeFrom is the size from which a packed workflow is an object.
	LargeFrom = 128 << 10
)

// Pack is a workflow as it is kept: its JSON, gzipped when it is long.
func Pack(wf *v1alpha1.Workflow) ([]byte, error) {
	plain, err := json.Marshal(wf)
	if err != nil {
		return nil, fmt.Errorf("pack workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	if len(plain) < packedFrom {
		return plain, nil
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	_, err = zipped.Write(plain)
	if err := errors.Join(err, zipped.Close()); err != nil {
		return nil, fmt.Errorf("pack workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return out.Bytes(), nil
}

// Unpack reads what Pack wrote.
func Unpack(r io.Reader) (*v1alpha1.Workflow, error) {
	head := bufio.NewReader(r)
	var body io.Reader = head
	if first, err := head.Peek(1); err == nil && first[0] == gzipMagic {
		if body, err = gzip.NewReader(head); err != nil {
			return nil, fmt.Errorf("unpack a workflow: %w", err)
		}
	}
	bounded := &io.LimitedReader{R: body, N: unpackLimit}
	var wf v1alpha1.Workflow
	err := json.NewDecoder(bounded).Decode(&wf)
	if bounded.N <= 0 {
		err = fmt.Errorf("it has more than %d bytes", unpackLimit)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack a workflow: %w", err)
	}
	return &wf, nil
}

// Open reads the workflow of a record: a value of the bucket, or an object when it is large.
func Open(r Record, value func(key string) ([]byte, uint64, error),
	object func(name string) (io.ReadCloser, error)) (*v1alpha1.Workflow, error) {
	if !r.Large {
		text, _, err := value(Body(r.Namespace, r.UID))
		if err != nil {
			return nil, err
		}
		return Unpack(bytes.NewReader(text))
	}
	body, err := object(Object(r.Namespace, r.UID))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return Unpack(body)
}

// gzipMagic is the first byte of what is gzipped, and of no JSON. Source: RFC 1952, 2.3.1.
const gzipMagic = 0x1f
