package task

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// installedAt is a cluster with one plugin, whose pod is there already and listens at the address of a server.
func installedAt(t *testing.T, server *httptest.Server, j Job) *pluginRunner {
	t.Helper()
	one := plugin{name: "hello", sidecar: v1alpha1.ExecutorPluginSidecar{
		Container: corev1.Container{Ports: []corev1.ContainerPort{{ContainerPort: portOf(t, server)}}}}}
	pod := pluginPod(j, one, pluginPodName(j, one))
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "127.0.0.1"}
	return &pluginRunner{dial: Dialer(true),
		pods: &pluginPods{core: fake.NewClientset(pod),
			announce: func(context.Context, string, string, string) error { return nil }}}
}

func portOf(t *testing.T, server *httptest.Server) int32 {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

func TestAnswersOfPlugins(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string // "503" is a status, anything else a body
		phase   v1alpha1.NodePhase
		says    string
	}{
		"done": {[]string{`{"node": {"phase": "Succeeded", "message": "fine"}}`}, v1alpha1.NodeSucceeded,
			"fine"},
		"failed": {[]string{`{"node": {"phase": "Failed", "message": "no"}}`}, v1alpha1.NodeFailed, "no"},
		"done later": {[]string{`{"node": {"phase": "Running"}, "requeue": "1ms"}`,
			`{"node": {"phase": "Succeeded"}}`}, v1alpha1.NodeSucceeded, ""},
		"busy at first":       {[]string{"503", `{"node": {"phase": "Succeeded"}}`}, v1alpha1.NodeSucceeded, ""},
		"not its work":        {[]string{"404"}, v1alpha1.NodeFailed, "of hello, none does this work"},
		"no answer":           {[]string{`{}`}, v1alpha1.NodeFailed, "of hello, none does this work"},
		"neither end nor way": {[]string{`{"node": {"phase": "Running"}}`}, v1alpha1.NodeFailed, "without requeue"},
		"breaks":              {[]string{"500"}, v1alpha1.NodeFailed, "it answered 500"},
		"no JSON":             {[]string{`<html>`}, v1alpha1.NodeFailed, "its answer"},
		"too large": {[]string{`{"node": "` + strings.Repeat("x", answerLimit) + `"}`}, v1alpha1.NodeFailed,
			"more than"},
		"sends us elsewhere": {[]string{"302"}, v1alpha1.NodeFailed, "it answered 302"},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				answer := c.answers[min(int(n.Add(1)), len(c.answers))-1]
				if code, err := strconv.Atoi(answer); err == nil {
					w.Header().Set("Location", "http://127.0.0.1:1/")
					w.WriteHeader(code)
					return
				}
				_, _ = w.Write([]byte(answer))
			}))
			defer server.Close()
			j := Job{Run: "u", Node: "n", Namespace: "ns", Workflow: "wf",
				Template: v1alpha1.Template{Plugin: json.RawMessage(`{"hello": {}}`)}}
			j.Spec = &v1alpha1.WorkflowSpec{ExecutorPlugins: []v1alpha1.ExecutorPlugin{{
				Metadata: metav1.ObjectMeta{Name: "hello"},
				Spec: v1alpha1.ExecutorPluginSpec{Sidecar: v1alpha1.ExecutorPluginSidecar{
					Container: corev1.Container{Ports: []corev1.ContainerPort{{ContainerPort: portOf(t, server)}}}}}}}}
			end := installedAt(t, server, j).do(t.Context(), j)
			if end.Phase != c.phase || !strings.Contains(end.Message, c.says) {
				t.Errorf("%s: %s", end.Phase, end.Message)
			}
		})
	}
}

