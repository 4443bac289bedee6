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

// remote reports whether a place is outside of the built-in store.
func remote(s *v1alpha1.S3Artifact) bool { return s != nil && s.Endpoint != "" && s.Bucket != "" }

// UnknownPlace names the kind of place that an artifact has and nothing here can reach, "" when there is none.
func UnknownPlace(l v1alpha1.ArtifactLocation) string { return unknown(l) }

// unknown names the kind of place that a location has and nothing here can reach, "" when there is none.
func unknown(l v1alpha1.ArtifactLocation) string {
	for _, kind := range []struct {
		name string
		set  bool
	}{
		{"artifactory", l.Artifactory != nil}, {"azure", l.Azure != nil}, {"gcs", l.GCS != nil}, {"git", l.Git != nil}, {"hdfs", l.HDFS != nil},
		{"oss", l.OSS != nil}, {"plugin", l.Plugin != nil},
	} {
		if kind.set {
			return kind.name
		}
	}
	return ""
}

// repository is the store of the run, without a key, and the format of the keys in it.
func repository(r *v1alpha1.ArtifactRepository) (v1alpha1.S3Artifact, string, error) {
	if r == nil {
		return v1alpha1.S3Artifact{}, keyFormat, nil
	}
	if r.S3 == nil {
		for name, set := range map[string]bool{"artifactory": r.Artifactory != nil, "azure": r.Azure != nil, "gcs": r.GCS != nil, "hdfs": r.HDFS != nil, "oss": r.OSS != nil, "plugin": r.Plugin != nil} {
			if set {
				return v1alpha1.S3Artifact{}, "", fmt.Errorf("the artifact repository is of kind %s, which is not supported; s3 is", name)
			}
		}
		return v1alpha1.S3Artifact{}, keyFormat, nil
	}
	s := r.S3
	format := s.KeyFormat
	if format == "" {
		format = path.Join(s.KeyPrefix, keyFormat)
	}
	return v1alpha1.S3Artifact{
		AccessKeySecret: s.AccessKeySecret, AddressingStyle: s.AddressingStyle, Bucket: s.Bucket, CaSecret: s.CaSecret, CreateBucketIfNotPresent: s.CreateBucketIfNotPresent,
		EncryptionOptions: s.EncryptionOptions, Endpoint: s.Endpoint, Insecure: s.Insecure, Region: s.Region, RoleARN: s.RoleARN, SecretKeySecret: s.SecretKeySecret,
		SessionTokenSecret: s.SessionTokenSecret, UseSDKCreds: s.UseSDKCreds,
	}, format, nil
}

// home is where the artifacts of a pod are kept that name no place themselves: in the template's archiveLocation, else in
// the run's repository. Its key is their folder. Source: Argo Workflows.
func (k *walk) home(t v1alpha1.Template, sc scope) (v1alpha1.S3Artifact, error) {
	base, format, err := repository(k.w.Repository)
	if own := t.ArchiveLocation; own != nil && own.S3 != nil {
		if remote(own.S3) {
			base, format, err = *own.S3, keyFormat, nil
		}
		if own.S3.Key != "" {
			format = own.S3.Key
		}
	}
	if own := t.ArchiveLocation; own != nil && unknown(*own) != "" {
		err = fmt.Errorf("archiveLocation: %s is not supported; s3 is", unknown(*own))
	}
	if err != nil {
		return base, err
	}
	base.Key, err = sc.text(format)
	return base, err
}

// placed are the output artifacts of a pod and those of its logs, with the places where they are kept. The scope knows
// the pod's name.
func (k *walk) placed(t v1alpha1.Template, sc scope) (artifacts, logs []v1alpha1.Artifact, err error) {
	if t.Outputs != nil {
		artifacts = t.Outputs.DeepCopy().Artifacts
	}
	logged := k.archivesLogs(t)
	if !logged && len(artifacts) == 0 {
		return nil, nil, nil
	}
	home, err := k.home(t, sc)
	if err == nil {
		err = substitute(&artifacts, sc)
	}
	if err != nil {
		return nil, nil, err
	}
	for i, a := range artifacts {
		if kind := unknown(a.ArtifactLocation); kind != "" {
			return nil, nil, fmt.Errorf("output artifact %q: %s is not supported; s3 and http are", a.Name, kind)
		}
		if a.HTTP != nil {
			continue
		}
		artifacts[i].ArtifactLocation = v1alpha1.ArtifactLocation{S3: placeIn(home, a.S3, fileName(artifacts, i))}
	}
	if logged {
		logs = logsOf(t, home)
	}
	return artifacts, logs, nil
}

// placeIn is where an artifact is kept that may say something about it itself.
func placeIn(home v1alpha1.S3Artifact, own *v1alpha1.S3Artifact, file string) *v1alpha1.S3Artifact {
	place := home
	if remote(own) {
		place = *own
	}
	place.Key = path.Join(home.Key, file)
	if own != nil && own.Key != "" {
		place.Key = own.Key
	}
	return &place
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
func (k *walk) archivesLogs(t v1alpha1.Template) bool {
	if k.w.Repository != nil && k.w.Repository.ArchiveLogs {
		return true
	}
	if t.ArchiveLocation != nil && t.ArchiveLocation.ArchiveLogs != nil {
		return *t.ArchiveLocation.ArchiveLogs
	}
	return k.w.Spec.ArchiveLogs != nil && *k.w.Spec.ArchiveLogs
}

func logsOf(t v1alpha1.Template, home v1alpha1.S3Artifact) []v1alpha1.Artifact {
	names := []string{"main"}
	if t.ContainerSet != nil {
		names = nil
		for i := range t.ContainerSet.Containers {
			names = append(names, t.ContainerSet.Containers[i].Name)
		}
	}
	var out []v1alpha1.Artifact
	for _, name := range names {
		place := home
		place.Key = path.Join(home.Key, name+".log")
		out = append(out, v1alpha1.Artifact{Name: name + LogsSuffix, Archive: &v1alpha1.ArchiveStrategy{None: &v1alpha1.NoneStrategy{}}, ArtifactLocation: v1alpha1.ArtifactLocation{S3: &place}})
	}
	return out
}

// relocate completes a place that is only a key: it is one in the run's repository.
func relocate(r *v1alpha1.ArtifactRepository, l v1alpha1.ArtifactLocation) (v1alpha1.ArtifactLocation, error) {
	if l.S3 == nil || remote(l.S3) {
		return l, nil
	}
	base, _, err := repository(r)
	if err != nil {
		return l, err
	}
	base.Key = l.S3.Key
	return v1alpha1.ArtifactLocation{S3: &base}, nil
}

// noted is a place as a node shows it: what lies in the run's repository by its key. Source: Argo Workflows.
func (k *walk) noted(l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	base, _, err := repository(k.w.Repository)
	if err != nil || l.S3 == nil || l.S3.Endpoint != base.Endpoint || l.S3.Bucket != base.Bucket {
		return l
	}
	return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Key: l.S3.Key}}
}
