package render

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	sigsyaml "sigs.k8s.io/yaml"
)

// fetchable are the fields whose entries may be repositories or URLs: what they name is fetched and read as local.
var fetchable = []string{"resources", "bases", "components"}

// loaded are the fields whose strings Kustomize loads from somewhere.
var loaded = map[string]bool{
	"resources":             true,
	"bases":                 true,
	"components":            true,
	"crds":                  true,
	"configurations":        true,
	"transformers":          true,
	"generators":            true,
	"validators":            true,
	"patchesStrategicMerge": true,
	"path":                  true,
	"paths":                 true,
	"files":                 true,
	"envs":                  true,
	"env":                   true,
}

var (
	errRemoteFile = errors.New("remote files cannot be named here; copy it into the repository")
	errLeaves     = errors.New(
		"leaves the repository; copy what it names into it, or name it by the URL of its repository",
	)
	errHelmOff = errors.New("is not enabled; set kustomize.buildOptions: --enable-helm in argocd-cm")
)

// local makes a kustomization one that names only what is local: remote bases are fetched, charts rendered. What cannot
// be is an error that names file, field and value.
func (b *buildFS) local(name string, text []byte) ([]byte, error) {
	_, in := b.at(name)
	fail := func(field, value string, err error) ([]byte, error) {
		if !errors.Is(err, ErrSource) && b.files.transient != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s: %s: %q: %w", ErrSource, in, field, value, err)
	}
	var k map[string]any
	if err := sigsyaml.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSource, in, err)
	}
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator"} {
		if k[field] != nil && (!b.flags.helm || field != "helmCharts") {
			return nil, fmt.Errorf("%w: %s: %s: %w", ErrSource, in, field, errHelmOff)
		}
	}
	if field, found, err := badReference(k, "", path.Dir(in), true); err != nil {
		return fail(field, found, err)
	}
	changed := false
	for _, field := range fetchable {
		list, _ := k[field].([]any)
		for i, item := range list {
			entry, ok := item.(string)
			if !ok || !isRemote(entry) {
				continue
			}
			made, err := b.bring(path.Dir(name), field, i, entry)
			if err != nil {
				return fail(field, entry, err)
			}
			list[i], changed = made, true
		}
	}
	if k["helmCharts"] != nil {
		if err := b.inflate(path.Dir(name), k); err != nil {
			return nil, fmt.Errorf("%s: helmCharts: %w", in, err)
		}
		changed = true
	}
	if !changed {
		return text, nil
	}
	out, err := sigsyaml.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSource, in, err)
	}
	return out, nil
}

// badReference returns the first string of a loaded field that names what cannot be read. Those at the top that can be
// fetched are none.
func badReference(node any, field, dir string, top bool) (at, found string, err error) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if list, ok := value.([]any); ok && top && slices.Contains(fetchable, key) {
				value = slices.DeleteFunc(slices.Clone(list), func(item any) bool {
					entry, ok := item.(string)
					return ok && isRemote(entry)
				})
			}
			if at, found, err = badReference(value, key, dir, false); err != nil {
				return at, found, err
			}
		}
	case []any:
		for _, item := range node {
			if at, found, err = badReference(item, field, dir, false); err != nil {
				return at, found, err
			}
		}
	case string:
		if !loaded[field] {
			return "", "", nil
		}
		inline := strings.Contains(node, "\n")
		value := node
		if field == "files" {
			if _, v, ok := strings.Cut(node, "="); ok {
				value = v
			}
		}
		switch {
		case inline && strings.Contains(node, "://") && slices.Contains(
			[]string{"transformers", "generators", "validators"}, field,
		):
			return field, firstLine(node), errRemoteFile
		case !inline && isRemote(value):
			return field, node, errRemoteFile
		case !inline && leaves(dir, value):
			return field, node, errLeaves
		}
	}
	return "", "", nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// isRemote reports whether Kustomize would take an entry for a URL or a repository.
func isRemote(entry string) bool {
	if strings.Contains(entry, "\n") {
		return false // an inline document
	}
	return strings.Contains(entry, "://") || strings.Contains(entry, "::") || strings.Contains(entry, "?ref=") ||
		strings.Contains(entry, "?version=") || strings.Contains(entry, "//") || scpStyle(entry) ||
		strings.HasPrefix(entry, "github.com/") || strings.HasPrefix(entry, "github.com:") ||
		strings.Contains(entry, ".git/") || strings.HasSuffix(entry, ".git")
}

