package store

import (
	"context"
	"net/url"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// oss is a bucket of Alibaba Cloud's Object Storage Service, which speaks as S3 does, with the bucket in the host's
// name.
func (s *Stores) oss(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	o := l.OSS
	switch {
	case o.Bucket == "":
		return nil, fault.Poisonf("oss: the bucket is not named")
	case o.Endpoint == "":
		return nil, fault.Poisonf("oss: the endpoint is not named")
	case o.LifecycleRule != nil:
		return nil, fault.Poisonf("oss: lifecycleRule would replace all rules of the bucket: set it on the bucket")
	case (o.AccessKeySecret == nil) != (o.SecretKeySecret == nil):
		return nil, fault.Poisonf("oss: accessKeySecret and secretKeySecret come together")
	}
	a := access{endpoint: o.Endpoint, secure: true, style: styles["auto-detect"], token: o.SecurityToken}
	if u, err := url.Parse(o.Endpoint); err == nil && u.Host != "" {
		a.endpoint, a.secure = u.Host, u.Scheme != "http"
	}
	if o.AccessKeySecret != nil {
		var err error
		if a.id, err = s.secret(ctx, namespace, *o.AccessKeySecret); err != nil {
			return nil, err
		}
		if a.secret, err = s.secret(ctx, namespace, *o.SecretKeySecret); err != nil {
			return nil, err
		}
	}
	if o.UseSDKCreds && o.AccessKeySecret == nil {
		if err := s.Own.Allow(namespace, "oss.useSDKCreds", "accessKeySecret and secretKeySecret"); err != nil {
			return nil, err
		}
		a.own = "alibaba"
	}
	client, err := s.clients.of(ctx, a, namespace, s.Dial)
	if err != nil {
		return nil, err
	}
	b := &bucket{client: client, name: o.Bucket, anonymous: a.anonymous()}
	if o.CreateBucketIfNotPresent {
		b.create = &v1alpha1.CreateS3BucketOptions{}
	}
	return b, nil
}
