#!/usr/bin/env bash
# aws-sdk-go-v2 service/sts 1.33.17: PresignOptions.Presigner is there to be wrapped, such as to sign one header more
# (tokens for EKS need that). An option function of a call is given the presigner that is in use; the very same function
# given to NewPresignClient gets nil, because the default is filled in after the options of the constructor ran. A wrapper
# made there compiles, is taken, and has nothing to call. Begin with signer/v4's NewSigner at construction, or wrap at
# each call.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOTOOLCHAIN=local GOFLAGS=-mod=mod GOWORK=off
cat > go.mod <<'MOD'
module finding

go 1.26.0

require (
	github.com/aws/aws-sdk-go-v2 v1.47.8
	github.com/aws/aws-sdk-go-v2/service/sts v1.33.17
)
MOD
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	config := aws.Config{
		Region: "eu-west-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "EXAMPLE", SecretAccessKey: "example"}, nil
		}),
	}
	var seen []bool
	look := func(o *sts.PresignOptions) { seen = append(seen, o.Presigner == nil) }
	client := sts.NewPresignClient(sts.NewFromConfig(config), look)
	r, err := client.PresignGetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{}, look)
	if err != nil {
		panic(err)
	}
	fmt.Println("nil at construction, at the call:", seen, "signed:", r.URL != "")
	if len(seen) != 2 || !seen[0] || seen[1] {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
if go run .; then echo "as described, with service/sts v1.33.17"; else echo "not as described any more" >&2; exit 1; fi