func TestPluginsThatCannotBeAsked(t *testing.T) {
	broken := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "bad", Name: "x-executor-plugin",
		Labels: map[string]string{pluginTypeLabel: pluginType}},
		Data: map[string]string{"sidecar.container": "{image: [}"}}
	portless := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "all", Name: "x-executor-plugin",
		Labels: map[string]string{pluginTypeLabel: pluginType}},
		Data: map[string]string{"sidecar.container": "{name: x, image: y}"}}
	for name, c := range map[string]struct {
		namespace, everywhere, plugin, says string
		phase                               v1alpha1.NodePhase
	}{
		"none":           {"ns", "none", `{"x": {}}`, "none is installed", v1alpha1.NodeFailed},
		"broken":         {"bad", "", `{"x": {}}`, "sidecar.container", v1alpha1.NodeError},
		"another broken": {"bad", "", `{"y": {}}`, "none is installed", v1alpha1.NodeFailed},
		"without a port": {"ns", "all", `{"x": {}}`, "names no port", v1alpha1.NodeError},
		"two keys":       {"ns", "", `{"x": {}, "y": {}}`, "it has 2 keys", v1alpha1.NodeFailed},
		"a list":         {"ns", "", `[]`, "cannot unmarshal", v1alpha1.NodeFailed},
	} {
		d := &pluginRunner{dial: Dialer(true), pods: &pluginPods{core: fake.NewClientset(broken, portless),
			namespace: c.everywhere}}
		end := d.do(t.Context(), Job{Namespace: c.namespace, Workflow: "wf",
			Template: v1alpha1.Template{Plugin: json.RawMessage(c.plugin)}})
		if end.Phase != c.phase || !strings.Contains(end.Message, c.says) {
			t.Errorf("%s: %s %s", name, end.Phase, end.Message)
		}
	}
}

func TestNamesOfPluginPods(t *testing.T) {
	j := Job{Run: "u", Workflow: strings.Repeat("w", 70)}
	a, b := pluginPodName(j, plugin{name: "a"}), pluginPodName(j, plugin{name: "b"})
	if a == b || len(a) > 63 {
		t.Errorf("%s (%d), %s", a, len(a), b)
	}
}

func TestAPluginThatEndedIsMadeAnew(t *testing.T) {
	j := Job{Run: "u", Namespace: "ns", Workflow: "wf"}
	one := plugin{name: "hello", sidecar: v1alpha1.ExecutorPluginSidecar{
		Container: corev1.Container{Ports: []corev1.ContainerPort{{ContainerPort: 1}}}}}
	pod := pluginPod(j, one, pluginPodName(j, one))
	pod.Status.Phase = corev1.PodFailed
	pods := &pluginPods{core: fake.NewClientset(pod),
		announce: func(context.Context, string, string, string) error { return nil }}
	first, err := pods.ensure(t.Context(), j, one)
	if err != nil || first.address != "" {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := pods.ensure(t.Context(), j, one)
	if err != nil || second.token == "" || second.token == first.token {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestPluginsAreConfinedUnlessTheySayOtherwise(t *testing.T) {
	runtimeDefault, local := corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
	for name, c := range map[string]struct {
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		want      corev1.PodSecurityContext
	}{
		"says nothing": {nil, nil, corev1.PodSecurityContext{RunAsUser: new(int64(8737)),
			RunAsNonRoot: new(true), SeccompProfile: &runtimeDefault}},
		"wants no root": {nil, &corev1.SecurityContext{RunAsNonRoot: new(true)},
			corev1.PodSecurityContext{RunAsUser: new(int64(8737)), RunAsNonRoot: new(true),
				SeccompProfile: &runtimeDefault}},
		"is root": {nil, &corev1.SecurityContext{RunAsUser: new(int64(0))},
			corev1.PodSecurityContext{RunAsUser: new(int64(8737)), SeccompProfile: &runtimeDefault}},
		"of a workflow's user": {&corev1.PodSecurityContext{RunAsUser: new(int64(0)), SeccompProfile: &local}, nil,
			corev1.PodSecurityContext{RunAsUser: new(int64(0)), SeccompProfile: &local}},
		"of a workflow's rule": {&corev1.PodSecurityContext{RunAsNonRoot: new(false)}, nil,
			corev1.PodSecurityContext{RunAsUser: new(int64(8737)), RunAsNonRoot: new(false),
				SeccompProfile: &runtimeDefault}},
	} {
		j := Job{Run: "u", Namespace: "ns", Workflow: "wf", Spec: &v1alpha1.WorkflowSpec{SecurityContext: c.pod}}
		one := plugin{name: "hello", sidecar: v1alpha1.ExecutorPluginSidecar{
			Container: corev1.Container{SecurityContext: c.container}}}
		if diff := cmp.Diff(&c.want, pluginPod(j, one, "p").Spec.SecurityContext); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
