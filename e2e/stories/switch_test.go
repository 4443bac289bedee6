package stories

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/e2e/world"
	"github.com/argosy-mesh/argosy/libs/kube/object"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// edge is where the gateway of the demo is reached from this machine.
	edge = "http://127.0.0.1:30082/"
	// perSecond is how many requests users send.
	perSecond = 500
	switches  = "switches"
)

// users send requests to one host name all the time and count what goes wrong.
type users struct {
	host         string
	sent, failed atomic.Int64
	last         atomic.Value
	stop         context.CancelFunc
	done         sync.WaitGroup
}

// visit begins to send requests until leave is called.
func visit(ctx context.Context, host string) *users {
	ctx, stop := context.WithCancel(ctx)
	u := &users{host: host, stop: stop}
	const crowd = 25
	for range crowd {
		u.done.Go(func() {
			c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			tick := time.NewTicker(time.Second * crowd / perSecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if err := u.ask(ctx, c); err != nil && ctx.Err() == nil {
					u.failed.Add(1)
					u.last.Store(err.Error())
				}
			}
		})
	}
	return u
}

func (u *users) ask(ctx context.Context, c *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, edge, http.NoBody)
	if err != nil {
		return err
	}
	req.Host = u.host
	u.sent.Add(1)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// leave stops the requests and fails when one was lost.
func (u *users) leave(t *testing.T) {
	t.Helper()
	u.stop()
	u.done.Wait()
	t.Logf("%s: %d requests, %d failed", u.host, u.sent.Load(), u.failed.Load())
	if u.failed.Load() > 0 || u.sent.Load() == 0 {
		t.Errorf("%s: %d of %d requests failed, the last: %v", u.host, u.failed.Load(), u.sent.Load(), u.last.Load())
	}
}

// TestNoRequestIsLostWhenVersionsChange plays a blue-green switch and the way back, and a canary with services that
// swap their roles through an abort, a retry and a promotion, under load from outside all the while.
func TestNoRequestIsLostWhenVersionsChange(t *testing.T) {
	w := world.Open(t)
	t.Cleanup(func() {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: switches}}
		if err := w.Kube.Delete(w.Context(), ns); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	image := appImage(t, w)
	t.Run("blue-green", func(t *testing.T) { blueGreen(t, w, image) })
	t.Run("ping-pong", func(t *testing.T) { pingPong(t, w, image) })
}

// appImage is the image of the demo's app that users see now: the newest one may be one that fails on purpose.
func appImage(t *testing.T, w *world.World) string {
	t.Helper()
	list := object.NewList("Rollout")
	if err := w.Kube.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](list.Items[i].Object)
		rs := &appsv1.ReplicaSet{}
		key := client.ObjectKey{Namespace: ro.Namespace, Name: ro.Name + "-" + ro.Status.StableRS}
		if ro.Name == "web" && w.Kube.Get(t.Context(), key, rs) == nil {
			return rs.Spec.Template.Spec.Containers[0].Image
		}
	}
	t.Fatal("the demo has no Rollout web with stable pods")
	return ""
}

// changing applies a Rollout of the demo's app with the services and the route that a strategy needs.
func changing(t *testing.T, w *world.World, name, image, strategy string, services ...string) {
	t.Helper()
	var docs []string
	docs = append(docs, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", switches))
	backends := ""
	for i, s := range services {
		docs = append(docs, fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: %s}
spec: {selector: {app: %s}, ports: [{port: 80, targetPort: 8080}]}`, s, switches, name))
		if i < 2 {
			backends += fmt.Sprintf("{name: %s, port: 80, weight: %d},", s, 100*(1-i))
		}
	}
	docs = append(docs, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: %s}
spec:
  hostnames: [%s.example]
  parentRefs: [{name: demo, namespace: argosy-demo}]
  rules: [{backendRefs: [%s]}]`, name, switches, name, backends), fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: %s, namespace: %s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %s}}
  template:
    metadata: {labels: {app: %s}, annotations: {round: "1"}}
    spec:
      terminationGracePeriodSeconds: 15
      containers:
      - name: web
        image: %s
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}}
  strategy:
