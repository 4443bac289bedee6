// Package imageupdate writes new images into Git for the Applications that ask for it: one commit for each
// push and branch, whose trailers continue the chain of the push.
package imageupdate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/forge"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// metrics counts image updates.
type metrics struct {
	Commits *prometheus.CounterVec
}

// newMetrics registers the metrics of image updates.
func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		Commits: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "argosy_sync_image_commits_total", Help: "Image updates, by outcome."},
			[]string{"outcome"},
		),
	}
	r.MustRegister(m.Commits)
	return m
}

// Updater writes new images into Git for the applications that ask for it.
type Updater struct {
	Shell
	metrics metrics

	mu sync.Mutex
	// newest is when the bus stored the last push, per application and rule: an older one that comes again must not
	// bring its image back. Times outlive the stream, whose places begin anew when it is made anew.
	newest *lru.Cache[string, time.Time]
}

// Shell is what writing images works with.
type Shell struct {
	Client   client.Client // reads are cached
	Bus      *bus.Bus
	Sources  *source.Sources
	Registry *registry.Client
	Projects *projects.Projects
	Secrets  client.Reader    // not cached; of pull Secrets
	Clouds   *registry.Clouds // nil uses no identity of a cloud
	Forges   *forge.Forges
	Author   string // of commits, as name <address>
	Log      *slog.Logger
}

// rulesKnown bounds the rules of all Applications whose last push is remembered.
const rulesKnown = 1 << 16

// New returns an updater whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Updater {
	newest, _ := lru.New[string, time.Time](rulesKnown) // fails for no size alone
	return &Updater{Shell: s, metrics: newMetrics(r), newest: newest}
}

// update is one image for one application.
type update struct {
	app      *v1alpha1.Application
	updater  image.Updater
	rule     image.Rule
	source   v1alpha1.ApplicationSource // that the image is written to
	renderer image.Renderer
	pushed   events.ImagePushed
	lineage  lineage.Lineage
	event    string
	access   registry.Access
}

func (u update) name() string { return u.app.Namespace + "/" + u.app.Name }

// key makes the update happen once.
func (u update) key() string {
	return bus.Key(u.name(), u.rule.Name, u.pushed.Tag, u.pushed.Digest, u.event)
}

// fact is the id of the fact that tells about the commit; whatever the commit
// causes is caused by that.
func (u update) fact() string { return bus.Key(u.key(), "committed") }

// Handle takes an event of an image that was pushed. All applications that want the image and are written in one branch
// of one repository get one commit: it has one cause, that event.
func (h *Updater) Handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	var pushed events.ImagePushed
	if err := json.Unmarshal(d.Data(), &pushed); err != nil {
		return nil, fault.Poisonf("read image event %s: %w", d.ID(), err)
	}
	updates, err := h.wanted(ctx, pushed)
	if err != nil || len(updates) == 0 {
		return nil, err
	}
	var errs []error
	var ready []update
	for _, u := range updates {
		u.pushed, u.event = pushed, d.ID()
		is, err := h.prepare(ctx, cause{d.ID(), bus.After(d.Event), d.Stored}, &u)
		if errs = append(errs, err); is && err == nil {
			ready = append(ready, u)
		}
	}
	for _, b := range batches(ready) {
		errs = append(errs, h.write(ctx, b))
	}
	return nil, h.joined(ctx, errs)
}

// joined is the error of several updates. One that another try may mend must not be dropped with one that none will.
func (h *Updater) joined(ctx context.Context, errs []error) error {
	classes := map[fault.Class][]error{}
	for _, err := range errs {
		if err != nil {
			classes[fault.Of(err)] = append(classes[fault.Of(err)], err)
		}
	}
	for _, class := range []fault.Class{fault.Retry, fault.Poison, fault.Stale} {
		if len(classes[class]) == 0 {
			continue
		}
		if others := errors.Join(errs...); class == fault.Retry && len(classes) > 1 {
			h.Log.WarnContext(ctx, "some updates of an image will never succeed", "error", others)
		}
		return errors.Join(classes[class]...)
	}
	return nil
}

