package image

import (
	"fmt"
	"path"
	"strings"
)

// Form is how a file names images.
type Form string

// The forms.
const (
	// Override is .argocd-source-APPLICATION.yaml, whose fields lie over the application's source.
	Override Form = "override"
	// Kustomization is the list images of a kustomization.
	Kustomization Form = "kustomization"
	// HelmValues is a file of values.
	HelmValues Form = "helmvalues"
	// Setters are the markers of Flux, in comments behind the values of any YAML file.
	Setters Form = "setters"
)

// Target is where new images are written.
type Target struct {
	Form Form
	// Path is relative to the application's path, or to the root of the repository with a slash before it. It is a file
	// of values, and else a folder.
	Path string
	// Ref is that of the source whose repository the path is in, as $ref/path says it; "" says nothing.
	Ref string
}

func readTarget(text string) (Target, error) {
	kind, where, _ := strings.Cut(text, ":")
	switch Form(kind) {
	case "":
		return Target{Form: Override, Path: "."}, nil
	case Kustomization, Setters:
		if where == "" {
			where = "."
		}
	case HelmValues:
		if where == "" {
			where = "values.yaml"
		}
	default:
		return Target{}, fmt.Errorf(
			"write-back-target %q is none of kustomization[:folder], helmvalues[:file] and setters[:folder]", text,
		)
	}
	if at, is := strings.CutPrefix(where, "$"); is {
		ref, rest, _ := strings.Cut(at, "/")
		if ref == "" {
			return Target{}, fmt.Errorf("write-back-target %q: the ref after $ is missing", text)
		}
		return Target{Form(kind), "/" + rest, ref}, nil
	}
	return Target{Form: Form(kind), Path: where}, nil
}

// In is the target's path from the root of the repository, for an application of a folder. It cannot leave the
// repository.
func (t Target) In(folder string) string {
	if strings.HasPrefix(t.Path, "/") {
		return strings.TrimPrefix(path.Clean(t.Path), "/")
	}
	return strings.TrimPrefix(path.Join("/", folder, t.Path), "/")
}
