// Package lint says what is wrong with Rollouts in files, before a cluster has them, and is the subcommand lint.
//
// It judges as the service does. What a Rollout names and the same file does not hold may be elsewhere: that is no
// fault here. A field that nobody knows is one: in a file it is a slip, while the service only warns.
package lint

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/core/traffic"
	"github.com/argosy-mesh/argosy/services/rollout-analyzer/internal/router"
)

const usage = `rollout-analyzer lint [flags] FILE|DIR...

Says what is wrong with the Rollouts of files, "-" for the standard input: as the service would, and with references to
Services, Ingresses, routes and AnalysisTemplates that stand in the same file. Files hold YAML or JSON, several objects
too; of a folder those that end in .yaml, .yml and .json. Exit code 0 when nothing is wrong, 1 when something is, 2 when
something cannot be read.

`

// maxFile bounds what is read of one file, in bytes.
const maxFile = 16 << 20

// Streams are where the command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Finding is one thing that is wrong.
type Finding struct {
	File   string `json:"file"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Run runs the command with the arguments behind its name and returns the exit code.
func Run(args []string, s Streams) int {
	set := flag.NewFlagSet("lint", flag.ContinueOnError)
	set.SetOutput(s.Err)
	set.Usage = func() {
		fmt.Fprint(s.Err, usage)
		set.PrintDefaults()
	}
	output := set.String("o", "text", "text or json")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	found, err := run(*output, set.Args(), s)
	if err != nil {
		fmt.Fprintln(s.Err, "lint:", err)
		return 2
	}
	if len(found) > 0 {
		return 1
	}
	return 0
}

func run(output string, args []string, s Streams) ([]Finding, error) {
	if output != "text" && output != "json" {
		return nil, fmt.Errorf("-o %q is neither text nor json", output)
	}
	files, err := expand(args)
	if err != nil {
		return nil, err
	}
	found := []Finding{}
	for _, file := range files {
		text, err := read(file, s.In)
		if err != nil {
			return nil, err
		}
		found = append(found, Check(file, text)...)
	}
	if output == "json" {
		return found, json.NewEncoder(s.Out).Encode(found)
	}
	for _, f := range found {
		fmt.Fprintf(s.Out, "%s: %s %s: %s: %s\n", f.File, f.Kind, f.Name, f.Field, f.Reason)
	}
	return found, nil
}

// expand is the list of files that the arguments mean.
func expand(args []string) (files []string, err error) {
	if len(args) == 0 {
		return nil, errors.New("no FILE is given; - reads the standard input")
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case arg == "-" || err == nil && !info.IsDir():
			files = append(files, arg)
			continue
		case err != nil:
			return nil, err
		}
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func read(file string, in io.Reader) ([]byte, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxFile>>20)
	}
	return text, nil
}

// Check says what is wrong with the Rollouts of a file.
func Check(file string, text []byte) (out []Finding) {
	objects, err := split(text)
	if err != nil {
		return []Finding{{File: file, Field: "document " + fmt.Sprint(len(objects)), Reason: err.Error()}}
	}
	for _, o := range objects {
		if o.GroupVersionKind() != v1alpha1.Kind("Rollout") {
			continue
		}
		for _, p := range problems(o, objects) {
			out = append(
				out,
				Finding{File: file, Kind: "Rollout", Name: o.GetName(), Field: p.Field, Reason: p.Reason},
			)
		}
	}
	return out
}

// split reads the objects of a file. What is empty is none.
func split(text []byte) (out []*unstructured.Unstructured, err error) {
	reader := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("cannot be read: %w", err)
		}
		var tree map[string]any
		data, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return out, fmt.Errorf("is no YAML: %w", err)
		}
		if string(bytes.TrimSpace(data)) == "null" {
			continue
		}
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal(data, &tree); err != nil {
			return out, fmt.Errorf("is no object: %w", err)
		}
		u.Object, _ = integers(tree).(map[string]any)
		if list, _ := u.Object["items"].([]any); list != nil && strings.HasSuffix(u.GetKind(), "List") {
			for _, item := range list {
				if m, is := item.(map[string]any); is {
					out = append(out, &unstructured.Unstructured{Object: m})
				}
			}
			continue
		}
		out = append(out, u)
	}
}

// integers makes whole numbers what trees of Kubernetes hold.
func integers(v any) any {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case map[string]any:
		for k := range v {
			v[k] = integers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	}
	return v
}

// problems judges one Rollout beside the other objects of its file.
func problems(o *unstructured.Unstructured, objects []*unstructured.Unstructured) (out []core.Problem) {
	ro, warnings, err := v1alpha1.DecodeTolerant[v1alpha1.Rollout](o.Object)
	for _, w := range warnings {
		if strings.HasPrefix(w.Path, "spec.") {
			out = append(out, core.Problem{Field: w.Path, Reason: "unknown field"})
		}
	}
	w := core.World{
		Now: time.Unix(0, 0), Rollout: ro, Unreadable: core.Unreadable(err), Partial: true,
		Services:  map[string]*corev1.Service{},
		Templates: map[v1alpha1.AnalysisTemplateRef]v1alpha1.AnalysisTemplateSpec{},
	}
	if ref := ro.Spec.WorkloadRef; ref != nil {
		w.Workload = &core.Workload{
			Kind: ref.Kind, Name: ref.Name, Missing: true, Inline: len(ro.Spec.Template.Spec.Containers) > 0,
		}
	}
	for _, other := range objects {
		beside(&w, other)
	}
	w.Routing = router.Read(ro)
	load := func(ref traffic.Ref) (*unstructured.Unstructured, error) {
		for _, other := range objects {
			gvk := other.GroupVersionKind()
			if gvk.Group == ref.Group && gvk.Kind == ref.Kind && other.GetName() == ref.Name && !unclassed(other) {
				return other, nil
			}
		}
		return nil, nil
	}
	for _, r := range router.Routers {
		for _, ref := range w.Routing.Refs[r.Field] {
			if bound, err := router.Bind(r, router.InputOf(ro), ref, load); err == nil {
				w.Routes = append(w.Routes, bound)
			}
		}
	}
	return append(out, core.Validate(w)...)
}

// unclassed reports whether an Ingress does not say whose it is: a later layer may complete it, so that nothing can
// be said about its rules.
func unclassed(o *unstructured.Unstructured) bool {
	class, _, _ := unstructured.NestedString(o.Object, "spec", "ingressClassName")
	return o.GetKind() == "Ingress" && class == "" && o.GetAnnotations()["kubernetes.io/ingress.class"] == ""
}

// beside adds what an object of the file is to a Rollout.
func beside(w *core.World, o *unstructured.Unstructured) {
	switch o.GetKind() {
	case "Service":
		svc := &corev1.Service{}
		if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, svc) == nil {
			w.Services[svc.Name] = svc
		}
	case "AnalysisTemplate", "ClusterAnalysisTemplate":
		ref := v1alpha1.AnalysisTemplateRef{
			TemplateName: o.GetName(), ClusterScope: o.GetKind() == "ClusterAnalysisTemplate",
		}
		t, _, _ := v1alpha1.DecodeTolerant[v1alpha1.AnalysisTemplate](o.Object)
		w.Templates[ref] = t.Spec
	case "Deployment":
		if w.Workload == nil || w.Workload.Kind != "Deployment" || o.GetName() != w.Workload.Name {
			return
		}
		var template corev1.PodTemplateSpec
		tree, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
		if runtime.DefaultUnstructuredConverter.FromUnstructured(tree, &template) == nil {
			w.Workload.Missing = false
			w.Rollout.Spec.Template = template
			if w.Rollout.Spec.Selector == nil {
				w.Rollout.Spec.Selector = &metav1.LabelSelector{MatchLabels: template.Labels}
			}
		}
	}
}