%s`, name, switches, name, name, image, strategy))
	for _, doc := range docs {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := w.Kube.Create(t.Context(), u); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	phase(t, w, name, v1alpha1.RolloutHealthy)
	w.Await("the gateway knows "+name, time.Minute, func() error {
		return (&users{host: name + ".example"}).ask(t.Context(), http.DefaultClient)
	})
}

// phase waits until a Rollout is in a phase that it wrote about its newest version.
func phase(t *testing.T, w *world.World, name string, want v1alpha1.RolloutPhase) *v1alpha1.Rollout {
	t.Helper()
	var out *v1alpha1.Rollout
	w.Await(name+" is "+string(want), 2*time.Minute, func() error {
		u := object.New("Rollout")
		if err := w.Kube.Get(t.Context(), client.ObjectKey{Namespace: switches, Name: name}, u); err != nil {
			return err
		}
		ro, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Rollout](u.Object)
		out = ro
		if ro.Status.Phase != want || ro.Status.ObservedGeneration != fmt.Sprint(ro.Generation) {
			return fmt.Errorf(
				"%s %q, generation %s of %d",
				ro.Status.Phase,
				ro.Status.Message,
				ro.Status.ObservedGeneration,
				ro.Generation,
			)
		}
		return nil
	})
	return out
}

// tell changes a Rollout, or its status, as a person would.
func tell(t *testing.T, w *world.World, name, body string) {
	t.Helper()
	u := object.Named("Rollout", switches, name)
	patch := client.RawPatch("application/merge-patch+json", []byte(body))
	var err error
	if strings.HasPrefix(body, `{"status"`) {
		err = w.Kube.Status().Patch(t.Context(), u, patch)
	} else {
		err = w.Kube.Patch(t.Context(), u, patch)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func round(n int) string {
	return fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}}}}}`, n)
}

func blueGreen(t *testing.T, w *world.World, image string) {
	changing(t, w, "switch", image, `    blueGreen:
      activeService: switch-active
      previewService: switch-preview
      autoPromotionEnabled: false
      scaleDownDelaySeconds: 10
`, "switch-active", "switch-preview")
	// Only the active service is asked: the route of the other one is taken away by its weight of 0.
	crowd := visit(w.Context(), "switch.example")
	tell(t, w, "switch", round(2))
	phase(t, w, "switch", v1alpha1.RolloutPaused)
	tell(t, w, "switch", `{"status":{"pauseConditions":null}}`)
	second := phase(t, w, "switch", v1alpha1.RolloutHealthy)
	tell(t, w, "switch", round(1))
	back := phase(t, w, "switch", v1alpha1.RolloutHealthy)
	if back.Status.StableRS == second.Status.StableRS {
		t.Errorf("it is not back: %+v", back.Status)
	}
	crowd.leave(t)
}

func pingPong(t *testing.T, w *world.World, image string) {
	changing(t, w, "shift", image, `    canary:
      pingPong: {pingService: shift-ping, pongService: shift-pong}
      scaleDownDelaySeconds: 5
      abortScaleDownDelaySeconds: 1
      trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: shift}}}
      steps: [{setWeight: 50}, {pause: {}}]
`, "shift-ping", "shift-pong")
	crowd := visit(w.Context(), "shift.example")
	tell(t, w, "shift", round(2))
	phase(t, w, "shift", v1alpha1.RolloutPaused)
	tell(t, w, "shift", `{"status":{"abort":true}}`)
	phase(t, w, "shift", v1alpha1.RolloutDegraded)
	tell(t, w, "shift", `{"status":{"abort":false}}`)
	phase(t, w, "shift", v1alpha1.RolloutPaused)
	tell(t, w, "shift", `{"status":{"pauseConditions":null}}`)
	if ro := phase(t, w, "shift", v1alpha1.RolloutHealthy); ro.Status.Canary.StablePingPong != v1alpha1.PingPongPong {
		t.Errorf("the services did not swap: %+v", ro.Status.Canary)
	}
	tell(t, w, "shift", round(3))
	phase(t, w, "shift", v1alpha1.RolloutPaused)
	tell(t, w, "shift", `{"status":{"pauseConditions":null}}`)
	phase(t, w, "shift", v1alpha1.RolloutHealthy)
	crowd.leave(t)
}
