package render

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/bmatcuk/doublestar/v4"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/strvals"
)

// valuesOf are the values that a source sets over those of its chart. What comes later wins: valueFiles in their order,
// valuesObject or else values, parameters, parameters as strings, fileParameters.
func valuesOf(job *Job, f *files, o *v1alpha1.ApplicationSourceHelm) (map[string]any, error) {
	values := map[string]any{}
	merge := func(from string, text []byte) error {
		more, err := loader.LoadValues(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSource, from, err)
		}
		values = loader.MergeMaps(values, more)
		return nil
	}
	found, err := valueFiles(job, f, o)
	if err != nil {
		return nil, err
	}
	for _, v := range found {
		if err := merge(v.from, []byte(v.text)); err != nil {
			return nil, err
		}
	}
	// valuesObject replaces values, it is not merged with them.
	if len(o.ValuesObject) > 0 && string(o.ValuesObject) != "null" {
		if err := merge("spec.source.helm.valuesObject", o.ValuesObject); err != nil {
			return nil, err
		}
	} else if o.Values != "" {
		if err := merge("spec.source.helm.values", []byte(o.Values)); err != nil {
			return nil, err
		}
	}
	return values, parameters(job, f, o, values)
}

// parameters sets single values.
func parameters(job *Job, f *files, o *v1alpha1.ApplicationSourceHelm, values map[string]any) error {
	for _, asString := range []bool{false, true} {
		set := strvals.ParseInto
		if asString {
			set = strvals.ParseIntoString
		}
		for _, p := range o.Parameters {
			if p.ForceString != asString {
				continue
			}
			if err := set(p.Name+"="+escapeCommas(string(p.Value)), values); err != nil {
				return fmt.Errorf("%w: spec.source.helm.parameters: %q: %w", ErrSource, p.Name, err)
			}
		}
	}
	for _, p := range o.FileParameters {
		text, ok, err := textOf(job, f, "spec.source.helm.fileParameters", p.Path)
		if err == nil && !ok {
			err = fmt.Errorf("%w: spec.source.helm.fileParameters: %q: there is no file %q", ErrSource, p.Name, p.Path)
		}
		if err != nil {
			return err
		}
		// The path has been read already: what stands for it here only has to be a value.
		if err := strvals.ParseIntoFile(
			p.Name+"=file", values, func([]rune) (any, error) { return string(text), nil },
		); err != nil {
			return fmt.Errorf("%w: spec.source.helm.fileParameters: %q: %w", ErrSource, p.Name, err)
		}
	}
	return nil
}

// escapeCommas makes a value one value, unless it is written as a list.
func escapeCommas(value string) string {
	if strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}") {
		return value
	}
	var out strings.Builder
	for i := range len(value) {
		if value[i] == ',' && (i == 0 || value[i-1] != '\\') {
			out.WriteByte('\\')
		}
		out.WriteByte(value[i])
	}
	return out.String()
}

const fieldValueFiles = "spec.source.helm.valueFiles"

// valueFiles reads the files of values in the order in which they are merged. A file that is named is where it is
// named, also when a pattern before it matches it.
func valueFiles(job *Job, f *files, o *v1alpha1.ApplicationSourceHelm) ([]manifest, error) {
	named := map[treePath]bool{}
	for _, name := range o.ValueFiles {
		if tree, at, err := f.locate(fieldValueFiles, name); err == nil && !hasMeta(at) && !remoteFile(name) {
			named[treePath{tree, at}] = true
		}
	}
	var out []manifest
	done := map[treePath]bool{}
	for _, name := range o.ValueFiles {
		if remoteFile(name) {
			text, _, err := textOf(job, f, fieldValueFiles, name)
			if err != nil {
				return nil, err
			}
			out = append(out, manifest{from: name, text: string(text)})
			continue
		}
		tree, at, err := f.locate(fieldValueFiles, name)
		if err != nil {
			return nil, err
		}
		places := []string{at}
		if hasMeta(at) {
			if places, err = f.glob(tree, at); err != nil {
				return nil, fmt.Errorf("%w: %s: %q: %w", ErrSource, fieldValueFiles, name, err)
			}
			places = slices.DeleteFunc(places, func(p string) bool { return named[treePath{tree, p}] })
			if len(places) == 0 && !o.IgnoreMissingValueFiles && !matchesNamed(named, tree, at) {
				return nil, fmt.Errorf("%w: %s: %q matches no file; set ignoreMissingValueFiles if that is fine",
					ErrSource, fieldValueFiles, name)
			}
		}
		for _, p := range places {
			if done[treePath{tree, p}] {
				continue
			}
			done[treePath{tree, p}] = true
			text, ok, err := f.read(tree, p)
			switch {
			case err != nil:
				return nil, err
			case ok:
				out = append(out, manifest{from: name, text: string(text)})
			case !o.IgnoreMissingValueFiles:
				return nil, fmt.Errorf("%w: %s: there is no file %q; set ignoreMissingValueFiles if that is fine",
					ErrSource, fieldValueFiles, name)
			}
		}
	}
	return out, nil
}

func matchesNamed(named map[treePath]bool, tree, pattern string) bool {
	for n := range named {
		if ok, _ := doublestar.Match(pattern, n.path); ok && n.tree == tree {
			return true
		}
	}
	return false
}

func hasMeta(name string) bool { return strings.ContainsAny(name, "*?[") }

// glob are the files that match a pattern, in the order of their names.
func (f *files) glob(tree, pattern string) ([]string, error) {
	if !doublestar.ValidatePattern(pattern) {
		return nil, doublestar.ErrBadPattern
	}
	base, _ := doublestar.SplitPattern(pattern)
	if base == "." {
		base = ""
	}
	found, _, err := f.below(tree, base)
	if err != nil {
		return nil, err
	}
	var out []string
	for name := range found {
		full := path.Join(base, name)
		if ok, err := doublestar.Match(pattern, full); err != nil {
			return nil, err
		} else if ok {
			out = append(out, full)
		}
	}
	slices.Sort(out)
	return out, nil
}

// remoteFile reports whether a name is a URL.
func remoteFile(name string) bool {
	u, err := url.Parse(name)
	return err == nil && u.Scheme != "" && u.Host != ""
}

// defaultSchemes are those that files of values may be fetched by. Source: Argo CD, helm.valuesFileSchemes.
var defaultSchemes = []string{"http", "https"}

// textOf reads a file of a tree or fetches one by its URL.
func textOf(job *Job, f *files, what, name string) ([]byte, bool, error) {
	if !remoteFile(name) {
		tree, at, err := f.locate(what, name)
		if err != nil {
			return nil, false, err
		}
		return f.read(tree, at)
	}
	u, err := url.Parse(name)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %s: %w", ErrSource, what, err)
	}
	allowed := job.Options.ValueFileSchemes
	if len(allowed) == 0 {
		allowed = defaultSchemes
	}
	if !slices.Contains(allowed, u.Scheme) {
		return nil, false, fmt.Errorf(
			"%w: %s: %q: %w: %s are",
			ErrSource,
			what,
			name,
			errScheme,
			strings.Join(allowed, ", "),
		)
	}
	found, err := f.fetch(Fetch{Document: name})
	return found.Data, err == nil, err
}

var errScheme = errors.New("files may not be fetched by this scheme")
