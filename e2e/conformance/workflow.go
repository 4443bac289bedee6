package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// workflowsNamespace is where workflows are judged; it is removed afterwards.
const workflowsNamespace = "conformance"

// workflowsAtOnce is how many workflows run side by side: the node has room for about a hundred pods.
const workflowsAtOnce = 6

// expectation is one row of expected.tsv: a file, what kind of case it is, and the phase it ends in.
type expectation struct{ file, group, phase string }

// patience is how long the workflows of a file may take.
func (e expectation) patience() time.Duration {
	if e.group == "A-long" {
		return 30 * time.Minute
	}
	return 15 * time.Minute
}

func longFirst(row []string) int {
	if row[1] == "A-long" {
		return 0
	}
	return 1
}

// workflowSuite judges workflows on the running product.
type workflowSuite struct {
	kube   client.Client
	config Config

	mu     sync.Mutex
	report *Report
}

// Workflows judges a folder that holds expected.tsv, what it names, and seeds, on the cluster of c.Kubeconfig.
func Workflows(ctx context.Context, c Config) (*Report, error) {
	rows, err := table(filepath.Join(c.Dir, "expected.tsv"))
	if err != nil {
		return nil, err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	cfg.QPS = -1
	s := &workflowSuite{config: c, report: &Report{}}
	if s.kube, err = client.New(cfg, client.Options{}); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	defer s.clear(context.WithoutCancel(ctx))
	// The long ones first, so that they do not run alone at the end.
	slices.SortStableFunc(rows, func(a, b []string) int { return cmp.Compare(longFirst(a), longFirst(b)) })
	slots := make(chan struct{}, workflowsAtOnce)
	var running sync.WaitGroup
	for _, row := range rows {
		e := expectation{row[0], row[1], row[2]}
		if name := filepath.Base(e.file); !chosen(name, c.Only) || ctx.Err() != nil {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			s.judge(ctx, e)
		})
	}
	running.Wait()
	return s.report, ctx.Err()
}

// prepare makes the namespace anew, with the seeds in it.
func (s *workflowSuite) prepare(ctx context.Context) error {
	s.clear(ctx)
	stage := &stage{kube: s.kube}
	if err := stage.apply(ctx, object("v1", "Namespace", workflowsNamespace, nil)); err != nil {
		return err
	}
	seeds, err := manifests(filepath.Join(s.config.Dir, "seeds"), func(text string) string { return text })
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// The sizes of semaphores that upstream keeps in its database.
	limits := object(
		"v1", "ConfigMap", "argosy-semaphores",
		map[string]any{"data": map[string]any{"workflow": "1", "template": "2"}},
	)
	// The repository that a file of the data asks for, as its table says: ours has no settings.
	repositories := object(
		"v1", "ConfigMap", "artifact-repositories", map[string]any{"data": map[string]any{"my-key": "{}"}},
	)
	for _, m := range append(seeds, manifest{object: limits}, manifest{object: repositories}) {
		if !strings.HasPrefix(m.object.GetKind(), "Cluster") {
			m.object.SetNamespace(workflowsNamespace)
		}
		if err := stage.apply(ctx, m.object); err != nil {
			return fmt.Errorf("seeds/%s: %w", m.file, err)
		}
	}
	return stage.await(ctx, time.Minute, func() error {
		account := object("v1", "ServiceAccount", "default", nil)
		return s.kube.Get(ctx, client.ObjectKey{Namespace: workflowsNamespace, Name: "default"}, account)
	})
}

// clear removes the namespace and waits until it is gone.
func (s *workflowSuite) clear(ctx context.Context) {
	ns := object("v1", "Namespace", workflowsNamespace, nil)
	if s.kube.Delete(ctx, ns) != nil {
		return
	}
	_ = (&stage{}).await(ctx, 2*time.Minute, func() error {
		if apierrors.IsNotFound(s.kube.Get(ctx, client.ObjectKeyFromObject(ns), ns)) {
			return nil
		}
		return errors.New("the namespace is still there")
	})
}

// judge runs every workflow of a file to its end.
func (s *workflowSuite) judge(ctx context.Context, e expectation) {
	began := time.Now()
	err := s.play(ctx, e)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Judge(e.file, err)
	verdict := "ok"
	if err != nil {
		verdict = err.Error()
	}
	progressf(s.config.Progress, "%-70s %6.1fs %s", e.file, time.Since(began).Seconds(), verdict)
}

