package flow

import (
	"fmt"
	"path"
	"slices"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// keyFormat is the folder of a pod's artifacts where nobody names one. Source: Argo Workflows.
const keyFormat = "{{workflow.name}}/{{pod.name}}"

// LogsSuffix follows the name of a container in the name of the artifact with its logs. Source: Argo Workflows.
const LogsSuffix = "-logs"

// repositoryPath is where the artifacts of a pod are kept.
type repositoryPath struct {
	store  v1alpha1.ArtifactLocation
	folder string // what their keys begin with
}

// at is the place of one artifact.
func (h repositoryPath) at(file string) v1alpha1.ArtifactLocation {
	return under(h.store, path.Join(h.folder, file))
}

// repositoryPath is where the artifacts of a pod are kept that name no place themselves: in the template's archiveLocation, else in
// the run's repository. Source: Argo Workflows.
func (k *engine) repositoryPath(t v1alpha1.Template, sc scope) (h repositoryPath, err error) {
	base, format := repository(k.w.Repository)
	if own := t.ArchiveLocation; own != nil {
		switch {
		case own.Artifactory != nil:
			base, format = *own, ""
		case remote(*own):
			base, format = configured(base, *own), keyFormat
		}
		if key := KeyOf(*own); key != "" {
			format = key
		}
	}
	folder, err := sc.text(format)
	return repositoryPath{store: base, folder: folder}, err
}

// placed are the output artifacts of a pod and those of its logs, with the places where they are kept. The scope knows
// the pod's name.
func (k *engine) placed(t v1alpha1.Template, sc scope) (artifacts, logs []v1alpha1.Artifact, err error) {
	if t.Outputs != nil {
		artifacts = t.Outputs.DeepCopy().Artifacts
	}
	logged := k.archivesLogs(t)
	if !logged && len(artifacts) == 0 {
		return nil, nil, nil
	}
	home, err := k.repositoryPath(t, sc)
	if err == nil {
		err = substitute(&artifacts, sc)
	}
	if err != nil {
		return nil, nil, err
	}
	for i, a := range artifacts {
		switch {
		case a.Git != nil:
			return nil, nil, fmt.Errorf("output artifact %q: git is for inputs; nothing is stored there", a.Name)
		case a.HTTP == nil:
			artifacts[i].ArtifactLocation = placeIn(home, a.ArtifactLocation, fileName(artifacts, i))
		}
	}
	if logged {
		logs = logsOf(t, home)
	}
	return artifacts, logs, nil
}

// placeIn is where an artifact is kept that may say something about it itself.
func placeIn(h repositoryPath, own v1alpha1.ArtifactLocation, file string) v1alpha1.ArtifactLocation {
	own = configured(h.store, own)
	key := KeyOf(own)
	switch {
	case own.Artifactory != nil && own.Artifactory.URL != "":
		return v1alpha1.ArtifactLocation{Artifactory: own.Artifactory}
	case remote(own) && key != "":
		return under(own, key)
	case remote(own):
		return under(own, path.Join(h.folder, file))
	case key != "":
		return under(h.store, key)
	}
	return h.at(file)
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

// archivesLogs reports whether the logs of a template are kept. Source: Argo Workflows, a repository that wants them
// cannot be overruled, and a template overrules its workflow.
func (k *engine) archivesLogs(t v1alpha1.Template) bool {
	if k.w.Repository != nil && k.w.Repository.ArchiveLogs {
		return true
	}
	if t.ArchiveLocation != nil && t.ArchiveLocation.ArchiveLogs != nil {
		return *t.ArchiveLocation.ArchiveLogs
	}
	return k.w.Spec.ArchiveLogs != nil && *k.w.Spec.ArchiveLogs
}

func logsOf(t v1alpha1.Template, h repositoryPath) []v1alpha1.Artifact {
	names := []string{"main"}
	if t.ContainerSet != nil {
		names = nil
		for i := range t.ContainerSet.Containers {
			names = append(names, t.ContainerSet.Containers[i].Name)
		}
	}
	var out []v1alpha1.Artifact
	for _, name := range names {
		out = append(out, v1alpha1.Artifact{Name: name + LogsSuffix, Archive: &v1alpha1.ArchiveStrategy{None: &v1alpha1.NoneStrategy{}}, ArtifactLocation: h.at(name + ".log")})
	}
	return out
}

// relocate completes a place that is only a key: it is one in the run's repository.
func relocate(r *v1alpha1.ArtifactRepository, l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	if storeOf(l) == nil {
		return l
	}
	base, _ := repository(r)
	if remote(l) {
		return configured(base, l)
	}
	return under(base, KeyOf(l))
}

// noted is a place as a node shows it: what lies in the run's repository by its key. Source: Argo Workflows.
func (k *engine) noted(l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	if base, _ := repository(k.w.Repository); !sameStore(base, l) {
		return l
	}
	return keyOnly(l)
}
