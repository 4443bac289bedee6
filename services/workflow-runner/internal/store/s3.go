package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/minio/minio-go/v7"
)

// bucket is one bucket of an S3 server, or of one that speaks as S3 does.
type bucket struct {
	client    *minio.Client
	name      string
	authority string
	anonymous bool
	create    *v1alpha1.CreateS3BucketOptions
	region    string
	encryption
}

func (s *Stores) bucket(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	if l.S3.Bucket == "" {
		return nil, fault.Poisonf("s3: the bucket is not named")
	}
	access, err := s.access(ctx, namespace, *l.S3)
	if err != nil {
		return nil, err
	}
	hidden, err := s.encryption(ctx, namespace, l.S3.EncryptionOptions)
	if err != nil {
		return nil, err
	}
	client, err := s.clients.of(ctx, access, namespace, s.Dial)
	if err != nil {
		return nil, err
	}
	return &bucket{client: client, name: l.S3.Bucket, authority: access.authority, anonymous: access.anonymous(),
		create: l.S3.CreateBucketIfNotPresent, region: l.S3.Region, encryption: hidden}, nil
}

// Open streams an object.
func (b *bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	how := minio.GetObjectOptions{ServerSideEncryption: b.of(b.name, key)}
	if _, err := b.client.StatObject(ctx, b.name, key, how); err != nil {
		return nil, b.fail("look for", key, err)
	}
	object, err := b.client.GetObject(ctx, b.name, key, how)
	if err != nil {
		return nil, b.fail("read", key, err)
	}
	return object, nil
}

// Has reports whether there is an object of this key.
func (b *bucket) Has(ctx context.Context, key string) (bool, error) {
	if key == "" || strings.HasSuffix(key, "/") {
		return false, nil
	}
	_, err := b.client.StatObject(ctx, b.name, key, minio.StatObjectOptions{ServerSideEncryption: b.of(b.name, key)})
	if err = b.fail("look for", key, err); errors.Is(err, ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// Names lists the keys of objects, without those that only mark folders.
func (b *bucket) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var names []string
	for object := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, b.fail("list", prefix, object.Err)
		}
		if strings.HasSuffix(object.Key, "/") {
			continue
		}
		if len(names) == limit {
			return nil, fault.Poisonf("bucket %s has more than %d objects below %q", b.name, limit, prefix)
		}
		names = append(names, object.Key)
	}
	return names, nil
}

// Remove takes away an object and those below it.
func (b *bucket) Remove(ctx context.Context, key string) error {
	if err := b.client.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{}); err != nil {
		if err = b.fail("remove", key, err); !errors.Is(err, ErrAbsent) {
			return err
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	below := b.client.ListObjects(ctx, b.name,
		minio.ListObjectsOptions{Prefix: strings.TrimSuffix(key, "/") + "/", Recursive: true})
	for object := range below {
		err := object.Err
		if err == nil {
			err = b.client.RemoveObject(ctx, b.name, object.Key, minio.RemoveObjectOptions{})
		}
		if err != nil {
			return b.fail("remove", key, err)
		}
	}
	return nil
}

// Sign makes a URL. Of a bucket without keys it is the plain address of the object. What is said of encryption is
// signed too, in headers that are sent along.
func (b *bucket) Sign(ctx context.Context, method, key string, lifetime time.Duration) (to string,
	headers map[string]string, err error) {
	said := b.headers(method, b.name, key)
	for name := range said {
		if headers == nil {
			headers = map[string]string{}
		}
		headers[name] = said.Get(name)
	}
	if b.anonymous {
		u := *b.client.EndpointURL()
		u.Path = path.Join("/", b.name, key)
		return u.String(), headers, nil
	}
	u, err := b.client.PresignHeader(ctx, method, b.name, key, lifetime, url.Values{}, said)
	if err != nil {
		return "", nil, b.fail("sign a URL for", key, err)
	}
	return u.String(), headers, nil
}

// Ready makes the bucket where the manifest asks for that.
func (b *bucket) Ready(ctx context.Context) error {
	if b.create == nil {
		return nil
	}
	there, err := b.client.BucketExists(ctx, b.name)
	if err == nil && !there {
		err = b.client.MakeBucket(ctx, b.name, minio.MakeBucketOptions{Region: b.region,
			ObjectLocking: b.create.ObjectLocking})
	}
	if minio.ToErrorResponse(err).Code == minio.BucketAlreadyOwnedByYou {
		return nil
	}
	return b.fail("make", "", err)
}

// Authority is the one of the manifest.
func (b *bucket) Authority() string { return b.authority }

// fail classes an error: what the server refuses stays refused, what kept it from answering may pass.
func (b *bucket) fail(action, key string, err error) error {
	if err == nil {
		return nil
	}
	answer := minio.ToErrorResponse(err)
	switch {
	case answer.Code == minio.NoSuchKey:
		return fmt.Errorf("%s %s in bucket %s: %w", action, key, b.name, ErrAbsent)
	case answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests &&
		answer.StatusCode != http.StatusRequestTimeout:
		return fault.Poisonf("%s %s in bucket %s: %s: %s", action, key, b.name, answer.Code, answer.Message)
	}
	// The URL of the request is left out: it may be signed.
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err
	}
	return fmt.Errorf("%s %s in bucket %s: %w", action, key, b.name, err)
}
