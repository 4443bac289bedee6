package store

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestEndpointsAreNamesOfTheNamespace(t *testing.T) {
	insecure := true
	for name, l := range map[string]v1alpha1.ArtifactLocation{
		"s3": {S3: &v1alpha1.S3Artifact{Key: "k", Endpoint: "store:80", Bucket: "bucket",
			Insecure: &insecure}},
		"azure":       {Azure: &v1alpha1.AzureArtifact{Blob: "k", Endpoint: "http://store/account", Container: "c"}},
		"oss":         {OSS: &v1alpha1.OSSArtifact{Key: "k", Endpoint: "http://store", Bucket: "bucket"}},
		"http":        {HTTP: &v1alpha1.HTTPArtifact{URL: "http://store/file"}},
		"artifactory": {Artifactory: &v1alpha1.ArtifactoryArtifact{URL: "http://store/file"}},
		"hdfs":        {HDFS: &v1alpha1.HDFSArtifact{Path: "/k", Addresses: []string{"store:80"}, HdfsUser: "u"}},
	} {
		var dialled []string
		s := &Stores{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return nil, errors.New("away")
		}}
		for _, namespace := range []string{"one", "two"} {
			ctx, cancel := context.WithCancel(t.Context())
			at, err := s.At(ctx, namespace, l)
			if err != nil {
				t.Fatal(name, err)
			}
			if _, err := at.Open(ctx, Key(l)); err == nil {
				t.Errorf("%s: it is there", name)
			}
			cancel()
		}
		if !slices.Contains(dialled, "store.one.svc:80") || !slices.Contains(dialled, "store.two.svc:80") ||
			slices.Contains(dialled, "store:80") {
			t.Errorf("%s: %v", name, dialled)
		}
	}
}
