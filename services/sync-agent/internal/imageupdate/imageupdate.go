// Package imageupdate writes new images into Git for the Applications that ask for it: one commit for each, whose
// trailers continue the chain of the push.
package imageupdate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/argosy-mesh/argosy/libs/facts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/argosy-mesh/argosy/libs/kube/object"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/core/lineage"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/projects"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
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
	// newest is the place in the stream of the last push per application and rule:
	// an older one that comes again must not bring its image back.
	newest *lru.Cache[string, uint64]
}

// Shell is what writing images works with.
type Shell struct {
	Client   client.Client // reads are cached
	Bus      *bus.Bus
	Sources  *source.Sources
	Registry *registry.Client
	Projects *projects.Projects
	Author   string // of commits, as name <address>
	Log      *slog.Logger
}

// rulesKnown bounds the rules of all Applications whose last push is remembered.
const rulesKnown = 1 << 16

// New returns an updater whose metrics are in r.
func New(s Shell, r prometheus.Registerer) *Updater {
	newest, _ := lru.New[string, uint64](rulesKnown) // fails for no size alone
	return &Updater{Shell: s, metrics: newMetrics(r), newest: newest}
}

// update is one image for one application.
type update struct {
	app     *v1alpha1.Application
	updater image.Updater
	rule    image.Rule
	pushed  events.ImagePushed
	lineage lineage.Lineage
	event   string
}

// key makes the update happen once.
func (u update) key() string {
	return bus.Key(u.app.Namespace+"/"+u.app.Name, u.rule.Name, u.pushed.Tag, u.pushed.Digest, u.event)
}

// fact is the id of the fact that tells about the commit; whatever the commit
// causes is caused by that.
func (u update) fact() string { return bus.Key(u.key(), "committed") }

// Handle takes an event of an image that was pushed.
func (h *Updater) Handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	var pushed events.ImagePushed
	if err := json.Unmarshal(d.Data(), &pushed); err != nil {
		return nil, fault.Poisonf("read image event %s: %w", d.ID(), err)
	}
	updates, err := h.wanted(ctx, pushed)
	if err != nil || len(updates) == 0 {
		return nil, err
	}
	l, err := h.vouch(ctx, d, &pushed)
	if errors.Is(err, registry.ErrAbsent) {
		return nil, fault.AsStale(err)
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, u := range updates {
		u.pushed, u.lineage, u.event = pushed, l, d.ID()
		if h.overtaken(u, d.Sequence) {
			h.metrics.Commits.WithLabelValues("overtaken").Inc()
			continue
		}
		errs = append(errs, h.write(ctx, u))
	}
	return nil, errors.Join(errs...)
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
			out = append(out, update{app: app, updater: updater, rule: rule})
		}
	}
	return out, nil
}

// vouch asks the registry where the sender is not trusted or did not say what the
// image carries, and returns the lineage of what the image causes.
func (h *Updater) vouch(ctx context.Context, d bus.Delivery, pushed *events.ImagePushed) (lineage.Lineage, error) {
	l := lineage.FromOCI(pushed.Annotations)
	if pushed.Verified == events.VerifiedByNone || pushed.Verified == "" || l.Empty() {
		// By tag, since that is what is written: a digest that exists does not make
		// the tag true.
		seen, err := h.Registry.Look(ctx, pushed.Registry+"/"+pushed.Repository+":"+pushed.Tag)
		if err != nil &&
			(pushed.Verified == events.VerifiedByNone || pushed.Verified == "" || !errors.Is(err, registry.ErrAbsent)) {
			return l, err
		}
		if err == nil {
			l, pushed.Digest = lineage.FromOCI(seen.Annotations), seen.Digest
		}
	}
	own := bus.After(d.Event)
	if l.Correlation == "" {
		l.Correlation = own.Correlation
	}
	if l.Trace == "" {
		l.Trace = own.Trace
	}
	l.Causation = d.ID()
	return l, nil
}

func (h *Updater) overtaken(u update, sequence uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := string(u.app.UID) + "/" + u.rule.Alias + "/" + u.rule.Name
	if last, _ := h.newest.Get(id); last > sequence {
		return u.rule.Strategy == image.NewestBuild || u.rule.Strategy == image.Digest
	}
	h.newest.Add(id, sequence)
	return false
}