// scpStyle reports whether an entry is written as user@host:path.
func scpStyle(entry string) bool {
	user, rest, ok := strings.Cut(entry, "@")
	return ok && user != "" && !strings.Contains(user, "/") && strings.Contains(rest, ":")
}

// bring fetches what an entry names and returns the path by which the kustomization in dir reads it.
func (b *buildFS) bring(dir, field string, number int, entry string) (string, error) {
	if document(entry) && field == "resources" {
		found, err := b.files.fetch(Fetch{Document: entry})
		if err != nil {
			return "", err
		}
		name := ".argosy-fetched-" + strconv.Itoa(number) + ".yaml"
		b.written[path.Join(dir, name)] = found.Data
		return name, nil
	}
	repository, sub, err := parseRemote(entry)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSource, err)
	}
	at, known := b.byRef[repository]
	if !known {
		found, err := b.files.fetch(Fetch{Repository: &repository})
		if err != nil {
			return "", err
		}
		at = len(b.trees)
		b.trees = append(b.trees, found.Tree)
		b.byRef[repository] = at
	}
	target := path.Join(mounted, strconv.Itoa(at), sub)
	if b.kind(target) == Absent {
		return "", fmt.Errorf("%w: the repository has no %q", ErrSource, sub)
	}
	return filepath.Rel(dir, target)
}

// document reports whether a URL is that of a file rather than of a repository. Source: Kustomize takes for a
// repository what has //, .git or _git/ behind the host, and github.com/org/name.
func document(entry string) bool {
	u, err := url.Parse(entry)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "github.com" {
		return false
	}
	rest := u.Path
	ext := path.Ext(rest)
	return !strings.Contains(rest, "//") && !strings.Contains(rest, ".git") && !strings.Contains(rest, "_git/") &&
		(ext == ".yaml" || ext == ".yml" || ext == ".json" || !u.Query().Has("ref"))
}

// parseRemote reads the notation by which Kustomize names a folder of a repository at a revision.
func parseRemote(entry string) (Repository, string, error) {
	rest := strings.TrimPrefix(entry, "git::")
	rest, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return Repository{}, "", fmt.Errorf("%q: %w", entry, err)
	}
	host, rest, err := remoteHost(rest)
	if err != nil {
		return Repository{}, "", fmt.Errorf("%q: %w", entry, err)
	}
	repo, sub := remotePath(host, rest)
	if repo == "" || leaves("", sub) {
		return Repository{}, "", fmt.Errorf(
			"%q is no folder of a repository: https://host/org/name//folder?ref=revision is", entry,
		)
	}
	return Repository{URL: host + repo, Revision: first(values.Get("ref"), values.Get("version"))}, clean(sub), nil
}

// remoteHost takes scheme and host off.
func remoteHost(text string) (host, rest string, err error) {
	if strings.HasPrefix(text, "github.com/") || strings.HasPrefix(text, "github.com:") {
		return "https://github.com/", text[len("github.com/"):], nil
	}
	if scpStyle(text) && !strings.Contains(text, "://") {
		host, rest, _ = strings.Cut(text, ":")
		return host + ":", rest, nil
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains([]string{"https", "http", "ssh", "file"}, scheme) {
		return "", "", errors.New("only https, http and ssh repositories are fetched")
	}
	if scheme == "file" {
		return "file://", rest, nil
	}
	name, rest, ok := strings.Cut(rest, "/")
	if !ok || name == "" {
		return "", "", errors.New("the host or the path is missing")
	}
	return scheme + "://" + name + "/", rest, nil
}

// remotePath splits the path of a repository from a folder in it.
func remotePath(host, text string) (repo, sub string) {
	if before, after, ok := strings.Cut(text, "_git/"); ok {
		name, sub, _ := strings.Cut(after, "/")
		return before + "_git/" + name, strings.TrimPrefix(sub, "/")
	}
	if before, after, ok := strings.Cut(text, "//"); ok {
		return before, after
	}
	if before, after, ok := strings.Cut(text, ".git"); ok {
		return before + ".git", strings.TrimPrefix(after, "/")
	}
	if host == "file://" {
		return text, ""
	}
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 2 {
		return "", ""
	}
	if len(parts) == 3 {
		sub = parts[2]
	}
	return parts[0] + "/" + parts[1], sub
}
