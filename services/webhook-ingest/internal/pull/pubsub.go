package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	own "github.com/argosy-mesh/argosy/libs/identity/google"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"golang.org/x/oauth2/google"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Where Pub/Sub is, and what is asked of it. Sources: a message has at most 10 MB;
// the deadline is that of the queues of others, see sqsHidden.
const (
	pubSubAddress = "pubsub.googleapis.com:443"
	pubSubScope   = "https://www.googleapis.com/auth/pubsub"
	pubSubBatch   = 10
	pubSubMost    = pubSubBatch * (10 << 20)
	pubSubHeld    = 120
)

// pubSubTopic reads a subscription; replicas share it. A message is acknowledged
// after its event is durable, and has the same id when it comes again. It is read
// through the service's own interface: its client keeps streams and leases that one
// pull at a time does not need. ADR-0037.
func pubSubTopic(c v1alpha1.PubSubEventSource) Reader {
	r := Reader{Filter: c.Filter, AllReplicas: true, Run: func(ctx context.Context, env Env, emit Emit) error {
		s, err := dialPubSub(ctx, env, c)
		if err != nil {
			return err
		}
		defer func() { _ = s.conn.Close() }()
		s.env = env
		if err := s.prepare(ctx); err != nil {
			return err
		}
		env.Up()
		for !over(ctx) {
			if err := s.batch(ctx, emit); err != nil && !over(ctx) {
				return err
			}
		}
		return nil
	}}
	if c.DeleteSubscriptionOnFinish {
		r.Finish = func(ctx context.Context, env Env) error {
			s, err := dialPubSub(ctx, env, c)
			if err != nil {
				return err
			}
			defer func() { _ = s.conn.Close() }()
			_, err = s.client.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: s.name})
			if err != nil && status.Code(err) != codes.NotFound {
				return fmt.Errorf("delete %s: %w", s.name, err)
			}
			return nil
		}
	}
	return r
}

// subscription is one of Pub/Sub while it is read.
type subscription struct {
	config      v1alpha1.PubSubEventSource
	env         Env
	saved       time.Time
	conn        *grpc.ClientConn
	client      pubsubpb.SubscriberClient
	name, topic string // in full; topic is empty when the manifest names none
}

// dialPubSub has the service account of the manifest, or the identity of the
// process. PUBSUB_EMULATOR_HOST names an emulator, which asks for neither, as it does
// for Google's own clients.
func dialPubSub(ctx context.Context, env Env, c v1alpha1.PubSubEventSource) (*subscription, error) {
	options := []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pubSubMost))}
	address, project := os.Getenv("PUBSUB_EMULATOR_HOST"), c.ProjectID
	if address != "" {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	} else {
		account, err := googleAccount(ctx, env, c)
		if err != nil {
			return nil, err
		}
		if address = pubSubAddress; project == "" {
			project = account.ProjectID
		}
		options = append(
			options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})),
			grpc.WithPerRPCCredentials(oauth.TokenSource{TokenSource: account.TokenSource}),
		)
	}
	if project == "" {
		return nil, errors.New("projectID is empty, and the credentials name no project")
	}
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to Pub/Sub: %w", err)
	}
	s := &subscription{config: c, conn: conn, client: pubsubpb.NewSubscriberClient(conn)}
	if c.Topic != "" {
		home := c.TopicProjectID
		if home == "" {
			home = project
		}
		s.topic = "projects/" + home + "/topics/" + c.Topic
	}
	id := c.SubscriptionID
	if id == "" {
		id = "argosy-" + Key(env.Name(), s.topic)
	}
	s.name = "projects/" + project + "/subscriptions/" + id
	return s, nil
}

// googleAccount is the service account of the manifest, or the identity of this process where the namespace may use it.
func googleAccount(ctx context.Context, env Env, c v1alpha1.PubSubEventSource) (*google.Credentials, error) {
	if c.CredentialSecret == nil {
		if err := env.Own.Allow(env.Namespace, "pubSub without credentialSecret", "credentialSecret"); err != nil {
			return nil, err
		}
		account, err := own.Default(ctx, pubSubScope)
		if err != nil {
			return nil, fmt.Errorf("credentialSecret is not given: %w", err)
		}
		return account.Credentials, nil
	}
	key, err := env.Secrets.Bytes(ctx, env.Namespace, c.CredentialSecret)
	if err != nil {
		return nil, err
	}
	// The library fetches tokens with it long after this call.
	account, err := google.CredentialsFromJSONWithType(
		context.WithoutCancel(ctx), key, google.ServiceAccount, pubSubScope,
	)
	if err != nil {
		return nil, errors.New("credentialSecret holds no key of a service account") // the error may quote the key
	}
	return account, nil
}