// write commits the image and tells about it. Doing so again changes nothing and
// tells the same.
func (h *Updater) write(ctx context.Context, u update) error {
	source, err := source.Of(u.app.Spec)
	if err != nil {
		return fault.AsPoison(err)
	}
	if u.updater.RepoURL != "" {
		source.RepoURL = u.updater.RepoURL
	}
	reason, err := h.Projects.Repository(ctx, u.app.Namespace, u.app.Spec.Project, source.RepoURL)
	if err != nil {
		return err
	}
	if reason != "" {
		return fault.Poisonf("update image of application %s/%s: %s", u.app.Namespace, u.app.Name, reason)
	}
	m, err := h.Sources.Mirror(ctx, source.RepoURL)
	if err != nil {
		return err
	}
	name := u.updater.Branch
	if name == "" {
		name = source.TargetRevision
	}
	branch, err := m.Branch(ctx, name)
	if err != nil {
		return err
	}
	change := git.Change{Branch: branch, Author: h.Author, Message: u.message()}
	if change.Path, err = kustomizationPath(ctx, m, branch, folder(source.Path, u.updater.Target)); err != nil {
		return err
	}
	change.Edit = func(old []byte, _ git.Commit) ([]byte, error) { return h.edit(ctx, u, old) }
	head, made, err := m.Apply(ctx, change)
	if err != nil {
		return fmt.Errorf("update image of application %s/%s: %w", u.app.Namespace, u.app.Name, err)
	}
	if !made && !strings.Contains(head.Message, events.TrailerKey+": "+u.key()) {
		h.metrics.Commits.WithLabelValues("unchanged").Inc()
		return nil
	}
	h.metrics.Commits.WithLabelValues("committed").Inc()
	h.Log.InfoContext(
		ctx, "image committed", "application", u.app.Namespace+"/"+u.app.Name, "image", u.pushed.Reference(), "commit",
		head.SHA,
	)
	return facts.Publish(
		ctx,
		h.Bus,
		events.ServiceSyncAgent,
		facts.Fact{
			ID:      u.fact(),
			About:   facts.About("Application", u.app),
			Lineage: u.lineage,
			Body: events.ImageCommitted{
				Commit: head.SHA, Image: u.pushed.Reference(), Tag: u.pushed.Tag, Repository: source.RepoURL,
				Application: u.app.Namespace + "/" + u.app.Name, Message: "image committed",
			},
		},
	)
}

// folder is where the kustomization is, from the root of the repository.
func folder(app, target string) string {
	if strings.HasPrefix(target, "/") {
		return path.Clean(target)
	}
	return path.Join("/", app, target)
}

func kustomizationPath(ctx context.Context, m *git.Mirror, branch, dir string) (string, error) {
	head, err := m.Resolve(ctx, branch, git.Want{})
	if err != nil {
		return "", err
	}
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if _, err = m.File(ctx, head, path.Join(dir, name)); err == nil {
			return path.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("there is no kustomization in %s: %w", dir, err)
}

// edit is the new content, or the old one when the image may not be replaced.
func (h *Updater) edit(ctx context.Context, u update, old []byte) ([]byte, error) {
	next := u.rule.Value(u.pushed)
	current, err := image.Read(old, next.Entry)
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	if !u.rule.Advances(current, next) || h.older(ctx, u, current, next) {
		return old, nil
	}
	text, err := image.Set(old, next)
	return text, fault.AsPoison(err)
}

// older reports whether the registry knows the current image to be built later.
func (h *Updater) older(ctx context.Context, u update, current, next image.Value) bool {
	if u.rule.Strategy != image.NewestBuild || current.NewTag == "" || current.NewTag == next.NewTag {
		return false
	}
	name := u.pushed.Registry + "/" + u.pushed.Repository
	was, err := h.Registry.Look(ctx, name+":"+current.NewTag)
	if err != nil || was.Created.IsZero() {
		return false // gone or not dated: the push itself is the newest we know
	}
	is, err := h.Registry.Look(ctx, name+":"+next.NewTag)
	return err == nil && !is.Created.IsZero() && is.Created.Before(was.Created)
}

func (u update) message() string {
	var b strings.Builder
	fmt.Fprintf(&b, "build: automatic update of %s\n\n", u.app.Name)
	fmt.Fprintf(&b, "updates image %s to %s\n\n", u.rule.Entry, u.pushed.Reference())
	l := u.lineage
	l.Causation = u.fact()
	b.WriteString(l.Trailers())
	fmt.Fprintf(&b, "%s: %s\n", events.TrailerKey, u.key())
	return b.String()
}
