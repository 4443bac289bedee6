package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// rolloutPatience is how long a Rollout may take to become Healthy where pods are available at once.
const rolloutPatience = 90 * time.Second

// Rollouts judges manifests of Rollouts and what belongs to them on a control plane with rollout-analyzer beside it
// and pods that become available at once. Each file is a case: its objects are accepted, and its Rollouts become
// Healthy, get a new version, are promoted in full and become Healthy again. The files of a folder below belong
// together. Kinds that the cluster does not know are defined with any content; one whose router's object no file
// holds only has to be accepted.
func Rollouts(ctx context.Context, c Config) (*Report, error) {
	s := &stage{bin: c.Bin, logs: io.Discard}
	defer s.strike()
	var err error
	if s.dir, err = os.MkdirTemp("", "argosy-conformance-"); err != nil {
		return nil, err
	}
	s.later(func() { _ = os.RemoveAll(s.dir) })
	if err := errors.Join(s.controlPlane(ctx), s.startBus(ctx)); err != nil {
		return nil, err
	}
	suite := &rolloutSuite{stage: s, config: c, report: &Report{}}
	if err := suite.read(); err != nil {
		return nil, err
	}
	if err := suite.define(ctx); err != nil {
		return nil, err
	}
	if err := s.service(ctx, "rollout-analyzer"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go suite.nodes(ctx)
	for _, group := range suite.groups {
		suite.judge(ctx, group)
	}
	if len(suite.report.Results) == 0 {
		return nil, fmt.Errorf("no file of %s begins with %q", c.Dir, c.Only)
	}
	return suite.report, nil
}

// rolloutFile is one file and its objects.
type rolloutFile struct {
	name    string
	objects []*unstructured.Unstructured
}

type rolloutSuite struct {
	*stage
	config Config
	report *Report
	// cases counts groups, each of which has a namespace.
	cases int
	// groups are files that belong together.
	groups [][]rolloutFile
}

// read finds the files: each of the folder is a group of its own, those of a folder below are one.
func (s *rolloutSuite) read() error {
	below := map[string]int{}
	files := os.DirFS(s.config.Dir)
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, path.Ext(name)) {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		file := rolloutFile{name: name, objects: readable(text)}
		dir := path.Dir(name)
		if at, is := below[dir]; is && dir != "." {
			s.groups[at] = append(s.groups[at], file)
			return nil
		}
		below[dir] = len(s.groups)
		s.groups = append(s.groups, []rolloutFile{file})
		return nil
	})
}

// readable are the objects of a file. What is a template of something else, or no object of an API, is left out.
func readable(text []byte) (out []*unstructured.Unstructured) {
	reader := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	buffer := make([]byte, len(text)+1)
	for {
		n, err := reader.Read(buffer)
		if err != nil {
			return out
		}
		o := &unstructured.Unstructured{}
		if yaml.Unmarshal(buffer[:n], &o.Object) != nil || o.GetKind() == "" || o.GetKind() == "Kustomization" {
			continue
		}
		out = append(out, o)
	}
}

// define makes the API take the kinds of the files that it does not know.
func (s *rolloutSuite) define(ctx context.Context) error {
	done := map[string]bool{}
	for _, group := range s.groups {
		for _, file := range group {
			for _, o := range file.objects {
				gvk := o.GroupVersionKind()
				_, err := s.kube.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
				if !meta.IsNoMatchError(err) || done[gvk.GroupKind().String()] {
					continue
				}
				done[gvk.GroupKind().String()] = true
				if err := s.apply(ctx, definitionOf(gvk)); err != nil {
					return err
				}
				if err := s.await(ctx, time.Minute, func() error {
					list := &unstructured.UnstructuredList{}
					list.SetGroupVersionKind(gvk)
					return s.kube.List(ctx, list)
				}); err != nil {
					return fmt.Errorf("serve %s: %w", gvk, err)
				}
			}
		}
	}
	return nil
}

// definitionOf is a definition of a kind that takes any content.
func definitionOf(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	plural := strings.ToLower(gvk.Kind) + "s"
	out := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", plural+"."+gvk.Group, map[string]any{
		"spec": map[string]any{
			"group": gvk.Group, "scope": "Namespaced",
			"names": map[string]any{
				"kind": gvk.Kind, "listKind": gvk.Kind + "List", "plural": plural,
				"singular": strings.ToLower(gvk.Kind),
			},
			"versions": []any{map[string]any{
				"name": gvk.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "x-kubernetes-preserve-unknown-fields": true,
				}},
			}},
		},
	})
	// The API server takes groups of Kubernetes itself only with this.
	out.SetAnnotations(map[string]string{"api-approved.kubernetes.io": "unapproved, stands in for a test"})
	return out
}

// nodes makes the pods of every ReplicaSet available.
func (s *rolloutSuite) nodes(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list := &appsv1.ReplicaSetList{}
		if s.kube.List(ctx, list) != nil {
			continue
		}
		for i := range list.Items {
			rs := &list.Items[i]
			n := *rs.Spec.Replicas
			if rs.Status.AvailableReplicas == n && rs.Status.Replicas == n &&
				rs.Status.ObservedGeneration == rs.Generation {
				continue
			}
			rs.Status = appsv1.ReplicaSetStatus{
				Replicas: n, ReadyReplicas: n, AvailableReplicas: n, FullyLabeledReplicas: n,
				ObservedGeneration: rs.Generation,
			}
			_ = s.kube.Status().Update(ctx, rs)
		}
	}
}

