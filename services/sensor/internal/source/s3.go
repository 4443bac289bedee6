package source

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3 gets an object of a bucket.
func (f *Fetcher) s3(ctx context.Context, namespace string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	s := l.S3
	access, err := f.values.Value(ctx, namespace, &s.AccessKey)
	if err != nil {
		return nil, err
	}
	key, err := f.values.Value(ctx, namespace, &s.SecretKey)
	if err != nil {
		return nil, err
	}
	options := &minio.Options{Creds: credentials.NewStaticV4(access, key, ""), Secure: !s.Insecure, Region: s.Region}
	ca, err := f.values.Value(ctx, namespace, s.CaCertificate)
	if err != nil {
		return nil, err
	}
	if ca != "" {
		pool, err := secret.Pool("caCertificate", []byte(ca))
		if err != nil {
			return nil, err
		}
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
		options.Transport = t
	}
	c, err := minio.New(s.Endpoint, options)
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	object, err := c.GetObject(ctx, s.Bucket.Name, s.Bucket.Key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }()
	text, err := read(object)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", s.Bucket.Name, s.Bucket.Key, err)
	}
	return text, nil
}
