package cluster

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/oauth2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// awsAuth lets an identity of AWS into a cluster of EKS. Source: awsAuthConfig of Argo CD.
type awsAuth struct {
	ClusterName string `json:"clusterName"`
	RoleARN     string `json:"roleARN"` // is assumed; empty is the identity of the agent itself
	Profile     string `json:"profile"` // of the agent's configuration of AWS
}

// Tokens of EKS are requests that were signed and not sent. The API server takes them for 15 minutes, whatever they
// say.
const (
	eksTokenPrefix  = "k8s-aws-v1." //nolint:gosec // it begins each token
	eksTokenLife    = 14 * time.Minute
	eksTokenTimeout = 20 * time.Second
	eksNameHeader   = "x-k8s-aws-id"
)

// use has a client of the cluster authenticate so.
func (a awsAuth) use(config *rest.Config) error {
	if a.ClusterName == "" {
		return errors.New("clusterName is missing")
	}
	tokens := &eksTokens{
		name: a.ClusterName,
		access: amazon.Access{
			Region: regionOf(config.Host), RoleARN: a.RoleARN, Profile: a.Profile,
		},
	}
	config.WrapTransport = transport.TokenSourceWrapTransport(transport.NewCachedTokenSource(tokens))
	return nil
}

// regionOf is the region that the address of a cluster of EKS names, "" when it names none.
func regionOf(host string) string {
	u, err := url.Parse(host)
	if err != nil {
		return ""
	}
	parts := strings.Split(u.Hostname(), ".")
	for i, part := range parts {
		if part == "eks" && i > 0 && strings.Contains(u.Hostname(), ".amazonaws.com") {
			return parts[i-1]
		}
	}
	return ""
}

// eksTokens makes tokens for one cluster.
type eksTokens struct {
	name   string
	access amazon.Access
}

// Token is part of oauth2.TokenSource.
func (t *eksTokens) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), eksTokenTimeout)
	defer cancel()
	config, err := amazon.Config(ctx, t.access)
	if err != nil {
		return nil, fmt.Errorf("token for cluster %s of EKS: %w", t.name, err)
	}
	if config.Region == "" {
		return nil, fmt.Errorf(
			"token for cluster %s of EKS: neither its address nor AWS_REGION names a region",
			t.name,
		)
	}
	began := time.Now()
	client := sts.NewPresignClient(sts.NewFromConfig(config), func(o *sts.PresignOptions) {
		o.Presigner = eksPresigner{HTTPPresignerV4: v4.NewSigner(), name: t.name}
	})
	signed, err := client.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("token for cluster %s of EKS: %w", t.name, err)
	}
	return &oauth2.Token{
		AccessToken: eksTokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(signed.URL)),
		TokenType:   "Bearer", Expiry: began.Add(eksTokenLife),
	}, nil
}

// eksPresigner binds what it signs to a cluster.
type eksPresigner struct {
	sts.HTTPPresignerV4
	name string
}

// PresignHTTP signs a request for one cluster and a minute.
func (p eksPresigner) PresignHTTP(
	ctx context.Context, who aws.Credentials, r *http.Request, hash, service, region string, at time.Time,
	options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	r.Header.Set(eksNameHeader, p.name)
	r.Header.Set("X-Amz-Expires", "60")
	return p.HTTPPresignerV4.PresignHTTP(ctx, who, r, hash, service, region, at, options...)
}
