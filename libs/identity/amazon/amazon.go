// Package amazon finds the credentials that requests to AWS, and to what speaks as it does, are signed with.
package amazon

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Session is the name of our sessions of roles, as audit logs show it.
const Session = "argosy"

// anyRegion is where a role is assumed when nobody names a region.
const anyRegion = "us-east-1"

// Access is how a manifest wants to be let in. It is never logged.
type Access struct {
	Region            string
	ID, Secret, Token string // of an access key; with an empty ID the identity of this process counts
	RoleARN           string // is assumed with that; may be empty
	Profile           string // of the files of this process that describe its identity; may be empty
}

// Own reports whether the identity of this process is asked for.
func (a Access) Own() bool { return a.ID == "" }

// Config is what clients of the SDK are made of. The identity of this process is what the SDK's default chain finds:
// variables, a web identity file (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN), the address of a container's credentials
// (AWS_CONTAINER_CREDENTIALS_FULL_URI), the machine's metadata. Nothing is asked before credentials are needed.
//
// Token services are asked by the SDK's own client, whatever guards the connections to what a manifest names: give a
// service's client one of your own for that.
func Config(ctx context.Context, a Access) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if a.Region != "" {
		options = append(options, config.WithRegion(a.Region))
	}
	if a.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(a.Profile))
	}
	if !a.Own() {
		options = append(
			options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(a.ID, a.Secret, a.Token)),
		)
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("find the credentials of AWS: %w", err)
	}
	if a.RoleARN == "" {
		return cfg, nil
	}
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		if o.Region == "" {
			o.Region = anyRegion
		}
	})
	cfg.Credentials = aws.NewCredentialsCache(
		stscreds.NewAssumeRoleProvider(
			client,
			a.RoleARN,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = Session },
		),
	)
	return cfg, nil
}
