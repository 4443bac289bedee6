package location

import (
	"fmt"
	"path"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// LogsSuffix follows the name of a container in the name of the artifact with its logs. Source: Argo Workflows.
const LogsSuffix = "-logs"

// Folder is where the artifacts of a pod are kept that name no place themselves.
type Folder struct {
	Store v1alpha1.ArtifactLocation
	Name  string // what their keys begin with
}

// FolderOf is the store of the artifacts of a pod, and the format of its folder there: in the template's
// archiveLocation, nil without one, else in the run's repository. Source: Argo Workflows.
func FolderOf(r *v1alpha1.ArtifactRepository, own *v1alpha1.ArtifactLocation) (store v1alpha1.ArtifactLocation,
	format string) {
	store, format = repository(r)
	if own == nil {
		return store, format
	}
	switch {
	case own.Artifactory != nil:
		store, format = *own, ""
	case remote(*own):
		store, format = configured(store, *own), keyFormat
	}
	if key := Key(*own); key != "" {
		format = key
	}
	return store, format
}

// at is the place of one artifact.
func (f Folder) at(file string) v1alpha1.ArtifactLocation {
	return under(f.Store, path.Join(f.Name, file))
}

// Place gives the output artifacts of a pod their places. An error names one that cannot be stored.
func (f Folder) Place(artifacts []v1alpha1.Artifact) error {
	for i, a := range artifacts {
		switch {
		case a.Git != nil:
			return fmt.Errorf("output artifact %q: git is for inputs; nothing is stored there", a.Name)
		case a.HTTP == nil:
			artifacts[i].ArtifactLocation = f.placeOf(a.ArtifactLocation, fileName(artifacts, i))
		}
	}
	return nil
}

// placeOf is where an artifact is kept that may say something about it itself.
func (f Folder) placeOf(own v1alpha1.ArtifactLocation, file string) v1alpha1.ArtifactLocation {
	own = configured(f.Store, own)
	key := Key(own)
	switch {
	case own.Artifactory != nil && own.Artifactory.URL != "":
		return v1alpha1.ArtifactLocation{Artifactory: own.Artifactory}
	case remote(own) && key != "":
		return under(own, key)
	case remote(own):
		return under(own, path.Join(f.Name, file))
	case key != "":
		return under(f.Store, key)
	}
	return f.at(file)
}

// fileName is the last part of the key of an artifact. Source: Argo Workflows; two of one pod that would get the same
// keep their names apart.
func fileName(all []v1alpha1.Artifact, at int) string {
	name := func(a v1alpha1.Artifact) string {
		switch {
		case a.Archive != nil && a.Archive.None != nil && a.Path != "":
			return path.Base(a.Path)
		case a.Archive != nil && a.Archive.Zip != nil:
			return a.Name + ".zip"
		}
		return a.Name + ".tgz"
	}
	file := name(all[at])
	if slices.ContainsFunc(all[:at], func(a v1alpha1.Artifact) bool { return name(a) == file }) {
		return all[at].Name + "/" + file
	}
	return file
}

// ArchivesLogs reports whether the logs of a template are kept. Source: Argo Workflows, a repository that wants them
// cannot be overruled, and a template overrules its workflow.
func ArchivesLogs(r *v1alpha1.ArtifactRepository, t v1alpha1.Template, spec v1alpha1.WorkflowSpec) bool {
	if r != nil && r.ArchiveLogs {
		return true
	}
	if t.ArchiveLocation != nil && t.ArchiveLocation.ArchiveLogs != nil {
		return *t.ArchiveLocation.ArchiveLogs
	}
	return spec.ArchiveLogs != nil && *spec.ArchiveLogs
}

// Logs are the artifacts with the logs of a template's containers.
func (f Folder) Logs(t v1alpha1.Template) []v1alpha1.Artifact {
	names := []string{"main"}
	if t.ContainerSet != nil {
		names = nil
		for i := range t.ContainerSet.Containers {
			names = append(names, t.ContainerSet.Containers[i].Name)
		}
	}
	var out []v1alpha1.Artifact
	for _, name := range names {
		out = append(out, v1alpha1.Artifact{Name: name + LogsSuffix,
			Archive: &v1alpha1.ArchiveStrategy{None: &v1alpha1.NoneStrategy{}}, ArtifactLocation: f.at(name + ".log")})
	}
	return out
}

// Relocate completes a place that is only a key: it is one in the run's repository.
func Relocate(r *v1alpha1.ArtifactRepository, l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	if storeOf(l) == nil {
		return l
	}
	base, _ := repository(r)
	if remote(l) {
		return configured(base, l)
	}
	return under(base, Key(l))
}

// Shown is a place as a node shows it: what lies in the run's repository by its key. Source: Argo Workflows.
func Shown(r *v1alpha1.ArtifactRepository, l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	if base, _ := repository(r); !sameStore(base, l) {
		return l
	}
	return keyOnly(l)
}
