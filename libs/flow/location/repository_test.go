package location

import (
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhichRepositoryIsMeant(t *testing.T) {
	config := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}, Data: map[string]string{
		"a": "s3: {endpoint: e, bucket: a}", "b": "archiveLogs: true\ns3: {endpoint: e, bucket: b, insecure: true}",
		"junk": "s3: [", "odd": "s3: 1"}}
	marked := *config.DeepCopy()
	marked.Annotations = map[string]string{DefaultAnnotation: "a"}
	for name, c := range map[string]struct {
		ref    *v1alpha1.ArtifactRepositoryRef
		config corev1.ConfigMap
		bucket string
		fails  bool
	}{
		"the one that is named":   {&v1alpha1.ArtifactRepositoryRef{Key: "b"}, marked, "b", false},
		"the default":             {nil, marked, "a", false},
		"the default of another":  {&v1alpha1.ArtifactRepositoryRef{ConfigMap: "c"}, marked, "a", false},
		"nobody names one":        {nil, config, "", false},
		"a reference without key": {&v1alpha1.ArtifactRepositoryRef{ConfigMap: "c"}, config, "", true},
		"a key that is not there": {&v1alpha1.ArtifactRepositoryRef{Key: "z"}, marked, "", true},
		"no YAML":                 {&v1alpha1.ArtifactRepositoryRef{Key: "junk"}, marked, "", true},
		"something else than one": {&v1alpha1.ArtifactRepositoryRef{Key: "odd"}, marked, "", true},
	} {
		_, r, err := Pick(c.ref, c.config)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
		if c.bucket != "" && (r == nil || r.S3.Bucket != c.bucket) {
			t.Errorf("%s: %+v", name, r)
		}
		if c.bucket == "" && !c.fails && r != nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
