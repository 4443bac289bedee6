package store

import (
	"context"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/alibaba"
	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// keysTime bounds how long a token service is asked for keys.
const keysTime = 20 * time.Second

// keys are what requests are signed with. Those of a role or of this process are fetched when they are needed, and kept
// until they end.
func (a access) keys(ctx context.Context) (*credentials.Credentials, error) {
	switch {
	case a.anonymous():
		return credentials.NewStatic("", "", "", credentials.SignatureAnonymous), nil
	case a.own == "alibaba":
		chain := alibaba.Default()
		return credentials.New(fetched(func(context.Context) (credentials.Value, error) {
			k, err := chain.Keys()
			return credentials.Value{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Token,
				SignerType: credentials.SignatureV4}, err
		})), nil
	case a.own == "" && a.role == "":
		return credentials.NewStaticV4(a.id, a.secret, a.token), nil
	}
	cfg, err := amazon.Config(context.WithoutCancel(ctx),
		amazon.Access{Region: a.region, ID: a.id, Secret: a.secret, Token: a.token, RoleARN: a.role})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return credentials.New(fetched(func(ctx context.Context) (credentials.Value, error) {
		k, err := cfg.Credentials.Retrieve(ctx)
		return credentials.Value{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey,
			SessionToken: k.SessionToken, SignerType: credentials.SignatureV4}, err
	})), nil
}

// fetched are keys of a provider that keeps them itself for as long as they count.
type fetched func(ctx context.Context) (credentials.Value, error)

// IsExpired has the provider be asked each time.
func (fetched) IsExpired() bool { return true }

// Retrieve asks the provider.
func (f fetched) Retrieve() (credentials.Value, error) { return f.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext asks the provider by its own client: the one of the store is guarded for what manifests name.
func (f fetched) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTime)
	defer cancel()
	value, err := f(ctx)
	if err != nil {
		return value, fmt.Errorf("credentials: %w", err)
	}
	return value, nil
}
