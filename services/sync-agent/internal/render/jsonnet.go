package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-jsonnet"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxStack bounds calls within calls of Jsonnet.
const maxStack = 500

// evaluate runs a Jsonnet file of the source's folder: what it gives is an object or a list of them.
func evaluate(job *Job, f *files, name string) ([]*unstructured.Unstructured, error) {
	options := v1alpha1.ApplicationSourceJsonnet{}
	if d := job.Source.Directory; d != nil && d.Jsonnet != nil {
		options = *d.Jsonnet
	}
	vm := jsonnet.MakeVM()
	vm.MaxStack = maxStack
	vm.ErrorFormatter.SetMaxStackTraceSize(5)
	for _, v := range options.ExtVars {
		if v.Code {
			vm.ExtCode(v.Name, v.Value)
		} else {
			vm.ExtVar(v.Name, v.Value)
		}
	}
	for _, v := range options.Tlas {
		if v.Code {
			vm.TLACode(v.Name, v.Value)
		} else {
			vm.TLAVar(v.Name, v.Value)
		}
	}
	// The folder of the source comes first, then the libraries, which are relative to the root of the repository.
	search := []string{clean(job.Dir)}
	for _, lib := range options.Libs {
		if leaves("", strings.TrimPrefix(lib, "/")) {
			return nil, fmt.Errorf("spec.source.directory.jsonnet.libs: %q %w", lib, errOutside)
		}
		search = append(search, clean(lib))
	}
	vm.Importer(&importer{files: f, search: search, seen: map[string]jsonnet.Contents{}})
	text, err := vm.EvaluateFile(path.Join("/", job.Dir, name))
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if json.Unmarshal([]byte(text), &list) != nil {
		list = []json.RawMessage{json.RawMessage(text)}
	}
	var out []*unstructured.Unstructured
	for _, item := range list {
		if string(item) == "null" {
			continue
		}
		objects, err := objectsOf(item)
		if err != nil {
			return nil, err
		}
		out = append(out, objects...)
	}
	return out, nil
}

// importer finds what is imported in the repository.
type importer struct {
	files  *files
	search []string
	seen   map[string]jsonnet.Contents // the library wants the same contents each time
}

var errImport = errors.New(
	"there is no such file in the repository; name its folder in spec.source.directory.jsonnet.libs",
)

// Import finds a file beside the one that names it, else in the folders that are searched.
func (i *importer) Import(from, name string) (jsonnet.Contents, string, error) {
	places := []string{path.Join(path.Dir(from), name)}
	if path.IsAbs(name) {
		places = []string{name}
	} else {
		for _, dir := range i.search {
			places = append(places, path.Join("/", dir, name))
		}
	}
	for _, place := range places {
		if found, ok := i.seen[place]; ok {
			return found, place, nil
		}
		text, ok, err := i.files.read("", place)
		if err != nil {
			return jsonnet.Contents{}, "", err
		}
		if ok {
			i.seen[place] = jsonnet.MakeContentsRaw(text)
			return i.seen[place], place, nil
		}
	}
	return jsonnet.Contents{}, "", fmt.Errorf("import %q: %w", name, errImport)
}
