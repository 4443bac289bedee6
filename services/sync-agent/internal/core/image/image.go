// Package image decides which image replaces which, and edits the kustomization that names it.
package image

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/argosy-mesh/argosy/schemas/events"
)

// updaterPrefix begins the annotations of image updates.
const updaterPrefix = "argocd-image-updater.argoproj.io/"

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
	Entry      string // name of the entry in the kustomization
	allow      *regexp.Regexp
	ignore     []string
}

// Updater is what an application says about its images.
type Updater struct {
	Rules    []Rule
	Git      bool   // changes are written to Git
	Branch   string // "" means the one that the application follows
	RepoURL  string // "" means the one that the application follows
	Target   string // folder of the kustomization, relative to the application's path or absolute
	Problems []string
}

// ReadUpdater reads the annotations of an application.
func ReadUpdater(annotations map[string]string) Updater {
	get := func(name string) string { return strings.TrimSpace(annotations[updaterPrefix+name]) }
	u := Updater{RepoURL: get("git-repository"), Target: "."}
	u.Branch, _, _ = strings.Cut(get("git-branch"), ":")
	u.Git = get("write-back-method") == "git" || strings.HasPrefix(get("write-back-method"), "git:")
	kind, target, _ := strings.Cut(get("write-back-target"), ":")
	switch {
	case kind == "kustomization" && target != "":
		u.Target = target
	case kind != "" && kind != "kustomization":
		u.Problems = append(u.Problems, fmt.Sprintf("write-back-target %q is not supported", kind))
	}
	for entry := range strings.SplitSeq(get("image-list"), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		rule, problem := readRule(entry, get)
		if problem != "" {
			u.Problems = append(u.Problems, problem)
			continue
		}
		u.Rules = append(u.Rules, rule)
	}
	return u
}

func readRule(entry string, get func(string) string) (Rule, string) {
	alias, ref, found := strings.Cut(entry, "=")
	if !found {
		alias, ref = "", entry
	}
	r := Rule{Alias: alias}
	r.Name, r.Constraint = ref, ""
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		r.Name, r.Constraint = ref[:i], ref[i+1:]
	}
	of := func(name string) string {
		if alias != "" {
			if v := get(alias + "." + name); v != "" {
				return v
			}
		}
		return get(name)
	}
	r.Entry = of("kustomize.image-name")
	if r.Entry == "" {
		r.Entry = r.Name
	}
	r.Name = canonical(r.Name)
	switch s := of("update-strategy"); s {
	case "", "semver":
		r.Strategy = Semver
	case "latest", "newest-build":
		r.Strategy = NewestBuild
	case "digest":
		r.Strategy = Digest
	case "name", "alphabetical":
		r.Strategy = Alphabetical
	default:
		return r, fmt.Sprintf("image %s: update-strategy %q is unknown", r.Name, s)
	}
	if expr, ok := strings.CutPrefix(of("allow-tags"), "regexp:"); ok {
		allow, err := regexp.Compile(expr)
		if err != nil {
			return r, fmt.Sprintf("image %s: allow-tags: %v", r.Name, err)
		}
		r.allow = allow
	}
	for pattern := range strings.SplitSeq(of("ignore-tags"), ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			r.ignore = append(r.ignore, pattern)
		}
	}
	return r, ""
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
		return r.allows(p.Tag)
	}
	return true
}

func (r Rule) allows(tag string) bool {
	v, err := semver.NewVersion(tag)
	if err != nil {
		return false
	}
	if r.Constraint == "" {
		return v.Prerelease() == ""
	}
	c, err := semver.NewConstraint(r.Constraint)
	return err == nil && c.Check(v)
}

// Value is what a push would write for this rule.
func (r Rule) Value(p events.ImagePushed) Value {
	v := Value{Entry: r.Entry, NewName: p.Registry + "/" + p.Repository}
	if v.NewName == r.Entry {
		v.NewName = ""
	}
	if r.Strategy == Digest {
		v.Digest = p.Digest
		return v
	}
	v.NewTag = p.Tag
	return v
}

// Advances reports whether next may replace old by the rule's own order. Where
// only time orders images, the caller knows better.
func (r Rule) Advances(old, next Value) bool {
	if old.NewTag == "" {
		return true
	}
	switch r.Strategy {
	case Semver:
		a, errA := semver.NewVersion(old.NewTag)
		b, errB := semver.NewVersion(next.NewTag)
		return errB == nil && (errA != nil || b.GreaterThan(a))
	case Alphabetical:
		return next.NewTag > old.NewTag
	}
	return true
}
