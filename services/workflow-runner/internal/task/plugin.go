package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The protocol of executor plugins. Source: Argo Workflows, executor plugins.
const (
	pluginPath    = "/api/v1/template.execute"
	pluginTime    = 30 * time.Second // of one request
	pluginAgain   = time.Second      // between requests to one that is not there yet
	requeueLeast  = 100 * time.Millisecond
	pluginStartup = 5 * time.Minute // until it answers for the first time
)

// pluginRunner does plugin templates: it asks the plugins of the workflow, each in a pod of its own, until one says how
// the work ended.
type pluginRunner struct {
	pods *pluginPods
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// errNotMine is the answer of a plugin that does not know the work of a template.
var errNotMine = errors.New("it does not know this work")

// podError says that a plugin has no pod to answer from: nothing was done that could have failed. Source: Argo
// Workflows ends such nodes with Error, and all that goes wrong in a plugin with Failed.
type podError struct{ cause error }

func (e *podError) Error() string { return e.cause.Error() }
func (e *podError) Unwrap() error { return e.cause }

// question is what a plugin is asked.
type question struct {
	Workflow questionWorkflow  `json:"workflow"`
	Template v1alpha1.Template `json:"template"`
}

type questionWorkflow struct {
	Metadata questionMetadata `json:"metadata"`
}

type questionMetadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	UID       string `json:"uid"`
}

// reply is what a plugin says.
type reply struct {
	Node *struct {
		Phase   v1alpha1.NodePhase `json:"phase"`
		Message string             `json:"message"`
		Outputs *v1alpha1.Outputs  `json:"outputs"`
	} `json:"node"`
	Requeue *metav1.Duration `json:"requeue"`
}

func (d *pluginRunner) do(ctx context.Context, j Job) flow.Task {
	name, err := pluginNamed(j.Template.Plugin)
	if err != nil {
		return failed("plugin: %v", err)
	}
	plugins, err := d.pods.known(ctx, j, name)
	if err != nil {
		return broken("plugin %s: %v", name, orCause(ctx, err))
	}
	var asked []string
	for i := range plugins {
		end, err := d.work(ctx, j, plugins[i])
		if errors.Is(err, errNotMine) {
			asked = append(asked, plugins[i].name)
			continue
		}
		if err != nil {
			end := failed("plugin %s: %v", plugins[i].name, orCause(ctx, err))
			if _, is := errors.AsType[*podError](err); is {
				end.Phase = v1alpha1.NodeError
			}
			return end
		}
		return end
	}
	if len(asked) == 0 {
		return failed("plugin %s: none is installed; spec.executorPlugins of the workflow, or a ConfigMap labelled %s=%s in its namespace or in %s, names one",
			name, pluginTypeLabel, pluginType, d.pods.namespace)
	}
	return failed("plugin %s: of %s, none does this work", name, strings.Join(asked, ", "))
}

// pluginNamed is the one key of a plugin template.
func pluginNamed(raw json.RawMessage) (string, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return "", err
	}
	if len(keys) != 1 {
		return "", fmt.Errorf("it has %d keys; one names the plugin", len(keys))
	}
	for key := range keys {
		return key, nil
	}
	return "", nil
}

// work asks one plugin until it says how the work ended.
func (d *pluginRunner) work(ctx context.Context, j Job, p plugin) (flow.Task, error) {
	body, err := json.Marshal(question{Workflow: questionWorkflow{Metadata: questionMetadata{Name: j.Workflow,
		Namespace: j.Namespace, UID: j.Run}}, Template: j.Template})
	if err != nil {
		return flow.Task{}, err
	}
	for {
		r, err := d.reach(ctx, j, p, body)
		if err != nil {
			return flow.Task{}, err
		}
		switch {
		case r.Node == nil && r.Requeue == nil:
			return flow.Task{}, errNotMine
		case r.Node != nil && r.Node.Phase.Fulfilled():
			return flow.Task{Phase: r.Node.Phase, Message: r.Node.Message, Outputs: r.Node.Outputs}, nil
		case r.Requeue == nil:
			return flow.Task{}, fmt.Errorf("it answered phase %q without requeue; one of Succeeded, Failed, Error, or requeue, says how to go on", r.Node.Phase)
		}
		if err := wait.For(ctx, max(r.Requeue.Duration, requeueLeast)); err != nil {
			return flow.Task{}, err
		}
	}
}

// reach gets one answer, however often the plugin must be asked for that: it may be about to start, or to start again.
func (d *pluginRunner) reach(ctx context.Context, j Job, p plugin, body []byte) (reply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pluginStartup,
		fmt.Errorf("it did not answer within %s", pluginStartup))
	defer cancel()
	for {
		at, err := d.pods.ensure(ctx, j, p)
		if err != nil {
			return reply{}, &podError{err}
		}
		if at.address != "" {
			r, again, err := d.ask(ctx, at, j.key(), body)
			if err == nil || !again {
				return r, err
			}
		}
		if err := wait.For(ctx, pluginAgain); err != nil {
			if at.why != "" {
				err = fmt.Errorf("%w: %s", err, at.why)
			}
			return reply{}, err
		}
	}
}

// ask sends one request; again means that the next may have more luck.
func (d *pluginRunner) ask(ctx context.Context, at pluginAt, key string, body []byte) (r reply, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pluginTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at.address+pluginPath,
		bytes.NewReader(body))
	if err != nil {
		return r, false, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+at.token)
	request.Header.Set(keyHeader, key)
	transport := &http.Transport{DialContext: d.dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	answer, err := transport.RoundTrip(request) // a plugin does not send us elsewhere
	if err != nil {
		return r, !errors.Is(err, errAddress), err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit+1))
	switch code := answer.StatusCode; {
	case err != nil:
		return r, true, err
	case code == http.StatusNotFound:
		return r, false, errNotMine
	case code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests:
		return r, true, fmt.Errorf("it answered %s", answer.Status)
	case code != http.StatusOK:
		return r, false, fmt.Errorf("it answered %s: %.200s", answer.Status, text)
	case len(text) > answerLimit:
		return r, false, fmt.Errorf("its answer has more than %d bytes", answerLimit)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, false, fmt.Errorf("its answer: %w", err)
	}
	return r, false, nil
}

// address joins where a plugin listens.
func address(ip string, port int32) string { return net.JoinHostPort(ip, strconv.Itoa(int(port))) }

// preferred puts the plugin first that has the name of the work.
func preferred(all []plugin, name string) []plugin {
	slices.SortStableFunc(all, func(a, b plugin) int {
		switch {
		case a.name == name && b.name != name:
			return -1
		case b.name == name && a.name != name:
			return 1
		}
		return 0
	})
	return all
}
