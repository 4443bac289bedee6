package image

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// The annotations of promotions. All are ours.
const (
	// PromoteTo names the next stage on the one before: an Application of the same namespace.
	PromoteTo = "argosy.dev/promote-to"
	// PromoteFrom names the stage before on the next one, which so agrees.
	PromoteFrom = "argosy.dev/promote-from"
	// PromoteAfter is how long the stage before must be well, such as 30m.
	PromoteAfter = "argosy.dev/promote-after"
	// Promoted is what was promoted last: what was rolled back in the next stage is not brought back.
	Promoted = "argosy.dev/promoted"
)

// Promotion is what a stage hands on.
type Promotion struct {
	Wait   time.Duration // until it may be looked at again; 0 for as soon as something changes
	Images []Candidate
	Record string // for Promoted, once all images are written
}

// Candidate is an image of the stage before that a rule of the next stage wants.
type Candidate struct {
	Rule  Rule
	Image events.ImagePushed
}

// Promote decides what goes from one stage to the next: the images that the stage before runs, once it has been Synced
// and Healthy by a successful sync for the time of PromoteAfter.
func Promote(from, to *v1alpha1.Application, now time.Time) (Promotion, error) {
	soak := time.Duration(0)
	if text := from.Annotations[PromoteAfter]; text != "" {
		var err error
		if soak, err = time.ParseDuration(text); err != nil || soak < 0 {
			return Promotion{}, fmt.Errorf("annotation %s: %q is no time, such as 30m", PromoteAfter, text)
		}
	}
	if to.Annotations[PromoteFrom] != from.Name {
		return Promotion{}, fmt.Errorf(
			"application %s does not agree: annotation %s must be %s", to.Name, PromoteFrom, from.Name,
		)
	}
	since, well := wellSince(from)
	if !well {
		return Promotion{}, nil
	}
	if left := since.Add(soak).Sub(now); left > 0 {
		return Promotion{Wait: left}, nil
	}
	var out Promotion
	var names []string
	for _, rule := range ReadUpdater(to.Annotations).Rules {
		for _, image := range from.Status.Summary.Images {
			name, tag, digest := cutReference(image)
			host, repository, _ := strings.Cut(canonical(name), "/")
			pushed := events.ImagePushed{Registry: host, Repository: repository, Tag: tag, Digest: digest}
			if tag != "" && rule.Wants(pushed) {
				out.Images = append(out.Images, Candidate{rule, pushed})
				names = append(names, image)
			}
		}
	}
	slices.Sort(names)
	out.Record = strings.Join(slices.Compact(names), " ")
	if out.Record == from.Annotations[Promoted] {
		out.Images = nil
	}
	return out, nil
}

// wellSince is when an Application became well: when its last sync and the last change of its health both were over.
func wellSince(app *v1alpha1.Application) (time.Time, bool) {
	op := app.Status.OperationState
	if app.Status.Sync.Status != "Synced" || app.Status.Health.Status != "Healthy" || op == nil ||
		op.Phase != v1alpha1.OperationSucceeded || op.FinishedAt == nil {
		return time.Time{}, false
	}
	since := op.FinishedAt.Time
	if at := app.Status.Health.LastTransitionTime; at != nil && at.After(since) {
		since = at.Time
	}
	return since, true
}
