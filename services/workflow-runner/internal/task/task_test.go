package task

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/kube/actas"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func ask(t *testing.T, template v1alpha1.HTTPTemplate, local bool) flow.Task {
	t.Helper()
	q := workers(Tools{Local: local})["http"]
	return q.do(t.Context(), Job{Run: "u", Node: "n", Template: v1alpha1.Template{HTTP: &template}})
}

func TestAnswersAreJudged(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/large":
			_, _ = w.Write(bytes.Repeat([]byte("x"), answerLimit+1))
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/host":
			_, _ = w.Write([]byte(r.Host + " " + r.Header.Get(keyHeader)))
		}
	}))
	defer server.Close()
	defer close(release)
	for name, c := range map[string]struct {
		t     v1alpha1.HTTPTemplate
		phase v1alpha1.NodePhase
		says  string
	}{
		"fine": {v1alpha1.HTTPTemplate{URL: "/"}, v1alpha1.NodeSucceeded, ""},
		"missing": {v1alpha1.HTTPTemplate{URL: "/missing"}, v1alpha1.NodeFailed,
			"non-2xx response code: 404"},
		"missing is expected": {v1alpha1.HTTPTemplate{URL: "/missing", SuccessCondition: "response.statusCode == 404"},
			v1alpha1.NodeSucceeded, ""},
		"condition is false": {v1alpha1.HTTPTemplate{URL: "/", SuccessCondition: "response.statusCode == 404"},
			v1alpha1.NodeFailed, "evaluated false"},
		"condition is broken": {v1alpha1.HTTPTemplate{URL: "/", SuccessCondition: "response.statusCode =="},
			v1alpha1.NodeFailed, "successCondition"},
		"condition is text": {v1alpha1.HTTPTemplate{URL: "/", SuccessCondition: "response.body"}, v1alpha1.NodeFailed,
			"neither true nor false"},
		"too large": {v1alpha1.HTTPTemplate{URL: "/large"}, v1alpha1.NodeFailed, "more than"},
		"too slow": {v1alpha1.HTTPTemplate{URL: "/slow", TimeoutSeconds: new(int64(0))}, v1alpha1.NodeFailed,
			"no answer within 0s"},
		"no such method": {v1alpha1.HTTPTemplate{URL: "/", Method: "A B"}, v1alpha1.NodeFailed, "invalid method"},
	} {
		c.t.URL = server.URL + c.t.URL
		if end := ask(t, c.t, true); end.Phase != c.phase || !strings.Contains(end.Message, c.says) {
			t.Errorf("%s: %s %s", name, end.Phase, end.Message)
		}
	}
	host := ask(t, v1alpha1.HTTPTemplate{URL: server.URL + "/host",
		Headers: []v1alpha1.HTTPHeader{{Name: "host", Value: "other.example"}}}, true)
	if *host.Outputs.Result != "other.example u/n" {
		t.Errorf("host: %s", *host.Outputs.Result)
	}
	for _, url := range []string{server.URL, "http://[::1]:1/", "http://169.254.169.254/latest", "file:///etc/passwd"} {
		if end := ask(t, v1alpha1.HTTPTemplate{URL: url}, false); end.Phase != v1alpha1.NodeFailed {
			t.Errorf("%s: %s %s", url, end.Phase, end.Message)
		}
	}
}

func TestDataIsTransformed(t *testing.T) {
	steps := func(all ...string) (out []v1alpha1.TransformationStep) {
		for _, s := range all {
			out = append(out, v1alpha1.TransformationStep{Expression: s})
		}
		return out
	}
	for want, s := range map[string][]v1alpha1.TransformationStep{
		`["a.txt","b.txt","c"]`: nil,
		`["A.TXT","B.TXT"]`:     steps("filter(data, {# endsWith '.txt'})", "map(data, {upper(#)})"),
		`3`:                     steps("len(data)"),
	} {
		if end := transform([]string{"a.txt", "b.txt", "c"}, s); end.Phase != v1alpha1.NodeSucceeded ||
			*end.Outputs.Result != want {
			t.Errorf("%s: %+v", want, end)
		}
	}
	for _, bad := range []string{"data +", "1..9999999"} {
		if end := transform(nil, steps(bad)); end.Phase != v1alpha1.NodeFailed {
			t.Errorf("%s: %+v", bad, end)
		}
	}
}

