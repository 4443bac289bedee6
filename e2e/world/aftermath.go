package world

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lastLines is how much of each log a story that failed shows.
const lastLines = 80

// aftermath shows what a story that failed leaves behind: what its services said last, and what they could not handle.
func (w *World) aftermath() {
	if !w.t.Failed() {
		return
	}
	cfg, err := w.Demo.Rest()
	if err != nil {
		w.t.Log(err)
		return
	}
	api, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		w.t.Log(err)
		return
	}
	var list corev1.PodList
	if err := w.Kube.List(w.Context(), &list, client.InNamespace("argosy")); err != nil {
		w.t.Log(err)
		return
	}
	for i := range list.Items {
		p := &list.Items[i]
		if !slices.Contains(Services, p.Labels["app"]) {
			continue
		}
		raw, err := api.CoreV1().Pods(p.Namespace).GetLogs(
			p.Name, &corev1.PodLogOptions{TailLines: new(int64(lastLines))},
		).DoRaw(w.Context())
		w.t.Logf("the last of %s (%v):\n%s", p.Name, err, strings.TrimSpace(string(raw)))
	}
	letters, err := w.Bus.DeadLetters(w.Context(), "*", ">", lastLines)
	if err != nil {
		w.t.Log(err)
	}
	for _, l := range letters {
		w.t.Logf("dead: %s at %s after %d attempts: %s", l.Subject, l.Buried, l.Attempts, l.Reason)
	}
}