// judge applies the files of a group in a namespace of their own and judges each.
func (s *rolloutSuite) judge(ctx context.Context, group []rolloutFile) {
	if !slices.ContainsFunc(group, func(f rolloutFile) bool { return chosen(f.name, s.config.Only) }) {
		return
	}
	ns := fmt.Sprintf("case-%d", s.cases)
	s.cases++
	if err := s.apply(ctx, object("v1", "Namespace", ns, nil)); err != nil {
		s.report.Failf(group[0].name, "%v", err)
		return
	}
	if err := s.templates(ctx, ns); err != nil {
		s.report.Failf(group[0].name, "%v", err)
		return
	}
	refused := map[string]error{}
	for _, file := range group {
		for _, o := range file.objects {
			o.SetNamespace(ns)
			err := s.kube.Create(ctx, o.DeepCopy())
			if err != nil && !apierrors.IsAlreadyExists(err) {
				refused[file.name] = errors.Join(refused[file.name], err)
			}
		}
	}
	for _, file := range group {
		if !chosen(file.name, s.config.Only) {
			continue
		}
		err := refused[file.name]
		for _, o := range file.objects {
			if err == nil && o.GroupVersionKind() == v1alpha1.Kind("Rollout") {
				err = s.promote(ctx, ns, o.GetName())
			}
		}
		s.report.Judge(file.name, err)
	}
}

// templates creates the analysis templates that stand beside the files of the folder: any of these may name them.
func (s *rolloutSuite) templates(ctx context.Context, ns string) error {
	for _, group := range s.groups {
		for _, file := range group {
			for _, o := range file.objects {
				if o.GetKind() != "AnalysisTemplate" || strings.Contains(file.name, "/") {
					continue
				}
				o = o.DeepCopy()
				o.SetNamespace(ns)
				if err := s.kube.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
					return err
				}
			}
		}
	}
	return nil
}

// promote waits until a Rollout is Healthy, gives it a new version, promotes it in full and waits again.
func (s *rolloutSuite) promote(ctx context.Context, ns, name string) error {
	first, err := s.healthy(ctx, ns, name, "")
	if err != nil || first == nil {
		return err
	}
	ro := object("argoproj.io/v1alpha1", "Rollout", name, nil)
	ro.SetNamespace(ns)
	target, patch := ro, `{"spec":{"template":{"metadata":{"annotations":{"round":"2"}}}}}`
	if ref := first.Spec.WorkloadRef; ref != nil {
		target = object(ref.ApiVersion, ref.Kind, ref.Name, nil)
		target.SetNamespace(ns)
	}
	if err := s.kube.Patch(ctx, target, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return fmt.Errorf("new version: %w", err)
	}
	if err := s.await(ctx, rolloutPatience, func() error {
		got, err := s.rollout(ctx, ns, name)
		if err == nil && got.Status.CurrentPodHash == first.Status.CurrentPodHash {
			err = errors.New("the new version was not seen")
		}
		return err
	}); err != nil {
		return err
	}
	full := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"promoteFull":true}}`))
	if err := s.kube.Status().Patch(ctx, ro, full); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	_, err = s.healthy(ctx, ns, name, first.Status.StableRS)
	return err
}

func (s *rolloutSuite) rollout(ctx context.Context, ns, name string) (*v1alpha1.Rollout, error) {
	u := object("argoproj.io/v1alpha1", "Rollout", name, nil)
	if err := s.kube.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, u); err != nil {
		return nil, err
	}
	ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](u.Object)
	return ro, nil
}

// healthy waits until a Rollout is Healthy with another stable version than before. One whose router's object is not
// there has no router: nil.
func (s *rolloutSuite) healthy(ctx context.Context, ns, name, before string) (out *v1alpha1.Rollout, err error) {
	err = s.await(ctx, rolloutPatience, func() error {
		ro, err := s.rollout(ctx, ns, name)
		if err != nil {
			return err
		}
		if ro.Status.Phase == v1alpha1.RolloutHealthy && ro.Status.StableRS != before {
			out = ro
			return nil
		}
		if routerMissing(ro.Status.Message) {
			out = nil
			return nil
		}
		return fmt.Errorf("%s %q", ro.Status.Phase, ro.Status.Message)
	})
	return out, err
}

// routerMissing reports whether all that is wrong is that the object of a router is not there.
func routerMissing(message string) bool {
	_, problems, invalid := strings.Cut(message, " is invalid: ")
	if !invalid {
		return false
	}
	for problem := range strings.SplitSeq(problems, "; ") {
		if !strings.Contains(problem, ".trafficRouting.") || !strings.HasSuffix(problem, " is not there") &&
			!strings.HasSuffix(problem, " is of a kind that this cluster does not know") {
			return false
		}
	}
	return true
}