func read(t v1alpha1.ResourceTemplate) (*resourceRequest, error) {
	return readOrder(Job{Run: "u", Node: "n", Template: v1alpha1.Template{Resource: &t}}, t.Manifest)
}

func TestOrdersAreRead(t *testing.T) {
	for name, c := range map[string]v1alpha1.ResourceTemplate{
		"manifest":     {Action: "get", Manifest: "{kind: Pod, metadata: {name: x, namespace: ns}}"},
		"flags":        {Action: "get", Flags: []string{"pod", "x", "--namespace=ns"}},
		"flags in one": {Action: "get", Flags: []string{"pod/x -n ns"}},
		"patch of flags": {Action: "patch", MergeStrategy: "json", Flags: []string{"pod", "x", "-n", "ns"},
			Manifest: "[]"},
		"empty documents": {Action: "apply", Manifest: "---\nkind: Pod\nmetadata: {name: x, namespace: ns}\n---\n"},
	} {
		o, err := read(c)
		if err != nil || o.object.GetName() != "x" || o.namespace != "ns" {
			t.Errorf("%s: %v %+v", name, err, o)
		}
	}
	for name, c := range map[string]v1alpha1.ResourceTemplate{
		"nothing":           {Action: "get"},
		"no YAML":           {Action: "get", Manifest: "{"},
		"a list":            {Action: "get", Manifest: "[]"},
		"two documents":     {Action: "apply", Manifest: "kind: A\n---\nkind: B\n"},
		"unknown flag":      {Action: "get", Flags: []string{"--as=admin", "pod", "x"}},
		"flag without end":  {Action: "get", Flags: []string{"-n"}},
		"three names":       {Action: "get", Flags: []string{"a", "b", "c"}},
		"unknown strategy":  {Action: "patch", MergeStrategy: "odd", Manifest: "{kind: Pod}"},
		"a patch of a kind": {Action: "patch", MergeStrategy: "json", Manifest: "[]"},
	} {
		if o, err := read(c); err == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestAGeneratedNameFollowsFromTheKey(t *testing.T) {
	manifest := v1alpha1.ResourceTemplate{Action: "create", Manifest: "{kind: Pod, metadata: {generateName: x-}}"}
	a, _ := read(manifest)
	b, _ := read(manifest)
	other, _ := readOrder(Job{Run: "u", Node: "m", Template: v1alpha1.Template{Resource: &manifest}}, manifest.Manifest)
	if name := a.object.GetName(); !strings.HasPrefix(name, "x-") || name != b.object.GetName() ||
		name == other.object.GetName() {
		t.Errorf("%s, %s, %s", name, b.object.GetName(), other.object.GetName())
	}
}

func TestConditionsOfResources(t *testing.T) {
	object := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"phase": "Failed",
		"succeeded": int64(3), "list": []any{map[string]any{"ok": true}}}}}
	for name, c := range map[string]struct {
		success, failure string
		phase            v1alpha1.NodePhase // empty: undecided
	}{
		"none":              {"", "", v1alpha1.NodeSucceeded},
		"greater":           {"status.succeeded > 2", "", v1alpha1.NodeSucceeded},
		"not yet":           {"status.succeeded > 3", "", ""},
		"all are needed":    {"status.succeeded > 2, status.phase == Succeeded", "", ""},
		"failure wins":      {"status.succeeded > 2", "status.phase in (Failed, Error)", v1alpha1.NodeFailed},
		"any failure":       {"status.phase == x", "status.x == 1, status.succeeded > 1", v1alpha1.NodeFailed},
		"failure alone":     {"", "status.phase == Error", v1alpha1.NodeSucceeded},
		"path into a list":  {"status.list.0.ok == true", "", v1alpha1.NodeSucceeded},
		"existence":         {"status.phase, !status.ghost", "", v1alpha1.NodeSucceeded},
		"what is not there": {"status.ghost == x", "", ""},
	} {
		o, err := read(v1alpha1.ResourceTemplate{Action: "get", Manifest: "{kind: Job, metadata: {name: x}}",
			SuccessCondition: c.success, FailureCondition: c.failure})
		if err == nil {
			err = o.conditions()
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if end, decided := o.met(object); end.Phase != c.phase || decided != (c.phase != "") {
			t.Errorf("%s: %v %+v", name, decided, end)
		}
	}
	bad, _ := read(v1alpha1.ResourceTemplate{Action: "get", Manifest: "{kind: Job}", SuccessCondition: "status = = x"})
	if bad.conditions() == nil {
		t.Error("a condition that cannot be read is taken")
	}
}

