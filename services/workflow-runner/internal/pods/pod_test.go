package pods

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/artifact"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

func podOf(namespace, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name,
		Annotations: map[string]string{object.AnnotationExecutor: "true", object.AnnotationRun: "uid"}}}
}

// build makes the pod of the node "wf[0].a" with the template and spec given as YAML.
func build(t *testing.T, spec, template string) (*corev1.Pod, error) {
	t.Helper()
	wf := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "wf", UID: "uid"}}
	a := flow.CreatePod{NodeID: "id", NodeName: "wf[0].a", PodName: "wf-say-1"}
	for text, into := range map[string]any{spec: &wf.Spec, template: &a.Template} {
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	a.Spec = &wf.Spec
	known := &Images{known: map[string]imageProgram{"known": {Entrypoint: []string{"/entry"},
		Cmd: []string{"default"}}}}
	r := &Pods{Signer: &artifact.Signer{Base: "http://store", Key: []byte("k")}, Image: "executor:1", Images: known}
	return r.Build(t.Context(), wf, a, lineage.Lineage{Trace: "00-t", Correlation: "c", Causation: "before"})
}

func mustBuild(t *testing.T, spec, template string) *corev1.Pod {
	t.Helper()
	pod, err := build(t, spec, template)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func TestAPlainStepIsThePodOfItsContainer(t *testing.T) {
	pod := mustBuild(t, "entrypoint: main", "name: say\ncontainer: {image: busybox, command: [echo], args: [hi]}")
	main := pod.Spec.Containers[0]
	if len(pod.Spec.Containers) != 1 || len(pod.Spec.InitContainers) != 0 || len(pod.Spec.Volumes) != 0 {
		t.Errorf("something was added: %+v", pod.Spec)
	}
	if main.Name != "main" || main.Image != "busybox" || !slices.Equal(main.Command, []string{"echo"}) ||
		!slices.Equal(main.Args, []string{"hi"}) {
		t.Errorf("%+v", main)
	}
	if pod.Name != "wf-say-1" || pod.Namespace != "ns" || pod.Spec.RestartPolicy != corev1.RestartPolicyNever ||
		pod.OwnerReferences[0].UID != "uid" {
		t.Errorf("%+v", pod)
	}
	var env []string
	for _, v := range main.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	want := []string{"ARGOSY_CAUSATIONID=before", "ARGOSY_CORRELATIONID=c", "ARGOSY_TRACEPARENT=00-t"}
	if diff := cmp.Diff(want, env); diff != "" {
		t.Errorf("lineage (-want +got):\n%s", diff)
	}
}

func TestAStepWithOutputsIsWrapped(t *testing.T) {
	pod := mustBuild(t, "entrypoint: main", `
name: say
container: {image: busybox, command: [sh, -c], args: [make]}
outputs:
  parameters: [{name: tag, valueFrom: {path: /tmp/tag, default: none}}]
  artifacts: [{name: out, path: /tmp/out, archive: {none: {}}, s3: {key: out}}]
`)
	main := pod.Spec.Containers[0]
	if !slices.Equal(main.Command, []string{protocol.ExecutorPath}) ||
		!slices.Equal(main.Args, []string{"run", "--", "sh", "-c", "make"}) {
		t.Errorf("%v %v", main.Command, main.Args)
	}
	task := taskOf(t, main)
	if len(task.Parameters) != 1 || !task.Parameters[0].Optional || len(task.Artifacts) != 1 ||
		!task.Artifacts[0].Plain ||
		task.Result {
		t.Errorf("%+v", task)
	}
	if init := pod.Spec.InitContainers[0]; init.Image != "executor:1" || !slices.Equal(init.Args, []string{"load"}) {
		t.Errorf("%+v", init)
	}
	if pod.Annotations[object.AnnotationExecutor] != "true" {
		t.Error("the pod does not say that it is wrapped")
	}
}

func taskOf(t *testing.T, c corev1.Container) protocol.Task {
	t.Helper()
	var task protocol.Task
	for _, v := range c.Env {
		if v.Name == protocol.TaskVariable {
			if err := json.Unmarshal([]byte(v.Value), &task); err != nil {
				t.Fatal(err)
			}
		}
	}
	return task
}

func TestAScriptWithoutSourceIsItsContainer(t *testing.T) {
	for source, want := range map[string][]string{"": {"echo", "[]"}, "x": {"echo", "[]", protocol.ScriptPath}} {
		pod := mustBuild(t, "entrypoint: main",
			"name: gen\nscript: {image: known, args: [echo, '[]'], source: '"+source+"'}")
		main := pod.Spec.Containers[0]
		if _, annotated := pod.Annotations[object.AnnotationScript]; !slices.Equal(main.Args, want) ||
			annotated != (source != "") || len(main.VolumeMounts) != len(want)-2 {
			t.Errorf("source %q: args %q, annotated %v, mounts %v", source, main.Args, annotated, main.VolumeMounts)
		}
	}
	pod := mustBuild(t, "templates: [{name: main, container: {image: x, args: ['{{steps.a.outputs.result}}']}}]",
		"name: gen\nscript: {image: known, args: [echo, '[]']}")
	if args := pod.Spec.Containers[0].Args; !slices.Equal(args, []string{"run", "--", "/entry", "echo", "[]"}) {
		t.Errorf("behind the executor: %q", args)
	}
}

func TestTheResultIsCollectedWhenSomebodyAsks(t *testing.T) {
	const template = "name: say\nscript: {image: busybox, command: [sh], source: echo}"
	steps := func(text string) string {
		return "templates: [{name: main, container: {image: x, args: ['" + text + "']}}]"
	}
	cases := map[string]bool{
		"nothing": false, "{{steps.a.outputs.result}}": true, "{{tasks.a.outputs.result}}": true,
		"{{=steps[\"a\"]}}": false, "{{steps.b.outputs.result}}": false, "{{steps.a.outputs.parameters.x}}": false,
	}
	for text, want := range cases {
		pod := mustBuild(t, steps(text), template)
		if got := pod.Annotations[object.AnnotationExecutor] == "true"; got != want {
			t.Errorf("%s: collected %v", text, got)
		}
	}
}

func TestInputsAreLoadedAndMounted(t *testing.T) {
	pod := mustBuild(t, "entrypoint: main", `
name: say
container: {image: busybox}
inputs:
  artifacts:
  - {name: code, path: /src, s3: {key: wf/code.tgz}}
  - {name: note, path: /note, raw: {data: hello}}
  - {name: maybe, path: /maybe, optional: true}
`)
	task := taskOf(t, pod.Spec.InitContainers[0])
	if len(task.Inputs) != 2 || task.Inputs[0].URL == "" || task.Inputs[1].Raw != "hello" || !task.Inputs[1].Plain {
		t.Errorf("%+v", task.Inputs)
	}
	main := pod.Spec.Containers[0]
	if len(main.Command) != 0 || len(main.VolumeMounts) != 2 || main.VolumeMounts[0].MountPath != "/src" ||
		main.VolumeMounts[0].SubPath != "inputs/code" {
		t.Errorf("%+v", main)
	}
	if taskOf(t, main).ReportURL != "" {
		t.Error("a program that is not wrapped has URLs")
	}
}

func TestAnEntrypointThatIsNotKnownIsAnError(t *testing.T) {
	_, err := build(t, "entrypoint: main", "name: say\ncontainer: {image: busybox}\noutputs: {artifacts: [{name: o, path: /o, s3: {key: o}}]}")
	if err == nil || !strings.Contains(err.Error(), `template "say"`) || !strings.Contains(err.Error(), "command") {
		t.Errorf("%v", err)
	}
}

func TestTheSmallerDeadlineCounts(t *testing.T) {
	ten := v1alpha1.Template{ActiveDeadlineSeconds: new(intstr.FromInt32(10))}
	cases := []struct {
		name     string
		template v1alpha1.Template
		workflow time.Duration
		want     int64
	}{
		{"none", v1alpha1.Template{}, 0, 0},
		{"its own", ten, 0, 10},
		{"its own is earlier", ten, time.Hour, 10},
		{"over", ten, -time.Minute, 1},
	}
	for _, c := range cases {
		a := flow.CreatePod{Template: c.template}
		if c.workflow != 0 {
			a.Deadline = time.Now().Add(c.workflow)
		}
		pod := &corev1.Pod{}
		setDeadline(pod, a)
		var got int64
		if pod.Spec.ActiveDeadlineSeconds != nil {
			got = *pod.Spec.ActiveDeadlineSeconds
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestStepNames(t *testing.T) {
	for node, want := range map[string]string{"wf[0].a": "a", "wf[0].a(0:x)(1)": "a", "wf.build": "build", "wf": "wf",
		"wf[0].a(0:x.y)": "a"} {
		if got := stepName(node); got != want {
			t.Errorf("%s: %s, want %s", node, got, want)
		}
	}
}

func TestPodsAsTheCoreSeesThem(t *testing.T) {
	ended := func(code int32, reason string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: "main",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}}
	}
	cases := []struct {
		name    string
		status  corev1.PodStatus
		phase   flow.PodPhase
		message string
		broken  bool
	}{
		{"new", corev1.PodStatus{}, flow.PodPending, "", false},
		{"no node", corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled,
			Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1"}}},
			flow.PodPending, "Unschedulable: 0/1", false},
		{"no image", corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
				Reason: "ErrImagePull", Message: "x"}}}}},
			flow.PodPending, "ErrImagePull: x", false},
		{"main ended well before the pod says so",
			corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: ended(0, "Completed")}, flow.PodSucceeded, "",
			false},
		{"main failed before the pod says so", corev1.PodStatus{Phase: corev1.PodRunning,
			ContainerStatuses: ended(3, "Error")}, flow.PodFailed, "Error (exit code 3)", false},
		{"out of memory", corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: ended(137, "OOMKilled")},
			flow.PodFailed, "OOMKilled (exit code 137)", false},
		{"evicted", corev1.PodStatus{Phase: corev1.PodFailed, Message: "evicted",
			ContainerStatuses: ended(137, "Error")},
			flow.PodFailed, "evicted", false},
		{"never ran", corev1.PodStatus{Phase: corev1.PodFailed, Reason: "NodeLost"}, flow.PodFailed,
			"pod failed: NodeLost",
			true},
		{"init failed", corev1.PodStatus{Phase: corev1.PodFailed,
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "init",
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1,
					Message: "no store"}}}}},
			flow.PodFailed,
			"init container init ended with exit code 1: no store", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1)}, Status: c.status}
			got, err := (&Pods{}).View(t.Context(), pod)
			if err != nil {
				t.Fatal(err)
			}
			if got.Phase != c.phase || got.Message != c.message || got.Broken != c.broken {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSetsAreJudgedByAllTheirContainers(t *testing.T) {
	second := func(n int64) metav1.Time { return metav1.Unix(n, 0) }
	type end struct {
		name    string
		code    int32
		at      int64
		reason  string
		message string
	}
	for name, c := range map[string]struct {
		ends    []end
		message string
	}{
		"another than main": {[]end{{"main", 0, 1, "", ""}, {"b", 5, 2, "Error", "{}"}},
			"container b: Error (exit code 5)"},
		"without main": {[]end{{"a", 0, 1, "", ""}, {"b", 3, 2, "Error", "{}"}},
			"container b: Error (exit code 3)"},
		"main itself": {[]end{{"main", 2, 1, "Error", "{}"}, {"b", 0, 2, "", ""}}, "Error (exit code 2)"},
		"main stopped for b": {[]end{{"main", 143, 1, "Error", `{"stopped": "b"}`}, {"b", 5, 2, "Error", "{}"}},
			"container b: Error (exit code 5)"},
		"main not begun for b": {[]end{{"main", 5, 3, "Error", `{"stopped": "b"}`}, {"b", 5, 2, "Error", "{}"}},
			"container b: Error (exit code 5)"},
		"killed without a word": {[]end{{"main", 137, 2, "Error", `{"stopped": "b"}`}, {"b", 137, 2, "OOMKilled", ""}},
			"container b: OOMKilled (exit code 137)"},
		"two by themselves": {[]end{{"main", 1, 5, "Error", "{}"}, {"b", 2, 4, "Error", "{}"}},
			"container b: Error (exit code 2)"},
		"each stopped for others": {[]end{{"a", 1, 4, "Error", `{"stopped": "b"}`},
			{"b", 2, 5, "Error", `{"stopped": "a"}`}},
			"container a: Error (exit code 1)"},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed,
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "sidecar",
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}}}}}}
		latest := int64(0)
		for _, e := range c.ends {
			latest = max(latest, e.at)
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: e.name})
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: e.name,
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: e.code,
					FinishedAt: second(e.at), Reason: e.reason, Message: e.message}}})
		}
		got, err := (&Pods{}).View(t.Context(), pod)
		if err != nil || got.Phase != flow.PodFailed || got.Broken || got.Message != c.message ||
			got.FinishedAt.Unix() != latest {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWhatAnImageRunsIsLookedUpWhenOutputsAreCollected(t *testing.T) {
	const outputs = "outputs: {artifacts: [{name: o, path: /o, s3: {key: o}}]}"
	for container, want := range map[string][]string{
		"{image: 'known:v1'}":                                 {"run", "--", "/entry", "default"},
		"{image: 'known:v1', args: [own]}":                    {"run", "--", "/entry", "own"},
		"{image: 'host:5000/other', command: [c], args: [a]}": {"run", "--", "c", "a"},
	} {
		pod := mustBuild(t, "entrypoint: main", "name: say\ncontainer: "+container+"\n"+outputs)
		if got := pod.Spec.Containers[0].Args; !slices.Equal(got, want) {
			t.Errorf("%s runs %v, want %v", container, got, want)
		}
	}
}

func TestContainersOfASetWaitForEachOther(t *testing.T) {
	pod := mustBuild(t, "entrypoint: main", `
name: set
containerSet:
  volumeMounts: [{name: work, mountPath: /work}]
  containers:
  - {name: a, image: i, command: [one]}
  - {name: main, image: i, command: [two], dependencies: [a]}
outputs: {parameters: [{name: p, valueFrom: {path: /p}}]}`)
	if got := pod.Spec.Containers[1].Args; !slices.Equal(got,
		[]string{"run", "--name", "main", "--after", "a", "--", "two"}) {
		t.Errorf("main runs %v", got)
	}
	for _, c := range pod.Spec.Containers {
		if len(c.VolumeMounts) != 2 || c.VolumeMounts[0].Name != "work" ||
			c.VolumeMounts[1].MountPath != protocol.StagingDir {
			t.Errorf("%s mounts %+v", c.Name, c.VolumeMounts)
		}
	}
	if task := pod.Spec.Containers[0].Env; task[0].Value != "{}" {
		t.Errorf("a container whose outputs nobody wants has a task: %v", task[0])
	}
}

func TestPodSpecPatchesAreMerged(t *testing.T) {
	pod := mustBuild(t, `
podSpecPatch: '{"terminationGracePeriodSeconds": 1}'`, `
name: say
podSpecPatch: |
  containers:
  - name: main
    resources: {limits: {memory: 10Mi}}
container: {image: i, command: [c]}`)
	if memory := pod.Spec.Containers[0].Resources.Limits.Memory().String(); memory != "10Mi" ||
		*pod.Spec.TerminationGracePeriodSeconds != 1 {
		t.Errorf("%+v", pod.Spec)
	}
	if _, err := build(t, "podSpecPatch: '{'", "name: say\ncontainer: {image: i}"); err == nil {
		t.Error("a patch that is no YAML is taken")
	}
}

func TestAPodHoldsNoKeys(t *testing.T) {
	pod := mustBuild(t, "entrypoint: main", `
name: say
container: {image: busybox, command: [sh]}
inputs: {artifacts: [{name: in, path: /in, s3: {endpoint: e, bucket: b, key: k, `+storetest.KeyFields+`}}]}
outputs: {artifacts: [{name: out, path: /out, archive: {zip: {}}, s3: {endpoint: e, bucket: b, key: k2, `+storetest.KeyFields+`}}]}
`)
	load, run := taskOf(t, pod.Spec.InitContainers[0]), taskOf(t, pod.Spec.Containers[0])
	if len(load.Inputs) != 1 || !load.Inputs[0].Direct || len(run.Inputs) != 0 || len(run.Artifacts) != 1 ||
		!run.Artifacts[0].Direct || !run.Artifacts[0].Zip {
		t.Errorf("%+v\n%+v", load, run)
	}
	if text := string(object.JSON(pod)); strings.Contains(text, "X-Amz") || strings.Contains(text, "secretKeyRef") {
		t.Errorf("%s", text)
	}
}

func TestAReportIsReadByItsOwnPodOnly(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	r := &Pods{Bus: b}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.Objects(bus.ArtifactsBucket).Put(ctx, reportKey("ns", "mine", "uid"),
		strings.NewReader(`{"result":"stored"}`)); err != nil {
		t.Fatal(err)
	}
	pod := podOf("ns", "mine")
	report, err := r.report(ctx, pod, `{"stored":true}`)
	if err != nil || report.Result == nil || *report.Result != "stored" {
		t.Errorf("%+v, %v", report, err)
	}
	if report, err = r.report(ctx, podOf("ns", "other"), `{"stored":true}`); err != nil || report.Error == "" {
		t.Errorf("another pod: %+v, %v", report, err)
	}
	if report, err = r.report(ctx, pod, `half a rep`); err != nil || report.Error == "" {
		t.Errorf("no report: %+v, %v", report, err)
	}
	pod.Annotations[object.AnnotationExecutor] = ""
	if report, err = r.report(ctx, pod, `the program's own words`); report != nil || err != nil {
		t.Errorf("without the executor: %+v, %v", report, err)
	}
}
