package image

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// The annotations of image updates.
const (
	updaterPrefix = "argocd-image-updater.argoproj.io/"
	// MessageAnnotation holds a template of commit messages. Ours.
	MessageAnnotation = "argosy.dev/image-commit-message"
	// PullRequestAnnotation names the forge that a pull request is opened at. Ours.
	PullRequestAnnotation = "argosy.dev/image-pull-request"
)

// Bounds of what the annotations of one application ask for.
const (
	maxRules   = 100
	maxPattern = 1 << 10 // bytes of a regular expression or a glob
)

// Updater is what an application says about its images.
type Updater struct {
	Rules       []Rule
	Git         bool   // changes are written to Git
	Branch      string // that the change begins with; "" means the one that the application follows
	Push        string // template of the branch that is written; "" means Branch
	RepoURL     string // "" means the one that the application follows
	Target      Target
	Source      string // which of several sources; "" says nothing
	Message     string // template of the commit's message; "" for ours
	PullRequest string // forge; "" for none
	Problems    []string
}

// ReadUpdater reads the annotations of an application.
func ReadUpdater(annotations map[string]string) Updater {
	get := func(name string) string { return strings.TrimSpace(annotations[updaterPrefix+name]) }
	u := Updater{
		RepoURL: get("git-repository"), Message: annotations[MessageAnnotation],
		PullRequest: strings.TrimSpace(annotations[PullRequestAnnotation]),
		Source:      strings.TrimSpace(annotations[SourceAnnotation]),
	}
	u.Branch, u.Push, _ = strings.Cut(get("git-branch"), ":")
	u.Git = get("write-back-method") == "git" || strings.HasPrefix(get("write-back-method"), "git:")
	problem := func(err error) {
		if err != nil {
			u.Problems = append(u.Problems, err.Error())
		}
	}
	var err error
	u.Target, err = readTarget(get("write-back-target"))
	problem(err)
	if u.PullRequest != "" && u.Push == "" {
		problem(fmt.Errorf("%s needs a branch to be merged: git-branch: base:branch", PullRequestAnnotation))
	}
	for _, text := range []string{u.Push, u.Message} {
		problem(checkTemplate(text))
	}
	entries := splitList(get("image-list"))
	if len(entries) > maxRules {
		problem(fmt.Errorf("image-list has more than %d images", maxRules))
		entries = nil
	}
	for _, entry := range entries {
		rule, err := readRule(entry, get)
		if err != nil {
			problem(fmt.Errorf("image-list, %q: %w", entry, err))
			continue
		}
		u.Rules = append(u.Rules, rule)
	}
	return u
}

// splitList cuts a list of images at its commas. A version range may hold commas too: what begins with a comparison
// goes on with the image before.
func splitList(text string) []string {
	var out []string
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "":
		case strings.ContainsAny(entry[:1], "<>=!~^") && len(out) > 0:
			out[len(out)-1] += ", " + entry
		default:
			out = append(out, entry)
		}
	}
	return out
}

// cutAlias cuts "alias=image". An equals sign behind a colon or a slash belongs to a version range.
func cutAlias(entry string) (alias, image string) {
	alias, image, found := strings.Cut(entry, "=")
	if !found || strings.ContainsAny(alias, ":/@<>!~^ ") {
		return "", entry
	}
	return alias, image
}

// cutReference cuts an image as it is written into name, tag (or version range) and digest.
func cutReference(ref string) (name, tag, digest string) {
	name, digest, _ = strings.Cut(ref, "@")
	at := 0
	if slash := strings.LastIndex(beforeRange(name), "/"); slash > 0 {
		at = slash
	}
	if i := strings.Index(name[at:], ":"); i >= 0 {
		name, tag = name[:at+i], strings.TrimSpace(name[at+i+1:])
	}
	return name, tag, digest
}

// beforeRange is the part of a reference in which a slash belongs to the name.
func beforeRange(name string) string {
	if i := strings.IndexAny(name, "<>=!~^ "); i >= 0 {
		return name[:i]
	}
	return name
}