func (s *workflowSuite) play(ctx context.Context, e expectation) error {
	text, err := os.ReadFile(filepath.Join(s.config.Dir, e.file))
	if err != nil {
		return err
	}
	objects, err := documents(text)
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range objects {
		if !strings.HasPrefix(o.GetKind(), "Cluster") {
			o.SetNamespace(workflowsNamespace)
		}
		if o.GetKind() != "Workflow" {
			errs = append(errs, (&stage{kube: s.kube}).apply(ctx, o))
			continue
		}
		if err := s.kube.Create(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("create: %w", err))
			continue
		}
		errs = append(errs, s.finish(ctx, o, e))
	}
	return errors.Join(errs...)
}

// finish waits for the end of a workflow, acting as the person that it waits for, and compares its phase.
func (s *workflowSuite) finish(ctx context.Context, wf *unstructured.Unstructured, e expectation) error {
	gone := false
	err := (&stage{}).await(ctx, e.patience(), func() error {
		if err := s.kube.Get(ctx, client.ObjectKeyFromObject(wf), wf); err != nil {
			gone = client.IgnoreNotFound(err) == nil
			if gone {
				return nil // its time to live was short
			}
			return err
		}
		phase, message := phaseOf(wf)
		if v1alpha1.WorkflowPhase(phase).Completed() {
			return nil
		}
		if err := s.actFor(ctx, wf); err != nil {
			return err
		}
		return fmt.Errorf("it is %q %s%s", phase, message, s.stuck(wf))
	})
	if err != nil {
		return err
	}
	phase, message := phaseOf(wf)
	want := e.phase
	if e.group == "F" {
		want = string(v1alpha1.WorkflowSucceeded)
	}
	if e.group == "E" || phase == want || gone && want == string(v1alpha1.WorkflowSucceeded) {
		return nil
	}
	return fmt.Errorf("it ended %s (%s)%s, want %s", phase, message, s.stuck(wf), want)
}

func phaseOf(wf *unstructured.Unstructured) (phase, message string) {
	phase, _, _ = unstructured.NestedString(wf.Object, "status", "phase")
	message, _, _ = unstructured.NestedString(wf.Object, "status", "message")
	return phase, message
}

// stuck lists the nodes that say something, for the reason of a failure.
func (s *workflowSuite) stuck(wf *unstructured.Unstructured) string {
	nodes, _, _ := unstructured.NestedMap(wf.Object, "status", "nodes")
	var b strings.Builder
	for _, v := range nodes {
		n, _ := v.(map[string]any)
		if message, _ := n["message"].(string); message != "" && !strings.HasPrefix(message, "child ") &&
			b.Len() < 600 {
			fmt.Fprintf(&b, "; %v %v: %.200s", n["displayName"], n["phase"], message)
		}
	}
	return b.String()
}

// actFor resumes the nodes that wait for a person: what they ask for is answered with the first value they offer.
func (s *workflowSuite) actFor(ctx context.Context, wf *unstructured.Unstructured) error {
	nodes, _, _ := unstructured.NestedMap(wf.Object, "status", "nodes")
	for id, v := range nodes {
		n, _ := v.(map[string]any)
		template, _ := n["templateName"].(string)
		if n["type"] != string(v1alpha1.NodeTypeSuspend) || n["phase"] != string(v1alpha1.NodeRunning) ||
			timed(wf, template) {
			continue
		}
		order := fmt.Sprintf(`{"operation":"resume","selector":"id=%s","outputs":%s}`, id, answers(n))
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"order.argosy.dev/%s":%q}}}`, id, order)
		if err := s.kube.Patch(
			ctx, wf.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)),
		); err != nil {
			return fmt.Errorf("resume %s: %w", id, err)
		}
	}
	return nil
}

// timed reports whether a suspend template ends by itself.
func timed(wf *unstructured.Unstructured, name string) bool {
	templates, _, _ := unstructured.NestedSlice(wf.Object, "spec", "templates")
	for _, v := range templates {
		t, _ := v.(map[string]any)
		if t["name"] == name {
			_, has, _ := unstructured.NestedFieldNoCopy(t, "suspend", "duration")
			return has
		}
	}
	return false
}

// answers are values for the outputs of a node that have none.
func answers(node map[string]any) string {
	parameters, _, _ := unstructured.NestedSlice(node, "outputs", "parameters")
	out := "{"
	for _, v := range parameters {
		p, _ := v.(map[string]any)
		name, _ := p["name"].(string)
		if p["value"] != nil {
			continue
		}
		if len(out) > 1 {
			out += ","
		}
		out += quoted(name) + ":" + quoted(offered(node, name))
	}
	return out + "}"
}

// offered is the first value of the enum of the input of that name.
func offered(node map[string]any, name string) string {
	parameters, _, _ := unstructured.NestedSlice(node, "inputs", "parameters")
	for _, v := range parameters {
		p, _ := v.(map[string]any)
		if values, _, _ := unstructured.NestedStringSlice(p, "enum"); p["name"] == name && len(values) > 0 {
			return values[0]
		}
	}
	return "YES"
}
