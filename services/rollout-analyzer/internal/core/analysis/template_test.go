package analysis

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func ref(name string) v1alpha1.AnalysisTemplateRef {
	return v1alpha1.AnalysisTemplateRef{TemplateName: name}
}

func arg(name, value string) v1alpha1.Argument {
	a := v1alpha1.Argument{Name: name}
	if value != "" {
		a.Value = v1alpha1.AnyStringPtr(value)
	}
	return a
}

func resolveNothing(v1alpha1.ArgumentValueFrom) (string, error) { return "resolved", nil }

func TestMerge(t *testing.T) {
	templates := Templates{
		ref("a"): {
			Metrics:   []v1alpha1.Metric{metric("one", "interval=1m failureLimit=3")},
			Args:      []v1alpha1.Argument{arg("x", ""), arg("y", "dflt")},
			Templates: []v1alpha1.AnalysisTemplateRef{ref("b"), ref("a")},
		},
		ref("b"): {
			Metrics: []v1alpha1.Metric{metric("two", "")}, Args: []v1alpha1.Argument{arg("x", "")},
		},
		ref("twin"):                             {Metrics: []v1alpha1.Metric{metric("two", "")}},
		ref("other"):                            {Args: []v1alpha1.Argument{arg("y", "else")}},
		{TemplateName: "c", ClusterScope: true}: {Metrics: []v1alpha1.Metric{metric("three", "")}},
	}
	given := []v1alpha1.AnalysisRunArgument{
		{Name: "x", Value: v1alpha1.AnyStringPtr("1")}, {Name: "unused", Value: v1alpha1.AnyStringPtr("2")},
	}
	spec, err := Merge(
		v1alpha1.RolloutAnalysis{
			Templates: []v1alpha1.AnalysisTemplateRef{ref("a"), {TemplateName: "c", ClusterScope: true}},
			Args:      given,
		},
		templates,
		resolveNothing,
		true,
	)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range spec.Metrics {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]v1alpha1.Argument{arg("x", "1"), arg("y", "dflt")}, spec.Args); diff != "" {
		t.Error(diff)
	}
	if got := spec.Metrics[0].Count.String(); got != "4" {
		t.Errorf("an inline metric without an end is measured %s times", got)
	}
	warnings, err := CheckRollout(
		v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{ref("a")}, Args: given}, templates,
		resolveNothing, true,
	)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], `"one"`) ||
		!strings.Contains(warnings[0], "measured 4 times") {
		t.Errorf("warnings %q, %v", warnings, err)
	}
	for what, refs := range map[string][]v1alpha1.AnalysisTemplateRef{
		`argument "x" has no value`:              {ref("b")},
		`two metrics have the name "two"`:        {ref("b"), ref("twin")},
		`argument "y" has two different`:         {ref("a"), ref("other")},
		`AnalysisTemplate "gone" is not there`:   {ref("gone")},
		`ClusterAnalysisTemplate "a" is not the`: {{TemplateName: "a", ClusterScope: true}},
		`no template has a metric`:               {ref("other")},
	} {
		_, err := Merge(v1alpha1.RolloutAnalysis{Templates: refs}, templates, resolveNothing, false)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
}

func TestFromRollout(t *testing.T) {
	ro := &v1alpha1.Rollout{}
	ro.Name = "shop"
	ro.Labels = map[string]string{"a.b/c": "label"}
	ro.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "shop:v1"}}
	ro.Spec.MinReadySeconds = 7
	for path, want := range map[string]string{
		"metadata.name": "shop", "metadata.labels['a.b/c']": "label",
		"spec.template.spec.containers[0].image": "shop:v1", "spec.minReadySeconds": "7",
	} {
		got, err := FromRollout(ro, v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: path}}, "", "")
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for name, want := range map[string]string{"Latest": "l", "Stable": "s"} {
		got, err := FromRollout(ro, v1alpha1.ArgumentValueFrom{PodTemplateHashValue: &name}, "l", "s")
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for path, want := range map[string]string{
		"metadata.labels": `a.b/c="label"`, "metadata.labels['gone']": "", "metadata.annotations": "",
	} {
		got, err := FromRollout(ro, v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: path}}, "", "")
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for _, path := range []string{
		"spec.nothing", "spec.template.spec.containers[9].image", "spec[[", "", "metadata.name]", "spec..x", "[-1]",
	} {
		if _, err := FromRollout(
			ro, v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: path}}, "", "",
		); err == nil {
			t.Errorf("%s: found", path)
		}
	}
	if _, err := FromRollout(ro, v1alpha1.ArgumentValueFrom{}, "", ""); err == nil {
		t.Error("an empty source was taken")
	}
}

func TestSubstitute(t *testing.T) {
	m := v1alpha1.Metric{Name: "m", SuccessCondition: "result > {{ args.least }}", Provider: v1alpha1.MetricProvider{
		Prometheus: &v1alpha1.PrometheusMetric{Query: `rate{service="{{args.service-name}}"}`}}}
	got, err := Substitute(m, map[string]string{"least": "0.9", "service-name": `a"b\c`})
	if err != nil {
		t.Fatal(err)
	}
	if got.SuccessCondition != "result > 0.9" || got.Provider.Prometheus.Query != `rate{service="a"b\c"}` {
		t.Errorf("got %q, %q", got.SuccessCondition, got.Provider.Prometheus.Query)
	}
	if _, err := Substitute(m, map[string]string{"least": "1"}); err == nil ||
		!strings.Contains(err.Error(), "args.service-name") {
		t.Errorf("a missing argument: %v", err)
	}
}