// wanted finds who asks for an image.
func (h *Updater) wanted(ctx context.Context, pushed events.ImagePushed) ([]update, error) {
	list := object.NewList("Application")
	if err := h.Client.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	var out []update
	for i := range list.Items {
		updater := image.ReadUpdater(list.Items[i].GetAnnotations())
		for _, rule := range updater.Rules {
			if !rule.Wants(pushed) {
				continue
			}
			app, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Application](list.Items[i].Object)
			if !updater.Git || len(updater.Problems) > 0 {
				h.Log.WarnContext(
					ctx, "image is wanted but cannot be written", "application", app.Namespace+"/"+app.Name, "git",
					updater.Git, "problems", updater.Problems,
				)
				continue
			}
			u := update{app: app, updater: updater, rule: rule, pushed: pushed}
			if !rule.Deployed(app.Status.Summary.Images) {
				h.leave(ctx, u, "undeployed")
				continue
			}
			out = append(out, u)
		}
	}
	return out, nil
}

// cause is why an update is made: an event, or a promotion.
type cause struct {
	id      string
	lineage lineage.Lineage
	stored  time.Time // when the bus took the event; the zero time is never overtaken
}

// leave counts and tells that an update that was asked for is not made.
func (h *Updater) leave(ctx context.Context, u update, why string) {
	h.metrics.Commits.WithLabelValues(why).Inc()
	h.Log.InfoContext(
		ctx, "image is not committed", "application", u.name(), "image", u.pushed.Reference(), "reason", why,
	)
}

// prepare finds out all that an update needs before anything is written, and reports whether it is still to be made.
func (h *Updater) prepare(ctx context.Context, why cause, u *update) (bool, error) {
	s, by, err := u.updater.SourceOf(u.app)
	if err != nil {
		return false, fault.AsPoison(fmt.Errorf("update image of application %s: %w", u.name(), err))
	}
	u.source, u.renderer = s, by
	if u.updater.RepoURL != "" {
		u.source.RepoURL = u.updater.RepoURL
	}
	reason, err := h.Projects.Repository(ctx, u.app.Namespace, u.app.Spec.Project, u.source.RepoURL)
	if err != nil {
		return false, err
	}
	if reason != "" {
		return false, fault.Poisonf("update image of application %s: %s", u.name(), reason)
	}
	if u.access, err = h.access(ctx, u.app.Namespace, u.rule.Pull, u.pushed); err != nil {
		return false, fmt.Errorf("update image of application %s: %w", u.name(), err)
	}
	seen, err := h.look(ctx, *u)
	if err != nil {
		return false, err
	}
	u.vouched(why, seen)
	if !u.rule.Runs(seen.Platforms) {
		h.leave(ctx, *u, "other platform")
		return false, nil
	}
	if !why.stored.IsZero() && h.overtaken(*u, why.stored) {
		h.leave(ctx, *u, "overtaken")
		return false, nil
	}
	return true, nil
}

// look asks the registry what the tag that was pushed is now: whoever sent the event, the registry has the last word
// about a tag. What it does not have is nobody's to write; where the sender is trusted it may have it in a moment.
func (h *Updater) look(ctx context.Context, u update) (registry.Image, error) {
	reference, err := registry.Reference(u.pushed.Registry, u.pushed.Repository, u.pushed.Tag)
	if err != nil {
		return registry.Image{}, err
	}
	seen, err := h.Registry.Look(ctx, reference, u.access)
	trusted := u.pushed.Verified != "" && u.pushed.Verified != events.VerifiedByNone
	if errors.Is(err, registry.ErrAbsent) && !trusted {
		err = fault.AsStale(err)
	}
	return seen, err
}

// vouched takes over what the registry says, and the lineage that the image carries.
func (u *update) vouched(why cause, seen registry.Image) {
	u.pushed.Digest = seen.Digest
	u.lineage = lineage.FromOCI(seen.Annotations)
	if u.lineage.Empty() {
		u.lineage = lineage.FromOCI(u.pushed.Annotations)
	}
	if u.lineage.Correlation == "" {
		u.lineage.Correlation = why.lineage.Correlation
	}
	if u.lineage.Trace == "" {
		u.lineage.Trace = why.lineage.Trace
	}
	u.lineage.Causation = why.id
}

func (h *Updater) overtaken(u update, stored time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := string(u.app.UID) + "/" + u.rule.Alias + "/" + u.rule.Name
	if last, _ := h.newest.Get(id); last.After(stored) {
		return u.rule.Strategy == image.NewestBuild || u.rule.Strategy == image.Digest
	}
	h.newest.Add(id, stored)
	return false
}