// settings reads what is said of one image, or else of all of an application.
type settings func(name string) string

func readRule(entry string, get func(string) string) (Rule, error) {
	alias, ref := cutAlias(entry)
	r := Rule{Alias: alias}
	r.Name, r.Constraint, _ = cutReference(ref)
	if r.Name == "" {
		return r, fmt.Errorf("it names no image; it is [alias=]image[:version range]")
	}
	of := settings(func(name string) string {
		if alias != "" {
			if v := get(alias + "." + name); v != "" {
				return v
			}
		}
		return get(name)
	})
	r.Entry = of("kustomize.image-name")
	if r.Entry == "" {
		r.Entry = r.Name
	}
	r.Name = canonical(r.Name)
	r.Keys = Keys{Name: of("helm.image-name"), Tag: of("helm.image-tag"), Spec: of("helm.image-spec")}
	r.Policy, r.Force = of("imagepolicy"), of("force-update") == "true"
	for p := range strings.SplitSeq(of("platforms"), ",") {
		if p = strings.TrimSpace(p); p != "" {
			r.Platforms = append(r.Platforms, p)
		}
	}
	for _, read := range []func(*Rule, settings) error{readStrategy, readAllowed, readIgnored, readPull} {
		if err := read(&r, of); err != nil {
			return r, err
		}
	}
	return r, nil
}

func readStrategy(r *Rule, of settings) error {
	switch s := of("update-strategy"); s {
	case "", "semver":
		r.Strategy = Semver
		return checkConstraint(r.Constraint)
	case "latest", "newest-build":
		r.Strategy = NewestBuild
	case "digest":
		r.Strategy = Digest
	case "name", "alphabetical":
		r.Strategy = Alphabetical
	default:
		return fmt.Errorf("update-strategy %q is none of semver, newest-build, digest and alphabetical", s)
	}
	return nil
}

func readAllowed(r *Rule, of settings) error {
	text := of("allow-tags")
	expr, is := strings.CutPrefix(text, "regexp:")
	switch {
	case text == "" || text == "any":
		return nil
	case !is:
		return fmt.Errorf("allow-tags %q is neither any nor regexp:EXPRESSION", text)
	case len(expr) > maxPattern:
		return fmt.Errorf("allow-tags is longer than %d bytes", maxPattern)
	}
	allow, err := regexp.Compile(expr)
	if err != nil {
		return fmt.Errorf("allow-tags: %w", err)
	}
	r.allow = allow
	return nil
}

func readIgnored(r *Rule, of settings) error {
	for pattern := range strings.SplitSeq(of("ignore-tags"), ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil || len(pattern) > maxPattern {
			return fmt.Errorf("ignore-tags: %q is no glob", pattern)
		}
		r.ignore = append(r.ignore, pattern)
	}
	return nil
}

// PullSecret says where what opens a registry is kept. The zero value is nowhere.
type PullSecret struct {
	Namespace, Name string
	Field           string // holds user:password; "" for a docker config
}

func readPull(r *Rule, of settings) error {
	text := of("pull-secret")
	kind, rest, _ := strings.Cut(text, ":")
	place, field, _ := strings.Cut(rest, "#")
	namespace, name, ok := strings.Cut(place, "/")
	ok = ok && namespace != "" && name != "" && !strings.Contains(name, "/")
	switch {
	case text == "":
		return nil
	case kind == "pullsecret" && ok && field == "":
	case kind == "secret" && ok && field != "":
	case kind == "env" || kind == "ext":
		return fmt.Errorf(
			"pull-secret %s: is not supported: no manifest reads the environment of a service, or runs a program in it; name pullsecret:NAMESPACE/NAME or secret:NAMESPACE/NAME#FIELD", kind,
		)
	default:
		return fmt.Errorf("pull-secret %q is neither pullsecret:NAMESPACE/NAME nor secret:NAMESPACE/NAME#FIELD", text)
	}
	r.Pull = PullSecret{Namespace: namespace, Name: name, Field: field}
	return nil
}
