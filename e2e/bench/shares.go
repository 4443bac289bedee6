package bench

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// quarter is the CPU of a runner in this job: so little that workflows wait for it, and not for the API server.
const quarter = "250m"

// shares measures what a second runner is worth: one-pod workflows on one and on two, each held to a quarter of a core.
func (b *bench) shares(ctx context.Context) (figures []Figure, err error) {
	p, stop := b.play(ctx)
	defer func() {
		stop()
		err = errors.Join(append([]error{err}, p.errs...)...)
	}()
	free, err := b.hold(ctx, runnerService, quarter)
	if err != nil {
		return nil, err
	}
	defer func() {
		last := context.WithoutCancel(ctx)
		_, held := b.hold(last, runnerService, free)
		err = errors.Join(err, b.scale(last, 1), held)
	}()
	one, cost, err := b.sharedStarts(ctx, 1)
	if err != nil {
		return nil, err
	}
	figures = append(
		figures,
		Figure{
			Job: "one-pod workflows, 1 runner on a quarter of a core", Unit: "/s", Value: Once(one),
			Note: fmt.Sprintf("%.1f ms of CPU each", cost),
		},
	)
	two, cost, err := b.sharedStarts(ctx, 2)
	if err != nil {
		return figures, err
	}
	return append(
		figures,
		Figure{
			Job:   "the same, 2 runners on a quarter each",
			Unit:  "/s",
			Value: Once(two),
			Floor: Once(one),
			Aim:   AtLeast(1.5*one, "/s"),
			Note:  fmt.Sprintf("floor: 1 runner; %.1f ms of CPU each", cost),
		},
	), nil
}

// sharedStarts starts one-pod workflows on some runners, and returns how many a second, and how many milliseconds of
// CPU all runners together took for each.
func (b *bench) sharedStarts(ctx context.Context, runners int32) (rate, cost float64, err error) {
	if err := b.scale(ctx, runners); err != nil {
		return 0, 0, err
	}
	before, err := b.used(ctx, runnerService)
	if err != nil {
		return 0, 0, err
	}
	if rate, _, err = b.starts(ctx, fmt.Sprintf("shared-%d", runners)); err != nil {
		return 0, 0, err
	}
	after, err := b.used(ctx, runnerService)
	return rate, (after - before) * 1000 / manyRuns, errors.Join(err, b.sweepWorkflows(context.WithoutCancel(ctx)))
}

// hold bounds the CPU of a service's pods, "" to take the bound away, and waits until all are so. It returns the bound
// that they had.
func (b *bench) hold(ctx context.Context, service, cpu string) (before string, err error) {
	d := &appsv1.Deployment{}
	if err := b.client.Get(ctx, client.ObjectKey{Namespace: control, Name: service}, d); err != nil {
		return "", fmt.Errorf("read deployment %s: %w", service, err)
	}
	container := d.Spec.Template.Spec.Containers[0]
	if limit, has := container.Resources.Limits["cpu"]; has {
		before = limit.String()
	}
	bound := "null"
	if cpu != "" {
		bound = fmt.Sprintf("%q", cpu)
	}
	change := fmt.Appendf(
		nil, `{"spec":{"template":{"spec":{"containers":[{"name":%q,"resources":{"limits":{"cpu":%s}}}]}}}}`,
		container.Name, bound,
	)
	if err := b.client.Patch(ctx, d, client.RawPatch(types.StrategicMergePatchType, change)); err != nil {
		return before, fmt.Errorf("hold %s to %s of CPU: %w", service, cpu, err)
	}
	generation := d.Generation
	return before, b.await(ctx, cleanPatience, fmt.Sprintf("%s with %q of CPU", service, cpu), func() (bool, error) {
		err := b.client.Get(ctx, client.ObjectKeyFromObject(d), d)
		s := d.Status
		return s.ObservedGeneration >= generation && s.UpdatedReplicas == s.Replicas && s.ReadyReplicas == s.Replicas &&
			s.Replicas == *d.Spec.Replicas, err
	})
}