func TestManifestsArePackedOrPlain(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	files := tar.NewWriter(zip)
	err := errors.Join(files.WriteHeader(&tar.Header{Name: "d", Typeflag: tar.TypeDir}),
		files.WriteHeader(&tar.Header{Name: "m", Typeflag: tar.TypeReg, Size: 4}))
	_, wrote := files.Write([]byte("a: 1"))
	if err = errors.Join(err, wrote, files.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"plain": "a: 1", "packed": packed.String()} {
		if got, err := firstFile(strings.NewReader(text)); err != nil || string(got) != "a: 1" {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for _, bad := range []string{"\x1f\x8b", packed.String()[:20]} {
		if got, err := firstFile(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

// gate is work that ends when it is told to.
type gate struct{ began, release chan struct{} }

func (s gate) do(ctx context.Context, _ Job) flow.Task {
	s.began <- struct{}{}
	select {
	case <-s.release:
		return done(nil)
	case <-ctx.Done():
		return broken("given up")
	}
}

func TestTheDeskDoesAJobOnce(t *testing.T) {
	told := make(chan string, 10)
	d := NewExecutor(Tools{}, func(_ context.Context, _, workflow string) { told <- workflow })
	s := gate{make(chan struct{}), make(chan struct{})}
	d.workers["http"] = s
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	j := Job{Run: "u", Node: "n", Workflow: "wf", Template: v1alpha1.Template{HTTP: &v1alpha1.HTTPTemplate{}}}
	for range 3 {
		if err := d.Begin(ctx, j); err != nil {
			t.Fatal(err)
		}
	}
	<-s.began
	if n := len(d.Ended("u")); n != 0 {
		t.Errorf("%d ended before their end", n)
	}
	s.release <- struct{}{}
	if wf := <-told; wf != "wf" || d.Ended("u")["n"].Phase != v1alpha1.NodeSucceeded {
		t.Errorf("%s: %+v", wf, d.Ended("u"))
	}
	d.Drop("u", "n")
	late := j
	late.Node, late.Deadline = "late", time.Now().Add(-time.Second)
	if err := d.Begin(ctx, late); err != nil {
		t.Fatal(err)
	}
	<-s.began
	<-told
	if end := d.Ended("u")["late"]; end.Phase != v1alpha1.NodeFailed || !strings.Contains(end.Message, "deadline") {
		t.Errorf("late: %+v", end)
	}
	d.DropRun("u")
	if err := d.Begin(ctx, j); err != nil {
		t.Fatal(err)
	}
	<-s.began
	cancel()
	if err := <-ran; err != nil || len(d.Ended("u")) != 0 || len(told) != 0 {
		t.Errorf("a job that was given up has ended: %v %v", err, d.Ended("u"))
	}
}

func TestFiltersGiveWhatJQDoesInRawMode(t *testing.T) {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if err := object.UnmarshalJSON([]byte(`{"kind": "Job", "metadata": {"name": "a \"b\""}, "id": 9007199254740993, "rate": 0.5, "list": [1, "x"], "none": null}`)); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		".metadata.name": `a "b"`,
		".id":            "9007199254740993",
		".id + 1":        "9007199254740994",
		".rate":          "0.5",
		".list":          `[1,"x"]`,
		".list[]":        "1\nx",
		".none":          "null",
		".kind, .id":     "Job\n9007199254740993",
		`"\(.id)"`:       "9007199254740993",
	} {
		if got, err := filtered(object, filter); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", filter, got, err, want)
		}
	}
	if got, err := filtered(object, `.kind, error("x"), .id`); err == nil {
		t.Errorf("after an error: %q", got)
	}
	if got, err := atPath(object, "{.id}"); err != nil || got != "9007199254740993" {
		t.Errorf("jsonPath: %q, %v", got, err)
	}
}

func TestResourcesThatCannotBeDealtWithFail(t *testing.T) {
	c := &resourceRunner{accounts: &Accounts{mapper: meta.NewDefaultRESTMapper(nil)}, store: nothing{}}
	for name, r := range map[string]struct {
		resource v1alpha1.ResourceTemplate
		phase    v1alpha1.NodePhase
	}{
		"no kind": {v1alpha1.ResourceTemplate{Action: "patch",
			Manifest: "{apiVersion: v1, metadata: {name: x}}"}, v1alpha1.NodeFailed},
		"an unknown kind": {v1alpha1.ResourceTemplate{Action: "create",
			Manifest: "{apiVersion: a/v1, kind: Ghost, metadata: {name: x}}"}, v1alpha1.NodeFailed},
		"no YAML": {v1alpha1.ResourceTemplate{Action: "create", Manifest: "{"}, v1alpha1.NodeFailed},
		"a broken condition": {v1alpha1.ResourceTemplate{Action: "get", Manifest: "{kind: Pod, metadata: {name: x}}",
			SuccessCondition: "a = = b"}, v1alpha1.NodeFailed},
		"a manifest that does not come in": {v1alpha1.ResourceTemplate{Action: "create",
			ManifestFrom: &v1alpha1.ManifestFrom{
				Artifact: v1alpha1.Artifact{Name: "m"}}}, v1alpha1.NodeError},
	} {
		if end := c.do(t.Context(), Job{Template: v1alpha1.Template{Resource: &r.resource}}); end.Phase != r.phase ||
			end.Message == "" {
			t.Errorf("%s: %s %s", name, end.Phase, end.Message)
		}
	}
	for cause, want := range map[error]v1alpha1.NodePhase{
		errors.New("connection refused"):                               v1alpha1.NodeFailed,
		apierrors.NewServiceUnavailable("away"):                        v1alpha1.NodeFailed,
		&actas.UnknownAccountError{Err: errors.New("no such account")}: v1alpha1.NodeError,
		apierrors.NewNotFound(schema.GroupResource{}, "x"):             v1alpha1.NodeFailed,
		fmt.Errorf("%w: %w", errOrder, errors.New("other")):            v1alpha1.NodeFailed,
	} {
		if end := refusal(&resourceRequest{action: "get", object: &unstructured.Unstructured{Object: map[string]any{}}},
			cause); end.Phase != want {
			t.Errorf("%v: %s", cause, end.Phase)
		}
	}
}

// nothing is a store without artifacts.
type nothing struct{}

func (nothing) Open(context.Context, string, v1alpha1.ArtifactLocation) (io.ReadCloser, error) {
	return nil, errors.New("there is nothing")
}

func (nothing) Names(context.Context, string, v1alpha1.ArtifactLocation, int) ([]string, error) {
	return nil, errors.New("there is nothing")
}

func TestDataThatCannotBeListedFails(t *testing.T) {
	l := &dataRunner{store: nothing{}}
	for name, data := range map[string]v1alpha1.DataTemplate{
		"a store that is away": {Source: v1alpha1.DataSource{ArtifactPaths: &v1alpha1.ArtifactPaths{
			Artifact: v1alpha1.Artifact{
				ArtifactLocation: v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Key: "k"}}}}}},
		"no place": {},
	} {
		if end := l.do(t.Context(), Job{Template: v1alpha1.Template{Data: &data}}); end.Phase != v1alpha1.NodeFailed {
			t.Errorf("%s: %s %s", name, end.Phase, end.Message)
		}
	}
}
