package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	serviceName = "/artifact.ArtifactService/"
	// connectTime is how long a driver may take to be connected to that the manifest gives no time.
	connectTime = 2 * time.Minute
	// answerLimit bounds an answer: the longest is a list of keys.
	answerLimit = 32 << 20
)

// caller asks a driver.
type caller struct{ conn *grpc.ClientConn }

func dial(socket string) (*caller, error) {
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{}), grpc.MaxCallRecvMsgSize(answerLimit)))
	if err != nil {
		return nil, fmt.Errorf("the socket of the driver: %w", err)
	}
	return &caller{conn}, nil
}

// ready waits until the driver can be asked.
func (c *caller) ready(ctx context.Context) error {
	for {
		state := c.conn.GetState()
		if state == connectivity.Ready {
			return nil
		}
		c.conn.Connect()
		if !c.conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("the driver does not listen: %w", context.Cause(ctx))
		}
	}
}

// ask calls a method of the driver.
func (c *caller) ask(ctx context.Context, method string, q question) (answer, error) {
	patience := connectTime
	if q.artifact.Patience > 0 {
		patience = min(time.Duration(min(q.artifact.Patience, 3600))*time.Second, time.Hour)
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.ready(waiting); err != nil {
		return answer{}, errors.Join(errAway, err)
	}
	var a answer
	if err := c.conn.Invoke(ctx, serviceName+method, &q, &a); err != nil {
		return answer{}, classed(err)
	}
	if a.problem != "" {
		return a, errors.New(a.problem)
	}
	return a, nil
}

var (
	errAway   = errors.New("the driver is away")        // asking again may help
	errAbsent = errors.New("there is no such artifact") // it says that it has none
)

// classed says what the code of a failed call means for whoever asked.
func classed(err error) error {
	said := status.Convert(err)
	text := fmt.Errorf("%s: %s", said.Code(), said.Message())
	switch said.Code() {
	case codes.NotFound:
		return errors.Join(errAbsent, text)
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.Canceled:
		return errors.Join(errAway, text)
	}
	return text
}

// load has the driver bring an artifact to a path. Drivers have no common word for what is not there: one that fails
// and lists nothing under the key has no such artifact.
func (c *caller) load(ctx context.Context, d protocol.Driven, path string) error {
	a, err := c.ask(ctx, "Load", question{artifact: d, path: path, artifactAt: 1, pathAt: 2})
	if err == nil && !a.ok {
		err = errNoReason
	}
	if err == nil || errors.Is(err, errAway) || errors.Is(err, errAbsent) {
		return err
	}
	if names, failed := c.names(ctx, d); failed == nil && len(names) == 0 {
		return errors.Join(errAbsent, err)
	}
	return err
}

var errNoReason = errors.New("it failed and did not say why")

// save has the driver keep what is at a path.
func (c *caller) save(ctx context.Context, d protocol.Driven, path string) error {
	a, err := c.ask(ctx, "Save", question{artifact: d, path: path, artifactAt: 2, pathAt: 1})
	if err == nil && !a.ok {
		err = errNoReason
	}
	return err
}

// remove has the driver take an artifact away. What is not there is no error.
func (c *caller) remove(ctx context.Context, d protocol.Driven) error {
	a, err := c.ask(ctx, "Delete", question{artifact: d, artifactAt: 1})
	if err == nil && !a.ok {
		err = errNoReason
	}
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

// names are the keys that the driver knows under that of an artifact.
func (c *caller) names(ctx context.Context, d protocol.Driven) ([]string, error) {
	a, err := c.ask(ctx, "ListObjects", question{artifact: d, artifactAt: 1})
	return a.objects, err
}
