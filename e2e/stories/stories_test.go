// Package stories holds what is promised to users, played on a real node.
package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/e2e/world"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/tools/demo/demo"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func version(t *testing.T) string { return fmt.Sprintf("%s-%d", t.Name()[4:], time.Now().UnixMilli()) }

// usersSee waits until every answer is of one version.
func usersSee(t *testing.T, w *world.World, want string) {
	t.Helper()
	w.Await("users see only "+want, time.Minute, func() error {
		if err := w.Demo.Reset(t.Context()); err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-t.Context().Done():
		}
		s, err := w.Demo.Stats(t.Context())
		if err != nil {
			return err
		}
		if s.Requests == 0 || s.Failed > 0 || s.Versions[want] != s.Requests {
			return fmt.Errorf("%d requests, %d failed, versions %v", s.Requests, s.Failed, s.Versions)
		}
		return nil
	})
}

func TestGoodCommitIsPromoted(t *testing.T) {
	w := world.Open(t)
	v := version(t)
	if err := w.Demo.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	change := w.Push(demo.Settings{Version: v})
	change.Await(events.FactRolloutPromoted)
	s, err := w.Demo.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Failed > 0 || s.Requests == 0 {
		t.Errorf("%d of %d requests failed on the way: %s", s.Failed, s.Requests, s.LastErr)
	}
	usersSee(t, w, v)
	change.Once(t)
}

func TestBadCommitIsAbortedAndUsersKeepTheOldVersion(t *testing.T) {
	w := world.Open(t)
	good := version(t)
	w.Push(demo.Settings{Version: good}).Await(events.FactRolloutPromoted)
	usersSee(t, w, good)
	w.Rest()
	bad := w.Push(demo.Settings{Version: good + "-bad", FaultRate: 0.5})
	bad.Await(events.FactRolloutAborted)
	usersSee(t, w, good)
	if n := len(bad.Facts(events.FactRolloutPromoted)); n != 0 {
		t.Error("the bad commit was promoted")
	}
	bad.Once(t)
}

func TestKillOfEachServiceInTurnChangesNothing(t *testing.T) {
	w := world.Open(t)
	v := version(t)
	change := w.Push(demo.Settings{Version: v})
	w.Kill("webhook-ingest")
	change.AwaitPush()
	w.Kill("sensor")
	change.Await(events.FactStepStarted)
	w.Kill("workflow-runner")
	change.Await(events.FactImageCommitted)
	w.Kill("sync-agent")
	change.Await(events.FactRolloutWeighted)
	w.Kill("rollout-analyzer")
	change.Await(events.FactRolloutPromoted)
	usersSee(t, w, v)
	w.Rest()
	change.Once(t)
}

func TestNothingIsLostWhenTheBusRestartsDuringAPush(t *testing.T) {
	w := world.Open(t)
	v := version(t)
	w.KillContainer("nats-server")
	change := w.Push(demo.Settings{Version: v})
	change.Await(events.FactRolloutPromoted)
	usersSee(t, w, v)
	change.Once(t)
}

func TestTheSameDeliveryThreeTimesIsOneWorkflow(t *testing.T) {
	w := world.Open(t)
	var secret corev1.Secret
	if err := w.Kube.Get(
		t.Context(), client.ObjectKey{Namespace: "ci", Name: "github-webhook-secret"}, &secret,
	); err != nil {
		t.Fatal(err)
	}
	var ingest corev1.Service
	if err := w.Kube.Get(
		t.Context(), client.ObjectKey{Namespace: "argosy", Name: "webhook-ingest"}, &ingest,
	); err != nil {
		t.Fatal(err)
	}
	// A delivery as the Git server sends it, of a commit that is there already.
	change := w.Push(demo.Settings{Version: version(t)})
	change.Await(events.FactRolloutPromoted)
	body, err := json.Marshal(map[string]any{
		"ref":     "refs/heads/main",
		"after":   change.Commit,
		"created": false,
		"repository": map[string]any{
			"full_name": "demo/app",
			"clone_url": "http://git.argosy-demo.svc:8080/demo/app.git",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := change.Workflows()
	delivery := fmt.Sprint("again-", time.Now().UnixNano())
	for range 3 {
		post(
			t, "http://"+ingest.Spec.ClusterIP+":12000/push", delivery,
			demo.Signature(string(secret.Data["secret"]), body), body,
		)
	}
	w.Await("its workflow is there", time.Minute, func() error {
		if n := change.Workflows(); n != before+1 {
			return fmt.Errorf("%d workflows, want %d", n, before+1)
		}
		return nil
	})
	w.Rest()
	if n := change.Workflows(); n != before+1 {
		t.Errorf("%d workflows for one delivery sent three times", n-before)
	}
}

func post(t *testing.T, url, delivery, signature string, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", delivery)
	req.Header.Set("X-Hub-Signature-256", signature)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the hook was answered %s", res.Status)
	}
}

func TestTwoReplicasOfEachServiceMakeOneOfEverything(t *testing.T) {
	w := world.Open(t)
	w.Scale(2)
	t.Cleanup(func() { w.Scale(1) })
	v := version(t)
	change := w.Push(demo.Settings{Version: v})
	change.Await(events.FactRolloutPromoted)
	usersSee(t, w, v)
	change.Once(t)
	if n := change.Pushes(); n != 1 {
		t.Errorf("%d push events, want 1", n)
	}
}
