package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/notification"
)

// bucket listens to the notifications of a bucket of MinIO. The server keeps none
// for a listener that is away.
func bucket(c v1alpha1.EventS3Artifact) Reader {
	return Reader{Run: func(ctx context.Context, env Env, emit Emit) error {
		client, err := dialBucket(ctx, env, c)
		if err != nil {
			return err
		}
		found, err := client.BucketExists(ctx, c.Bucket.Name)
		if err != nil {
			return fmt.Errorf("ask for bucket %s: %w", c.Bucket.Name, err)
		}
		if !found {
			return fmt.Errorf("there is no bucket %s", c.Bucket.Name)
		}
		prefix, suffix := "", ""
		if c.Filter != nil {
			prefix, suffix = c.Filter.Prefix, c.Filter.Suffix
		}
		env.Up()
		for info := range client.ListenBucketNotification(ctx, c.Bucket.Name, prefix, suffix, c.Events) {
			if over(ctx) {
				return nil
			}
			if info.Err != nil {
				return fmt.Errorf("listen to bucket %s: %w", c.Bucket.Name, info.Err)
			}
			if len(info.Records) == 0 {
				continue
			}
			data := bucketData{Notification: info.Records, Metadata: c.Metadata}
			if err := emit(ctx, bucketID(c, info.Records), data); err != nil {
				return err
			}
		}
		if over(ctx) {
			return nil
		}
		return errors.New("the notifications ended")
	}}
}

// bucketID is made of the sequencers, which order what happens to a key.
func bucketID(c v1alpha1.EventS3Artifact, records []notification.Event) string {
	parts := []any{"minio", c.Endpoint, c.Bucket.Name}
	for _, r := range records {
		parts = append(parts, r.EventName, r.S3.Object.Key, r.S3.Object.Sequencer, r.EventTime)
	}
	return Key(parts...)
}

func dialBucket(ctx context.Context, env Env, c v1alpha1.EventS3Artifact) (*minio.Client, error) {
	access, err := env.secretOf(ctx, &c.AccessKey)
	if err != nil {
		return nil, err
	}
	key, err := env.secretOf(ctx, &c.SecretKey)
	if err != nil {
		return nil, err
	}
	transport, err := minio.DefaultTransport(!c.Insecure)
	if err != nil {
		return nil, fmt.Errorf("set up the client: %w", err)
	}
	transport.DialContext = identity.Dial
	if c.CaCertificate != nil {
		ca, err := env.Secrets.Bytes(ctx, env.Namespace, c.CaCertificate)
		if err != nil {
			return nil, err
		}
		pool, err := secret.Pool("caCertificate", ca)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	endpoint := c.Endpoint
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		endpoint = u.Host
	}
	client, err := minio.New(endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(access, key, ""), Secure: !c.Insecure, Region: c.Region,
		Transport: http.RoundTripper(transport),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the client of %s: %w", c.Endpoint, err)
	}
	return client, nil
}

// bucketData is the view. Source: Argo Events, MinioEventData.
type bucketData struct {
	Notification []notification.Event `json:"notification"`
	Metadata     Metadata             `json:"metadata,omitempty"`
}
