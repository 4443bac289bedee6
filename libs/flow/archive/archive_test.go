package archive

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func workflow(name, uid string, finished time.Time) *v1alpha1.Workflow {
	at := metav1.NewTime(finished)
	return &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: name, UID: types.UID(uid),
		Labels: map[string]string{"team": "x"}},
		Status: v1alpha1.WorkflowStatus{Phase: v1alpha1.WorkflowSucceeded, Message: strings.Repeat("ü", messageLimit),
			StartedAt: &at, FinishedAt: &at,
			Nodes: map[string]v1alpha1.NodeStatus{"n": {ID: "n", Phase: v1alpha1.NodeSucceeded}}}}
}

func stored(t *testing.T, all ...*v1alpha1.Workflow) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, wf := range all {
		text, err := json.Marshal(RecordOf(wf))
		if err != nil {
			t.Fatal(err)
		}
		out[Key(wf.Namespace, string(wf.UID))] = text
	}
	return out
}

func uids(all []Record) string {
	var out []string
	for _, r := range all {
		out = append(out, r.UID)
	}
	return strings.Join(out, " ")
}

func TestRecordsAreReadLatestFirst(t *testing.T) {
	in := stored(t, workflow("a", "1", noon), workflow("b", "2", noon.Add(time.Hour)),
		workflow("a", "3", noon.Add(time.Minute)))
	in[Key("ci", "4")], in[Key("ci", "5")] = []byte("{"), in[Key("ci", "1")]
	all, err := Read(in)
	if uids(all) != "2 3 1" || err == nil || !strings.Contains(err.Error(), "ci.4") ||
		!strings.Contains(err.Error(), "ci.5") {
		t.Errorf("%s, %v", uids(all), err)
	}
	if got := uids(Named(all, "a")); got != "3 1" {
		t.Errorf("of one name: %s", got)
	}
	if got := uids(Named(all, "2")); got != "2" {
		t.Errorf("by its uid: %s", got)
	}
	if m := all[0].Message; len(m) > messageLimit+10 {
		t.Errorf("the message has %d bytes", len(m))
	}
	if !strings.HasPrefix(Key("ci", "1"), Prefix("")) || !strings.HasPrefix(Key("ci", "1"), Prefix("ci")) ||
		strings.HasPrefix(Body("ci", "1"), Prefix("")) || strings.HasPrefix(Key("ci2", "1"), Prefix("ci")) {
		t.Error("namespaces are not kept apart")
	}
}

func TestWhatIsOverTheLimitsGoes(t *testing.T) {
	all, err := Read(stored(t, workflow("a", "old", noon.Add(-time.Hour)), workflow("a", "mid", noon.Add(-time.Minute)),
		workflow("a", "new", noon)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		limits Limits
		want   string
	}{
		"no limits":          {Limits{}, ""},
		"by count":           {Limits{Count: 2}, "old"},
		"by age":             {Limits{Age: 30 * time.Second}, "mid old"},
		"by both":            {Limits{Count: 1, Age: 2 * time.Minute}, "mid old"},
		"nothing is too old": {Limits{Age: 2 * time.Hour, Count: 9}, ""},
	} {
		if got := uids(Surplus(all, c.limits, noon)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAWorkflowComesBackAsItWas(t *testing.T) {
	wf := workflow("a", "1", noon)
	var raw []byte
	for _, nodes := range []int{1, 1000} {
		for i := range nodes {
			id := strconv.Itoa(i)
			wf.Status.Nodes[id] = v1alpha1.NodeStatus{ID: id, Message: "said something"}
		}
		var err error
		if raw, err = Pack(wf); err != nil || len(raw) > packedFrom {
			t.Fatalf("%d nodes: %d bytes, %v", nodes, len(raw), err)
		}
		got, err := Unpack(bytes.NewReader(raw))
		if err != nil || cmp.Diff(wf.Status.Nodes, got.Status.Nodes) != "" || got.Name != "a" ||
			!got.Status.FinishedAt.Equal(wf.Status.FinishedAt) {
			t.Errorf("%d nodes: %v", nodes, err)
		}
	}
	for _, bad := range [][]byte{nil, []byte("no gzip"), raw[:len(raw)/2]} {
		if _, err := Unpack(bytes.NewReader(bad)); err == nil {
			t.Errorf("%d bytes are read", len(bad))
		}
	}
}

func FuzzUnpack(f *testing.F) {
	raw, err := Pack(&v1alpha1.Workflow{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = Unpack(bytes.NewReader(text)) })
}