// prepare makes the subscription where it is not there, and its topic. Source: Argo
// Events, the table in prepareSubscription.
func (s *subscription) prepare(ctx context.Context) error {
	found, err := s.client.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: s.name})
	switch code := status.Code(err); {
	case code == codes.OK && s.topic != "" && found.GetTopic() != s.topic:
		return fmt.Errorf("%s belongs to topic %s, not to %s", s.name, found.GetTopic(), s.topic)
	case code == codes.OK, code == codes.PermissionDenied && s.topic == "":
		return nil // whoever may only consume may not look
	case code != codes.NotFound:
		return fmt.Errorf("ask for %s: %w", s.name, err)
	case s.topic == "":
		return fmt.Errorf("there is no %s, and no topic is given to make it for", s.name)
	}
	err = s.make(ctx)
	if status.Code(err) == codes.NotFound {
		_, err = pubsubpb.NewPublisherClient(s.conn).CreateTopic(ctx, &pubsubpb.Topic{Name: s.topic})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("make topic %s: %w", s.topic, err)
		}
		err = s.make(ctx)
	}
	if err != nil {
		return fmt.Errorf("make %s for %s: %w", s.name, s.topic, err)
	}
	return s.again(ctx)
}

// again is for a subscription that was just made: when it had been there before, it
// goes back to where it was, as far as the topic keeps its messages.
func (s *subscription) again(ctx context.Context) error {
	text, err := s.env.Positions.Load(ctx, s.env.Name())
	if err != nil {
		return err
	}
	before, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return s.place(ctx, time.Now()) // it is new, or of another kind that had this name before
	}
	s.env.notef(
		"%s was gone: it was made again; what the topic did not keep since %s is lost", s.name,
		before.Format(time.RFC3339),
	)
	_, err = s.client.Seek(
		ctx,
		&pubsubpb.SeekRequest{Subscription: s.name, Target: &pubsubpb.SeekRequest_Time{Time: timestamppb.New(before)}},
	)
	if err != nil && status.Code(err) != codes.Unimplemented {
		return fmt.Errorf("go back in %s: %w", s.name, err)
	}
	return nil
}

// place remembers how far the subscription was read.
func (s *subscription) place(ctx context.Context, at time.Time) error {
	s.saved = time.Now()
	return s.env.Positions.Save(ctx, s.env.Name(), []byte(at.UTC().Format(time.RFC3339Nano)))
}

func (s *subscription) make(ctx context.Context) error {
	_, err := s.client.CreateSubscription(ctx, &pubsubpb.Subscription{Name: s.name, Topic: s.topic})
	if status.Code(err) == codes.AlreadyExists {
		return nil // another replica was faster
	}
	return err
}

// batch takes what is there, or waits as long as the service wants to.
func (s *subscription) batch(ctx context.Context, emit Emit) error {
	out, err := s.client.Pull(ctx, &pubsubpb.PullRequest{Subscription: s.name, MaxMessages: pubSubBatch})
	if status.Code(err) == codes.DeadlineExceeded || err == nil && len(out.GetReceivedMessages()) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pull from %s: %w", s.name, err)
	}
	began := time.Now()
	var handles []string
	for _, m := range out.GetReceivedMessages() {
		handles = append(handles, m.GetAckId())
	}
	if err := s.hold(ctx, handles, pubSubHeld); err != nil {
		return fmt.Errorf("hold messages of %s: %w", s.name, err)
	}
	taken := 0
	for _, m := range out.GetReceivedMessages() {
		if time.Since(began) > pubSubHeld*time.Second/2 {
			break // what is left may be somebody else's by now
		}
		if err = s.take(ctx, m.GetMessage(), emit); err != nil {
			break
		}
		taken++
	}
	if taken > 0 && err == nil && time.Since(s.saved) > placeSave {
		err = s.place(ctx, out.GetReceivedMessages()[taken-1].GetMessage().GetPublishTime().AsTime())
	}
	return errors.Join(err, s.settle(ctx, handles[:taken], handles[taken:]))
}

func (s *subscription) take(ctx context.Context, m *pubsubpb.PubsubMessage, emit Emit) error {
	return emit(ctx, Key("pubSub", s.name, m.GetMessageId(), m.GetPublishTime().AsTime().UnixNano()), pubSubData{
		ID: m.GetMessageId(), Content: content(s.config.JSONBody, m.GetData()), Attributes: m.GetAttributes(),
		PublishTime: m.GetPublishTime().AsTime().String(), Metadata: s.config.Metadata,
	})
}

// settle acknowledges what is durable and gives the rest back, also when ctx ended.
func (s *subscription) settle(ctx context.Context, taken, left []string) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	var err error
	if len(taken) > 0 {
		if _, err = s.client.Acknowledge(
			ctx, &pubsubpb.AcknowledgeRequest{Subscription: s.name, AckIds: taken},
		); err != nil {
			err = fmt.Errorf("acknowledge to %s: %w", s.name, err)
		}
	}
	if len(left) > 0 {
		_ = s.hold(ctx, left, 0) // else they come again when the deadline is over
	}
	return err
}

// hold keeps messages from others for some seconds.
func (s *subscription) hold(ctx context.Context, handles []string, seconds int32) error {
	_, err := s.client.ModifyAckDeadline(
		ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: s.name, AckIds: handles, AckDeadlineSeconds: seconds},
	)
	return err
}

// pubSubData is the view. Source: Argo Events, PubSubEventData.
type pubSubData struct {
	ID string `json:"id"`
	Content
	Attributes  map[string]string `json:"attributes"`
	PublishTime string            `json:"publishTime"`
	Metadata    Metadata          `json:"metadata,omitempty"`
}
