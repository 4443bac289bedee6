package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/engine"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func (k *linter) template(path string, t *v1alpha1.Template) {
	k.shape(path, t)
	k.tags(path, t, sight{})
}

// shape looks at all of a template but its tags.
func (k *linter) shape(path string, t *v1alpha1.Template) {
	if kinds := engine.KindsOf(t); len(kinds) != 1 {
		k.errorf(path, "%q does %v; it must do exactly one of %s", t.Name, kinds, engine.KindNames())
	}
	if t.RetryStrategy != nil {
		k.retry(path+".retryStrategy", t.RetryStrategy)
	}
	k.duration(path+".timeout", t.Timeout)
	k.duration(path+".pendingTimeout", t.PendingTimeout)
	k.count(path+".activeDeadlineSeconds", t.ActiveDeadlineSeconds)
	k.synchronization(path, t.Synchronization)
	k.metrics(path, t.Metrics)
	k.inputs(path, t.Inputs)
	k.outputs(path, t)
	switch {
	case t.Steps != nil:
		k.steps(path, t)
	case t.DAG != nil:
		k.dag(path, t)
	case t.ContainerSet != nil:
		k.containerSet(path, t)
	case t.Suspend != nil:
		k.duration(path+".suspend.duration", t.Suspend.Duration.String())
	case t.Resource != nil:
		k.resource(path+".resource", t.Resource)
	case t.HTTP != nil && t.HTTP.URL == "":
		k.errorf(path+".http", "url is missing")
	}
}

func (k *linter) inputs(path string, in *v1alpha1.Inputs) {
	if in == nil {
		return
	}
	seen, paths := map[string]bool{}, map[string]string{}
	for i, p := range in.Parameters {
		at := fmt.Sprintf("%s.inputs.parameters[%d]", path, i)
		k.once(at, p.Name, seen)
		k.enum(at, p)
	}
	seen = map[string]bool{}
	for i, a := range in.Artifacts {
		at := fmt.Sprintf("%s.inputs.artifacts[%d]", path, i)
		k.once(at, a.Name, seen)
		k.place(at, a)
		if other, taken := paths[a.Path]; taken && a.Path != "" && !tagged(a.Path) {
			k.errorf(at+".path", "%q is the path of artifact %q too", a.Path, other)
		}
		paths[a.Path] = a.Name
	}
}

// once says that a name must be there, and be the only one of its list.
func (k *linter) once(path, name string, seen map[string]bool) {
	switch {
	case name == "":
		k.errorf(path, "name is missing")
	case seen[name]:
		k.errorf(path+".name", "%q occurs twice", name)
	}
	seen[name] = true
}

func (k *linter) outputs(path string, t *v1alpha1.Template) {
	if t.Outputs == nil {
		return
	}
	calls, runs := t.Steps != nil || t.DAG != nil, t.Container != nil || t.Script != nil
	seen := map[string]bool{}
	for i, p := range t.Outputs.Parameters {
		at := fmt.Sprintf("%s.outputs.parameters[%d]", path, i)
		k.once(at, p.Name, seen)
		if p.Value == nil {
			k.outputParameter(at, p.ValueFrom, calls, runs)
		}
	}
	seen = map[string]bool{}
	for i, a := range t.Outputs.Artifacts {
		at := fmt.Sprintf("%s.outputs.artifacts[%d]", path, i)
		k.once(at, a.Name, seen)
		k.place(at, a)
		switch {
		case a.Git != nil:
			k.errorf(at+".git", "is for inputs; nothing is stored there")
		case calls && a.From == "" && a.FromExpression == "":
			k.errorf(at, "of steps and dag it must say from or fromExpression")
		case runs && a.Path == "":
			k.errorf(at, "path is missing")
		}
	}
}

// place checks what the place of an artifact must say: a driver is asked by the key. Source: Argo Workflows, its
// schema.
func (k *linter) place(path string, a v1alpha1.Artifact) {
	if a.Plugin != nil && a.Plugin.Key == "" {
		k.errorf(path+".plugin.key", "is missing")
	}
}

// outputParameter says where the value of an output may come from.
func (k *linter) outputParameter(path string, v *v1alpha1.ValueFrom, calls, runs bool) {
	switch {
	case v == nil:
		k.errorf(path, "valueFrom is missing")
	case calls && v.Parameter == "" && v.Expression == "":
		k.errorf(path+".valueFrom", "of steps and dag it must be parameter or expression")
	case runs && v.Path == "" && v.Default == nil && v.Expression == "":
		k.errorf(path+".valueFrom", "of a container it must be a path")
	}
}

