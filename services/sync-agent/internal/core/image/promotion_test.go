package image

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPromote(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) *metav1.Time {
		return &metav1.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)}
	}
	stages := func() (from, to *v1alpha1.Application) {
		from, to = &v1alpha1.Application{}, &v1alpha1.Application{}
		from.Name, to.Name = "test", "prod"
		from.Annotations = map[string]string{PromoteTo: "prod", PromoteAfter: "30m"}
		to.Annotations = annotated("image-list", "w=r/web:<2.0.0, db=r/db", PromoteFrom, "test")
		from.Status.Sync.Status, from.Status.Health.Status = "Synced", "Healthy"
		from.Status.OperationState = &v1alpha1.OperationState{Phase: v1alpha1.OperationSucceeded, FinishedAt: at(-60)}
		from.Status.Summary.Images = []string{"r/web:1.2.0", "r/other:1.0.0", "r/web@sha256:1", "r/db:3.0.0@sha256:2"}
		return from, to
	}
	const both = "0s [r/web:1.2.0 r/db:3.0.0] r/db:3.0.0@sha256:2 r/web:1.2.0"
	for name, c := range map[string]struct {
		change func(from, to *v1alpha1.Application)
		want   string
	}{
		"well for long enough": {func(_, _ *v1alpha1.Application) {}, both},
		"without a time":       {func(from, _ *v1alpha1.Application) { delete(from.Annotations, PromoteAfter) }, both},
		"synced a moment ago": {func(from,
			_ *v1alpha1.Application) {
			from.Status.OperationState.FinishedAt = at(-10)
		}, "20m0s [] "},
		"healthy a moment ago": {func(from,
			_ *v1alpha1.Application) {
			from.Status.Health.LastTransitionTime = at(-1)
		}, "29m0s [] "},
		"not healthy": {func(from, _ *v1alpha1.Application) { from.Status.Health.Status = "Degraded" }, "0s [] "},
		"not synced":  {func(from, _ *v1alpha1.Application) { from.Status.Sync.Status = "OutOfSync" }, "0s [] "},
		"its sync failed": {func(from,
			_ *v1alpha1.Application) {
			from.Status.OperationState.Phase = "Failed"
		}, "0s [] "},
		"never synced": {func(from, _ *v1alpha1.Application) { from.Status.OperationState = nil }, "0s [] "},
		"what the next does not want": {func(from,
			_ *v1alpha1.Application) {
			from.Status.Summary.Images = []string{"r/web:2.0.0-rc1"}
		}, "0s [] "},
		"what was promoted already": {func(from, _ *v1alpha1.Application) {
			from.Annotations[Promoted] = "r/db:3.0.0@sha256:2 r/web:1.2.0"
		}, "0s [] r/db:3.0.0@sha256:2 r/web:1.2.0"},
		"the next does not agree": {func(_, to *v1alpha1.Application) { delete(to.Annotations, PromoteFrom) },
			"does not agree"},
		"no time": {func(from, _ *v1alpha1.Application) { from.Annotations[PromoteAfter] = "soon" }, "is no time"},
	} {
		from, to := stages()
		c.change(from, to)
		p, err := Promote(from, to, noon)
		var images []string
		for _, i := range p.Images {
			images = append(images, i.Image.Registry+"/"+i.Image.Repository+":"+i.Image.Tag)
		}
		got := strings.ReplaceAll(fmt.Sprintf("%v %v %s", p.Wait, images, p.Record), "docker.io/", "")
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != c.want || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
