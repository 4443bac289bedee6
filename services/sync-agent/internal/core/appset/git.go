package appset

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// Tree is what of a commit a git generator needs.
type Tree struct {
	// Paths are those of all files, where folders are asked for.
	Paths []string
	// Files are the contents of the files that [WantsFile] names.
	Files map[string][]byte
}

// WantsFile reports whether a generator reads a file: one of its patterns matches, and none that excludes.
func WantsFile(g *v1alpha1.GitGenerator, name string) bool {
	wanted := false
	for _, item := range g.Files {
		if !matchFile(item.Path, name) {
			continue
		}
		if item.Exclude {
			return false
		}
		wanted = true
	}
	return wanted
}

// gitKind gives folders or files of a repository. Source: the git generator of Argo CD.
func gitKind() kind {
	return asking("git", cheapNet, func(g *v1alpha1.GitGenerator, t Tree, e *engine) ([]Params, error) {
		switch {
		case len(g.Directories) > 0 && len(g.Files) > 0:
			return nil, errors.New("directories and files exclude each other")
		case len(g.Directories) > 0:
			return folders(g, t.Paths, e)
		case len(g.Files) > 0:
			return files(g, t.Files, e)
		}
		return nil, errors.New("directories or files is missing")
	})
}

// folders gives the folders that a pattern matches and none excludes. Those whose name, or that of one above, begins
// with a dot are left out.
func folders(g *v1alpha1.GitGenerator, paths []string, e *engine) ([]Params, error) {
	all := map[string]bool{}
	for _, p := range paths {
		for dir := path.Dir(p); dir != "." && dir != "/" && !all[dir]; dir = path.Dir(dir) {
			all[dir] = true
		}
	}
	var out []Params
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		wanted, err := wantsFolder(g.Directories, dir)
		if err != nil {
			return nil, err
		}
		if wanted && !strings.HasPrefix(dir, ".") && !strings.Contains(dir, "/.") {
			out = append(out, pathParams(Params{}, g.PathParamPrefix, dir, "", e.tree))
		}
	}
	return out, nil
}

func wantsFolder(items []v1alpha1.GitDirectoryGeneratorItem, dir string) (wanted bool, err error) {
	excluded := false
	for i, item := range items {
		ok, err := path.Match(item.Path, dir)
		if err != nil {
			return false, fmt.Errorf("directories[%d].path: %q: %w", i, item.Path, err)
		}
		wanted, excluded = wanted || ok && !item.Exclude, excluded || ok && item.Exclude
	}
	return wanted && !excluded, nil
}

// files gives the content of each file: one object, or a list of them.
func files(g *v1alpha1.GitGenerator, contents map[string][]byte, e *engine) ([]Params, error) {
	var out []Params
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		objects, err := objectsOf(contents[name])
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", name, err)
		}
		for _, o := range objects {
			out = append(out, pathParams(e.params(o), g.PathParamPrefix, path.Dir(name), path.Base(name), e.tree))
		}
		if len(out) > maxSets {
			return nil, fmt.Errorf("%w: over %d sets of parameters in files", ErrLimit, maxSets)
		}
	}
	return out, nil
}

// objectsOf reads YAML or JSON. A file without content is one object without fields.
func objectsOf(content []byte) ([]map[string]any, error) {
	raw, err := yaml.YAMLToJSON(content)
	if err != nil {
		return nil, err
	}
	v, err := script.Decode(bytes.TrimSpace(raw))
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return []map[string]any{{}}, nil
	case map[string]any:
		return []map[string]any{v}, nil
	case []any:
		out := make([]map[string]any, len(v))
		for i, item := range v {
			m, ok := item.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("item %d of its list is no object", i)
			}
			out[i] = m
		}
		return out, nil
	}
	return nil, errors.New("it holds neither an object nor a list of objects")
}

// pathParams adds where something lies: file is "" for a folder.
func pathParams(p Params, prefix, dir, file string, tree bool) Params {
	segments := strings.Split(dir, "/")
	base := path.Base(dir)
	if tree {
		at := map[string]any{
			"path": dir, "basename": base, "basenameNormalized": normalize(base), "segments": plain(segments),
		}
		if file != "" {
			at["filename"], at["filenameNormalized"] = file, normalize(file)
		}
		if prefix != "" {
			p[prefix] = map[string]any{"path": at}
		} else {
			p["path"] = at
		}
		return p
	}
	name := "path"
	if prefix != "" {
		name = prefix + ".path"
	}
	p[name], p[name+".basename"], p[name+".basenameNormalized"] = dir, base, normalize(base)
	if file != "" {
		p[name+".filename"], p[name+".filenameNormalized"] = file, normalize(file)
	}
	for i, s := range segments {
		if s != "" {
			p[name+"["+strconv.Itoa(i)+"]"] = s
		}
	}
	return p
}
