package location

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func artifact(name, key, strategy string) v1alpha1.Artifact {
	a := v1alpha1.Artifact{Name: name, ArtifactLocation: v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Key: key}}}
	if strategy != "" {
		a.ArtifactGC = &v1alpha1.ArtifactGC{Strategy: strategy}
	}
	return a
}

func TestWhatIsTakenAway(t *testing.T) {
	deleted, elsewhere := artifact("deleted", "d", ""), artifact("elsewhere", "k", "")
	deleted.Deleted = true
	elsewhere.S3.Endpoint, elsewhere.S3.Bucket = "other", "o"
	nodes := []v1alpha1.NodeStatus{
		{ID: "steps", Type: v1alpha1.NodeTypeSteps,
			Outputs: &v1alpha1.Outputs{Artifacts: []v1alpha1.Artifact{artifact("up", "k", "")}}},
		{ID: "none", Type: v1alpha1.NodeTypePod},
		{ID: "pod", Type: v1alpha1.NodeTypePod, Outputs: &v1alpha1.Outputs{Artifacts: []v1alpha1.Artifact{
			artifact("plain", "k", ""), artifact("again", "k", ""), artifact("kept", "n", "Never"),
			artifact("late", "l", GCOnDeletion), deleted, elsewhere}}},
	}
	repository := &v1alpha1.ArtifactRepository{S3: &v1alpha1.S3ArtifactRepository{Endpoint: "minio", Bucket: "b"}}
	whole := func(strategy string) v1alpha1.WorkflowSpec {
		return v1alpha1.WorkflowSpec{ArtifactGC: &v1alpha1.WorkflowLevelArtifactGC{Strategy: strategy}}
	}
	for name, c := range map[string]struct {
		spec     v1alpha1.WorkflowSpec
		repo     *v1alpha1.ArtifactRepository
		strategy string
		want     string
	}{
		"nothing is asked for": {v1alpha1.WorkflowSpec{}, nil, GCOnCompletion, ""},
		"one asks for itself":  {v1alpha1.WorkflowSpec{}, nil, GCOnDeletion, "late@/l"},
		"at the end":           {whole(GCOnCompletion), nil, GCOnCompletion, "plain@/k elsewhere@o/k"},
		"with the workflow":    {whole(GCOnDeletion), repository, GCOnDeletion, "plain@b/k late@b/l elsewhere@o/k"},
		"of a driver": {whole(GCOnCompletion),
			&v1alpha1.ArtifactRepository{Plugin: &v1alpha1.PluginArtifactRepository{Name: "p", Configuration: "c"}},
			GCOnCompletion, "plain@p c/k elsewhere@o/k"},
		"of HDFS": {whole(GCOnCompletion),
			&v1alpha1.ArtifactRepository{HDFS: &v1alpha1.HDFSArtifactRepository{Addresses: []string{"a:1", "b:1"}}},
			GCOnCompletion, "plain@a:1/k elsewhere@o/k"},
		"of another kind": {whole(GCOnCompletion),
			&v1alpha1.ArtifactRepository{GCS: &v1alpha1.GCSArtifactRepository{Bucket: "g"}}, GCOnCompletion,
			"plain@g/k elsewhere@o/k"},
	} {
		var got []string
		for _, w := range Garbage(nodes, c.spec, c.repo, c.strategy) {
			bucket := ""
			switch {
			case w.Location.S3 != nil:
				bucket = w.Location.S3.Bucket
			case w.Location.GCS != nil:
				bucket = w.Location.GCS.Bucket
			case w.Location.HDFS != nil:
				bucket = w.Location.HDFS.Addresses[0]
			case w.Location.Plugin != nil:
				bucket = w.Location.Plugin.Name + " " + w.Location.Plugin.Configuration
			}
			got = append(got, w.Name+"@"+bucket+"/"+Key(w.Location))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}
