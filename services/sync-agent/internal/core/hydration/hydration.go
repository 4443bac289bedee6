// Package hydration decides when the manifests of Applications with a source hydrator are rendered and committed, and
// what such a commit holds.
//
// Applications whose rendered manifests stand in one branch and come from one revision of one repository are a batch:
// they are rendered from the same commit and written by one commit, so that a branch never says that it is of a commit
// of which it has half. Source: the contract of Argo CD's source hydrator.
package hydration

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Asked, on an Application, has it hydrated now. It is taken away once that was tried.
const Asked = "argocd.argoproj.io/hydrate"

// Phases of a hydration.
const (
	Hydrating = "Hydrating"
	Hydrated  = "Hydrated"
	Failed    = "Failed"
)

// Again is how long after a failure the same commit is tried again. Source: Argo CD.
const Again = 2 * time.Minute

// App is an Application with a source hydrator.
type App struct {
	Name    string // namespace/name
	UID     string
	Project string
	Created time.Time
	Spec    v1alpha1.SourceHydrator
	Status  *v1alpha1.SourceHydratorStatus
	Asked   bool   // somebody wants it now
	Problem string // why it cannot be hydrated, "" when it can
}

// Branch is where rendered manifests are written.
type Branch struct {
	Repository string // in its normal spelling
	Name       string // without refs/heads/
}

// BranchOf is the branch that an Application is written to: that of hydrateTo, from where somebody else takes it to the
// one that is applied, else that one itself.
func BranchOf(s v1alpha1.SourceHydrator) Branch {
	name := s.SyncSource.TargetBranch
	if s.HydrateTo != nil && s.HydrateTo.TargetBranch != "" {
		name = s.HydrateTo.TargetBranch
	}
	return Branch{push.NormalURL(Repository(s)), strings.TrimPrefix(name, "refs/heads/")}
}

// Repository is where rendered manifests are kept: that of the dry source where nothing else is said.
func Repository(s v1alpha1.SourceHydrator) string {
	return cmp.Or(s.SyncSource.RepoURL, s.DrySource.RepoURL)
}

// Path is the folder of the rendered manifests, from the root.
func Path(s v1alpha1.SourceHydrator) string {
	return strings.TrimPrefix(path.Clean("/"+s.SyncSource.Path), "/")
}

// SyncSource is the source that is applied.
func SyncSource(s v1alpha1.SourceHydrator) v1alpha1.ApplicationSource {
	return v1alpha1.ApplicationSource{
		RepoURL: Repository(s), Path: s.SyncSource.Path, TargetRevision: s.SyncSource.TargetBranch,
	}
}

// DrySource is the source that is rendered.
func DrySource(s v1alpha1.SourceHydrator) v1alpha1.ApplicationSource {
	d := s.DrySource
	return v1alpha1.ApplicationSource{
		RepoURL: d.RepoURL, Path: d.Path, TargetRevision: d.TargetRevision, Helm: d.Helm, Kustomize: d.Kustomize,
		Directory: d.Directory, Plugin: d.Plugin,
	}
}

// Check says what of a source hydrator cannot be followed.
func Check(s v1alpha1.SourceHydrator) error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"drySource.repoURL", s.DrySource.RepoURL}, {"syncSource.targetBranch", s.SyncSource.TargetBranch},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("spec.sourceHydrator.%s is missing", f.name))
		}
	}
	if Path(s) == "" {
		errs = append(errs, fmt.Errorf(
			"spec.sourceHydrator.syncSource.path %q is the root of the branch; name a folder, which is this application's alone",
			s.SyncSource.Path,
		))
	}
	for _, location := range []string{s.DrySource.RepoURL, s.SyncSource.RepoURL} {
		if strings.HasPrefix(location, "oci://") {
			errs = append(errs, fmt.Errorf("spec.sourceHydrator: repository %s is not Git", location))
		}
	}
	if s.HydrateTo != nil && s.HydrateTo.TargetBranch == "" {
		errs = append(errs, errors.New("spec.sourceHydrator.hydrateTo.targetBranch is missing"))
	}
	return errors.Join(errs...)
}

// Batch are the Applications that one commit is made for, in the order of their names.
type Batch struct {
	Project    string
	Repository string // of the dry sources, as the first of them spells it
	Revision   string // of the dry sources
	Apps       []App
}

