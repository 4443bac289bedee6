package trigger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/libs/sensing/param"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// functions is the awsLambda trigger.
type functions struct {
	world    World
	clients  *pool[*lambda.Client]
	endpoint string // a test's; empty means AWS
}

func newLambda(w World) Adapter {
	return &functions{world: w, clients: newPool(func(*lambda.Client) error { return nil })}
}

// Close has nothing to close: the SDK's connections end by themselves.
func (x *functions) Close() error { return x.clients.Close() }

// Fire invokes the function. The SDK's own retries are off: they are ours.
func (x *functions) Fire(ctx context.Context, c Call) (Result, error) {
	t, err := param.Fill(c.Fill, c.Template.AWSLambda, c.Template.AWSLambda.Parameters)
	if err != nil {
		return Result{}, fault.Poisonf("awsLambda.%w", err)
	}
	body, err := c.Fill.Payload(t.Payload)
	if err != nil {
		return Result{}, fault.Poisonf("awsLambda.%w", err)
	}
	invocation := types.InvocationType(t.InvocationType)
	if invocation == "" {
		invocation = types.InvocationTypeRequestResponse
	}
	if !slices.Contains(invocation.Values(), invocation) {
		return Result{}, fault.Poisonf(
			"awsLambda.invocationType %q is none of %v", t.InvocationType, invocation.Values(),
		)
	}
	client, err := x.client(ctx, c, t)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out, err := client.Invoke(
		ctx, &lambda.InvokeInput{FunctionName: aws.String(t.FunctionName), InvocationType: invocation, Payload: body},
	)
	if err != nil {
		return Result{}, fmt.Errorf("invoke %s: %w", t.FunctionName, awsError(err))
	}
	if out.FunctionError != nil {
		return Result{}, fmt.Errorf(
			"invoke %s: the function failed (%s): %s", t.FunctionName, *out.FunctionError, brief(string(out.Payload)),
		)
	}
	if !allowed(out.StatusCode, c.Policy) {
		return Result{}, fmt.Errorf(
			"invoke %s: status %d is not in policy.status.allow", t.FunctionName, out.StatusCode,
		)
	}
	return Result{Summary: fmt.Sprintf("status %d", out.StatusCode)}, nil
}

func allowed(status int32, policy *v1alpha1.TriggerPolicy) bool {
	return policy == nil || policy.Status == nil || len(policy.Status.Allow) == 0 ||
		slices.Contains(policy.Status.Allow, status)
}

// awsError makes what the caller did wrong poison, but for throttling.
func awsError(err error) error {
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		if status := r.HTTPStatusCode(); status >= http.StatusBadRequest && status < http.StatusInternalServerError &&
			(status == http.StatusNotFound || !again(status)) {
			return fault.AsPoison(err)
		}
	}
	return err
}

func (x *functions) client(ctx context.Context, c Call, t *v1alpha1.AWSLambdaTrigger) (*lambda.Client, error) {
	access, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.AccessKey)
	if err != nil {
		return nil, err
	}
	secret, err := x.world.Values.Value(ctx, c.Sensor.Namespace, t.SecretKey)
	if err != nil {
		return nil, err
	}
	if access == "" {
		if err := x.world.Own.Allow(
			c.Sensor.Namespace, "awsLambda without accessKey", "accessKey and secretKey",
		); err != nil {
			return nil, err
		}
	}
	return x.clients.get([]any{t.Region, access, secret, t.RoleARN}, func() (*lambda.Client, error) {
		cfg, err := amazon.Config(
			context.WithoutCancel(ctx), amazon.Access{Region: t.Region, ID: access, Secret: secret, RoleARN: t.RoleARN},
		)
		if err != nil {
			return nil, fmt.Errorf("awsLambda: %w", err)
		}
		return lambda.NewFromConfig(cfg, func(o *lambda.Options) {
			o.RetryMaxAttempts = 1
			if x.endpoint != "" {
				o.BaseEndpoint = aws.String(x.endpoint)
			}
		}), nil
	})
}
