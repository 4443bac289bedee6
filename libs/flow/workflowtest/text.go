package workflowtest

import "github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"

// placeText is where an artifact is kept, as text.
func placeText(l v1alpha1.ArtifactLocation) string {
	switch {
	case l.HTTP != nil:
		return l.HTTP.URL
	case l.S3 == nil:
		return "?"
	case l.S3.Bucket != "":
		return l.S3.Bucket + ":" + l.S3.Key
	}
	return l.S3.Key
}
