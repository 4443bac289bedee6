package store

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// encryption is how a bucket keeps objects encrypted. The zero value leaves that to the bucket.
type encryption struct {
	managed  encrypt.ServerSide // with keys of S3 or of KMS
	customer string             // what the customer's key of each object is made of
}

// encryption reads what a manifest says of it.
func (s *Stores) encryption(ctx context.Context, namespace string, o *v1alpha1.S3EncryptionOptions) (e encryption,
	err error) {
	switch {
	case o == nil || !o.EnableEncryption:
		return e, nil
	case o.ServerSideCustomerKeySecret != nil && o.KmsKeyID != "":
		return e, fault.Poisonf("s3: encryptionOptions: of serverSideCustomerKeySecret and kmsKeyId one is named")
	case o.ServerSideCustomerKeySecret != nil:
		if e.customer, err = s.secret(ctx, namespace, *o.ServerSideCustomerKeySecret); err == nil && e.customer == "" {
			err = fault.Poisonf("s3: encryptionOptions: serverSideCustomerKeySecret holds an empty key")
		}
		return e, err
	case o.KmsKeyID == "":
		e.managed = encrypt.NewSSE()
		return e, nil
	}
	var said any // a nil that minio-go takes for none
	if o.KmsEncryptionContext != "" {
		var pairs map[string]string
		if json.Unmarshal([]byte(o.KmsEncryptionContext), &pairs) != nil {
			return e, fault.Poisonf("s3: encryptionOptions: kmsEncryptionContext is no object of texts in JSON")
		}
		said = pairs
	}
	if e.managed, err = encrypt.NewSSEKMS(o.KmsKeyID, said); err != nil {
		return e, fault.Poisonf("s3: encryptionOptions: %w", err)
	}
	return e, nil
}

// deriving lets one key be made at a time: each takes 64 MiB for a moment.
var deriving sync.Mutex

// of is how one object is read; nil where the store needs no telling. Source: Argo Workflows, where the customer's key
// of an object is made of the secret, the bucket and the object's key.
func (e encryption) of(bucket, key string) encrypt.ServerSide {
	if e.customer == "" {
		return nil
	}
	deriving.Lock()
	defer deriving.Unlock()
	return encrypt.DefaultPBKDF([]byte(e.customer), []byte(bucket+key))
}

// headers are what a request for one object says of its encryption.
func (e encryption) headers(method, bucket, key string) http.Header {
	out := http.Header{}
	side := e.of(bucket, key)
	if side == nil && method == http.MethodPut {
		side = e.managed
	}
	if side != nil && method != http.MethodDelete {
		side.Marshal(out)
	}
	return out
}
