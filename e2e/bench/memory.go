package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// services are those whose memory is looked at.
var services = []string{"webhook-ingest", "sensor", "workflow-runner", "sync-agent", "rollout-analyzer"}

// memory reads what each service's processes hold, as they tell it themselves.
func (b *bench) memory(ctx context.Context) ([]Figure, error) {
	var pods corev1.PodList
	if err := b.client.List(ctx, &pods, client.InNamespace(control)); err != nil {
		return nil, fmt.Errorf("list the services' pods: %w", err)
	}
	var figures []Figure
	for _, service := range services {
		var held []float64
		note := ""
		for i := range pods.Items {
			p := &pods.Items[i]
			if !strings.HasPrefix(p.Name, service+"-") || p.Status.Phase != corev1.PodRunning ||
				p.DeletionTimestamp != nil {
				continue
			}
			bytes, err := metric(ctx, p.Status.PodIP, "process_resident_memory_bytes")
			if err != nil {
				return figures, fmt.Errorf("memory of %s: %w", p.Name, err)
			}
			held = append(held, bytes/(1<<20))
			if p.Status.StartTime != nil {
				note = "up " + time.Since(p.Status.StartTime.Time).Round(time.Minute).String()
			}
		}
		if len(held) == 0 {
			return figures, fmt.Errorf("no pod of %s runs in namespace %s", service, control)
		}
		figures = append(
			figures,
			Figure{Job: "memory of " + service, Unit: "MiB", Value: SpreadOf(held), Aim: Under(60, "MiB"), Note: note},
		)
	}
	return figures, nil
}

// metric reads one of the metrics that a pod tells of itself.
func metric(ctx context.Context, ip, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ip+":8080/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return gauge(res.Body, name)
}

// gauge sums what the text format says of a metric, over its labels.
func gauge(r io.Reader, name string) (float64, error) {
	lines := bufio.NewScanner(r)
	total, found := 0.0, false
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || (rest[:min(1, len(rest))] != " " && rest[:min(1, len(rest))] != "{") {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndex(rest, " ")+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		total, found = total+value, true
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	if !found {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return total, nil
}