func (k *linter) resource(path string, r *v1alpha1.ResourceTemplate) {
	actions := []string{"get", "create", "apply", "delete", "replace", "patch"}
	if r.Action == "" {
		k.errorf(path, "action is missing: one of %v", actions)
	} else if !tagged(r.Action) {
		k.oneOf(path+".action", r.Action, actions...)
	}
	k.oneOf(path+".mergeStrategy", r.MergeStrategy, "strategic", "merge", "json")
	byName := slices.Contains([]string{"get", "delete", "patch"}, r.Action) && len(r.Flags) > 0
	if r.Manifest == "" && r.ManifestFrom == nil && !byName {
		k.errorf(path, "manifest or manifestFrom is missing")
	}
}

// reserved are names of containers that the engine needs. Source: Argo Workflows.
var reserved = []string{"init", "wait", "supervisor"}

func (k *linter) containerSet(path string, t *v1alpha1.Template) {
	at, main := path+".containerSet", false
	known := map[string]bool{}
	for i, c := range t.ContainerSet.Containers {
		here := fmt.Sprintf("%s.containers[%d]", at, i)
		k.once(here, c.Name, known)
		if slices.Contains(reserved, c.Name) {
			k.errorf(here+".name", "%q is reserved", c.Name)
		}
		main = main || c.Name == "main"
	}
	after := map[string][]string{}
	for i, c := range t.ContainerSet.Containers {
		for j, d := range c.Dependencies {
			if !known[d] {
				k.errorf(fmt.Sprintf("%s.containers[%d].dependencies[%d]", at, i, j), "no container is named %q", d)
			}
		}
		after[c.Name] = c.Dependencies
	}
	if name := circle(after); name != "" {
		k.errorf(at, "container %q waits for itself", name)
	}
	exchanges := t.Outputs != nil && len(t.Outputs.Parameters)+len(t.Outputs.Artifacts) > 0 || t.Inputs != nil &&
		len(t.Inputs.Artifacts) > 0
	if exchanges && !main && len(t.ContainerSet.VolumeMounts) == 0 {
		k.errorf(at, `one container must be named "main", since it is the one whose files are inputs and outputs`)
	}
}

// circle returns a name that is reached from itself, "" when there is none.
func circle(after map[string][]string) string {
	state := map[string]int{}
	var visit func(name string) string
	visit = func(name string) string {
		switch state[name] {
		case 1:
			return name
		case 2:
			return ""
		}
		state[name] = 1
		for _, next := range after[name] {
			if found := visit(next); found != "" {
				return found
			}
		}
		state[name] = 2
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if found := visit(name); found != "" {
			return found
		}
	}
	return ""
}

// supplied reports whether a call gives what a template asks for.
func (k *linter) supplied(path string, t *v1alpha1.Template, args *v1alpha1.Arguments) {
	if t.Inputs == nil {
		return
	}
	given := map[string]bool{}
	if args != nil {
		for _, p := range args.Parameters {
			given["parameter "+p.Name] = true
		}
		for _, a := range args.Artifacts {
			given["artifact "+a.Name] = true
		}
	}
	for _, p := range t.Inputs.Parameters {
		if p.Value == nil && p.Default == nil && p.ValueFrom == nil && t.Suspend == nil && !given["parameter "+p.Name] {
			k.errorf(path, "template %q needs parameter %q", t.Name, p.Name)
		}
	}
	for _, a := range t.Inputs.Artifacts {
		if !a.Optional && !located(a) && !given["artifact "+a.Name] {
			k.errorf(path, "template %q needs artifact %q", t.Name, a.Name)
		}
	}
}

// located reports whether an artifact says itself where it comes from.
func located(a v1alpha1.Artifact) bool {
	l := a.ArtifactLocation
	return a.From != "" || a.FromExpression != "" || l.S3 != nil || l.Raw != nil || l.HTTP != nil || l.Git != nil ||
		l.GCS != nil || l.Azure != nil ||
		l.OSS != nil || l.HDFS != nil || l.Artifactory != nil || l.Plugin != nil || strings.HasPrefix(a.Name, "{{")
}
