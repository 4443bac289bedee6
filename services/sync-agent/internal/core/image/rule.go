// Package image decides which image replaces which, and edits the files that name it. It knows no registry and no Git.
//
// Source of annotations and strategies: argocd-image-updater 0.18, docs/basics and docs/configuration.
package image

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/events"
)

// Strategy chooses between images.
type Strategy string

// The strategies.
const (
	NewestBuild  Strategy = "newest-build"
	Digest       Strategy = "digest"
	Semver       Strategy = "semver"
	Alphabetical Strategy = "alphabetical"
)

// Rule is one image that an application wants to follow.
type Rule struct {
	Alias      string
	Name       string // registry/repository
	Constraint string // what stands behind the colon: a version range or a tag
	Strategy   Strategy
	Entry      string     // name of the entry in a kustomization
	Keys       Keys       // of values of Helm
	Policy     string     // of setter markers, as namespace:name
	Platforms  []string   // one of which the image must run on; none for any
	Force      bool       // also where the application does not run the image yet
	Pull       PullSecret // opens the registry
	allow      *regexp.Regexp
	ignore     []string
}

// canonical writes out what Docker leaves away.
func canonical(name string) string {
	first, _, nested := strings.Cut(name, "/")
	switch {
	case !nested:
		return "docker.io/library/" + name
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		return "docker.io/" + name
	}
	return name
}

// Wants reports whether a push is of this image and of a tag that counts.
func (r Rule) Wants(p events.ImagePushed) bool {
	if canonical(p.Registry+"/"+p.Repository) != r.Name || events.Attachment(p.Tag) {
		return false
	}
	if r.allow != nil && !r.allow.MatchString(p.Tag) {
		return false
	}
	for _, pattern := range r.ignore {
		if ok, err := path.Match(pattern, p.Tag); ok && err == nil {
			return false
		}
	}
	switch r.Strategy {
	case Digest:
		return p.Digest != "" && (r.Constraint == "" || r.Constraint == p.Tag)
	case Semver:
		return within(r.Constraint, p.Tag)
	}
	return true
}

// Value is what a push would write for this rule.
func (r Rule) Value(p events.ImagePushed) Value {
	v := Value{Entry: r.Entry, NewName: p.Registry + "/" + p.Repository, NewTag: p.Tag}
	if r.Strategy == Digest {
		v.Digest = p.Digest
	}
	return v
}

// Advances reports whether next may replace old by the rule's own order. Where only time orders images, the caller
// knows better.
func (r Rule) Advances(old, next Value) bool {
	if old.NewTag == "" {
		return true
	}
	switch r.Strategy {
	case Semver:
		return newer(old.NewTag, next.NewTag)
	case Alphabetical:
		return next.NewTag > old.NewTag
	}
	return true
}

// Runs reports whether an image that is made for some platforms is wanted. A platform is os/architecture or
// os/architecture/variant; one without a variant fits all. An image that does not say is for all.
func (r Rule) Runs(platforms []string) bool {
	if len(r.Platforms) == 0 || len(platforms) == 0 {
		return true
	}
	return slices.ContainsFunc(platforms, func(has string) bool {
		return slices.ContainsFunc(r.Platforms, func(want string) bool {
			return has == want || strings.HasPrefix(has, want+"/")
		})
	})
}

// Deployed reports whether an application that runs some images runs this one, under its own name or under that of its
// entry. Of an application that says nothing yet it is taken for granted.
func (r Rule) Deployed(images []string) bool {
	if r.Force || len(images) == 0 {
		return true
	}
	return slices.ContainsFunc(images, func(image string) bool {
		name, _, _ := cutReference(image)
		return canonical(name) == r.Name || name == r.Entry
	})
}