// Batches divides the Applications of one branch. Those that cannot be hydrated are returned apart: a folder is the
// oldest Application's that names it.
func Batches(apps []App) (batches []Batch, refused []App) {
	apps = slices.Clone(apps)
	slices.SortFunc(
		apps, func(a, b App) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name)) },
	)
	folders := map[string]string{}
	at := map[[3]string]int{}
	for _, a := range apps {
		if a.Problem != "" {
			refused = append(refused, a)
			continue
		}
		if other, is := folders[Path(a.Spec)]; is {
			a.Problem = fmt.Sprintf(
				"spec.sourceHydrator.syncSource.path %q is where application %s is written, in the same branch; name another one",
				a.Spec.SyncSource.Path, other,
			)
			refused = append(refused, a)
			continue
		}
		folders[Path(a.Spec)] = a.Name
		key := [3]string{a.Project, push.NormalURL(a.Spec.DrySource.RepoURL), a.Spec.DrySource.TargetRevision}
		i, is := at[key]
		if !is {
			i = len(batches)
			at[key] = i
			batches = append(batches, Batch{
				Project: a.Project, Repository: a.Spec.DrySource.RepoURL, Revision: a.Spec.DrySource.TargetRevision,
			})
		}
		batches[i].Apps = append(batches[i].Apps, a)
	}
	for _, b := range batches {
		slices.SortFunc(b.Apps, func(x, y App) int { return cmp.Compare(x.Name, y.Name) })
	}
	return batches, refused
}

// Plan is what is to be done about a batch.
type Plan struct {
	Hydrate bool
	Wake    time.Time // when it is to be looked at again without any event; the zero time is never
}

// Decide says whether a batch is to be hydrated at a dry commit: when one of its Applications is not, or was not as its
// spec is now, or is asked for. What failed at that commit is tried again after a while. An operation that is at work
// was left by a process that ended: whoever owns the branch finishes what it begins.
func (b Batch) Decide(dry string, now time.Time) Plan {
	var p Plan
	for _, a := range b.Apps {
		switch due := a.due(dry); {
		case due.IsZero():
		case due.After(now):
			if p.Wake.IsZero() || due.Before(p.Wake) {
				p.Wake = due
			}
		default:
			p.Hydrate = true
		}
	}
	if p.Hydrate {
		p.Wake = time.Time{}
	}
	return p
}

// due is when an Application is to be hydrated, the zero time when it is.
func (a App) due(dry string) time.Time {
	at := time.Unix(0, 0)
	if a.Asked || a.Status == nil || a.Status.CurrentOperation == nil {
		return at
	}
	o := a.Status.CurrentOperation
	if o.DrySHA != dry || !reflect.DeepEqual(o.SourceHydrator, a.Spec) {
		return at
	}
	switch {
	case o.Phase == Hydrated:
		return time.Time{}
	case o.Phase == Failed && o.FinishedAt != nil:
		return o.FinishedAt.Add(Again)
	}
	return at
}

// Begun is the status of an Application whose hydration begins.
func (a App) Begun(dry string, now time.Time) *v1alpha1.SourceHydratorStatus {
	next := a.status()
	next.CurrentOperation = &v1alpha1.HydrateOperation{
		StartedAt: stamp(now), Phase: Hydrating, DrySHA: dry, SourceHydrator: a.Spec,
	}
	return next
}

// Ended is the status of an Application that stands in a commit of the branch.
func (a App) Ended(dry, hydrated string, began, now time.Time) *v1alpha1.SourceHydratorStatus {
	next := a.status()
	next.CurrentOperation = &v1alpha1.HydrateOperation{
		StartedAt: stamp(began), FinishedAt: stamp(now), Phase: Hydrated, DrySHA: dry, HydratedSHA: hydrated,
		SourceHydrator: a.Spec,
	}
	next.LastSuccessfulOperation = &v1alpha1.SuccessfulHydrateOperation{
		DrySHA: dry, HydratedSHA: hydrated, SourceHydrator: a.Spec,
	}
	next.LastComparedDryRevision = dry
	return next
}

// Refused is the status of an Application whose hydration failed. Where it says what it said before, it is that of
// before, unless that is old enough to have been tried again.
func (a App) Refused(dry, why string, began, now time.Time) *v1alpha1.SourceHydratorStatus {
	next := a.status()
	if o := next.CurrentOperation; o != nil && o.Phase == Failed && o.Message == why && o.DrySHA == dry && !a.Asked &&
		o.FinishedAt != nil && now.Before(o.FinishedAt.Add(Again)) && reflect.DeepEqual(o.SourceHydrator, a.Spec) {
		return next
	}
	next.CurrentOperation = &v1alpha1.HydrateOperation{
		StartedAt: stamp(began), FinishedAt: stamp(now), Phase: Failed, Message: why, DrySHA: dry,
		SourceHydrator: a.Spec,
	}
	return next
}

func (a App) status() *v1alpha1.SourceHydratorStatus {
	if a.Status == nil {
		return &v1alpha1.SourceHydratorStatus{}
	}
	return a.Status.DeepCopy()
}

// stamp is a time as statuses have it: whole seconds.
func stamp(t time.Time) *metav1.Time { return new(metav1.NewTime(t.Truncate(time.Second))) }

// Failure is why an Application of a batch is not hydrated where another one of it cannot be.
func Failure(a App, failed map[string]string) string {
	if why, is := failed[a.Name]; is {
		return why
	}
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		return fmt.Sprintf("not hydrated, since application %s of the same commit and branch cannot be", name)
	}
	return ""
}
