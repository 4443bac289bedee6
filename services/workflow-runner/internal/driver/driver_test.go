package driver

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	ctrlfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func podsWith(data map[string]string, pods ...*corev1.Pod) *Pods {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "argosy", Name: ConfigMap}, Data: data}
	core := fake.NewClientset()
	for _, p := range pods {
		_ = core.Tracker().Add(p)
	}
	return &Pods{Core: core, Reader: ctrlfake.NewClientBuilder().WithObjects(config).Build(), Namespace: "argosy",
		Image: "bridge:1"}
}

func TestDriversAreThoseOfTheControllersConfigMap(t *testing.T) {
	for name, c := range map[string]struct {
		data map[string]string
		says string
	}{
		"by itself": {map[string]string{"artifactDrivers": "- {name: files, image: i}"}, ""},
		"within config": {map[string]string{"config": "artifactDrivers: [{name: files, image: i}]\nparallelism: 4"},
			""},
		"none": {nil, `there is no artifact driver "files"; artifactDrivers of ConfigMap argosy/workflow-controller-configmap has none`},
		"others": {map[string]string{"artifactDrivers": "[{name: a, image: i}, {name: b, image: i}]"},
			"has a, b"},
		"no image": {map[string]string{"artifactDrivers": "- {name: files}"}, "files has no image"},
		"no list":  {map[string]string{"artifactDrivers": "files"}, "artifactDrivers: "},
		"no YAML":  {map[string]string{"config": "a: [b"}, "config: "},
	} {
		d, err := podsWith(c.data).read(t.Context(), "files")
		switch {
		case c.says == "" && (err != nil || d.Image != "i"):
			t.Errorf("%s: %+v, %v", name, d, err)
		case c.says != "" && (err == nil || fault.Of(err) != fault.Poison || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := podsWith(map[string]string{"artifactDrivers": "- {name: ../x, image: i}"}).read(t.Context(),
		"../x"); err == nil || !strings.Contains(err.Error(), `name "../x"`) {
		t.Errorf("a name that is no name: %v", err)
	}
}

func TestThePodOfADriver(t *testing.T) {
	p := podsWith(nil)
	one := p.pod("ci", Driver{Name: "files", Image: "files:1"})
	driver := one.Spec.InitContainers[0]
	if driver.Image != "files:1" || *driver.RestartPolicy != corev1.ContainerRestartPolicyAlways ||
		strings.Join(driver.Args, " ") != "/artifact-plugins/files/socket" {
		t.Errorf("%+v", driver)
	}
	if one.Spec.Containers[0].Image != "bridge:1" || *one.Spec.SecurityContext.RunAsNonRoot != true ||
		one.Annotations[tokenAnnotation] == "" {
		t.Errorf("%+v", one)
	}
	if again := p.pod("ci", Driver{Name: "files", Image: "files:1"}); again.Name != one.Name {
		t.Errorf("%s and %s", one.Name, again.Name)
	}
	for what, other := range map[string]Driver{"image": {Name: "files", Image: "files:2"},
		"account": {Name: "files", Image: "files:1", ServiceAccount: "a"}} {
		if p.pod("ci", other).Name == one.Name {
			t.Errorf("another %s has the same pod", what)
		}
	}
	if long := p.pod("ci", Driver{Name: strings.Repeat("a", 63), Image: "i"}); len(long.Name) > 63 {
		t.Error(long.Name)
	}
}

// at is a pod of the driver, in a phase.
func at(p *Pods, phase corev1.PodPhase) *corev1.Pod {
	pod := p.pod("ci", Driver{Name: "files", Image: "i"})
	pod.Status.Phase = phase
	return pod
}

func TestAPodThatEndedIsMadeAgain(t *testing.T) {
	p := podsWith(nil, at(podsWith(nil), corev1.PodSucceeded))
	d := Driver{Name: "files", Image: "i"}
	if found, why, err := p.look(t.Context(), "ci", d); found.URL != "" || err != nil || why == "" {
		t.Fatal(found, why, err)
	}
	if _, _, err := p.look(t.Context(), "ci", d); err != nil {
		t.Fatal(err)
	}
	list, err := p.Core.CoreV1().Pods("ci").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Status.Phase == corev1.PodSucceeded {
		t.Errorf("%+v, %v", list.Items, err)
	}
}

func TestAPodOfSomebodyElseIsNotUsed(t *testing.T) {
	other := at(podsWith(nil), corev1.PodRunning)
	other.Annotations = nil
	if _, _, err := podsWith(nil, other).look(t.Context(), "ci", Driver{Name: "files", Image: "i"}); err == nil ||
		!strings.Contains(err.Error(), "of somebody else") {
		t.Error(err)
	}
}

func TestPodsThatEndedAreTidied(t *testing.T) {
	ended, running := at(podsWith(nil), corev1.PodSucceeded), at(podsWith(nil), corev1.PodRunning)
	running.Namespace = "other"
	p := podsWith(nil, ended, running)
	if err := p.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := p.Core.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Namespace != "other" {
		t.Errorf("%+v, %v", list.Items, err)
	}
}

func TestAnswersOfOthersAreNone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext}}
	res, err := (At{Client: client, URL: server.URL}).Do(context.Background(), http.MethodGet, protocol.BridgeReady, "",
		nil)
	if err == nil {
		_ = res.Body.Close()
		t.Fatal("it was taken for the bridge")
	}
	if !strings.Contains(err.Error(), "somebody else answered") {
		t.Error(err)
	}
}
