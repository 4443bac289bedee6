package conformance

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// occasion is an event that should happen.
type occasion struct {
	source, event string
	kind          string         // of its EventSource
	settings      map[string]any // of the event there
	filters       *v1alpha1.EventDependencyFilter
	keys          []string // paths that the Sensor's parameters read
}

// hook is an HTTP request of a sender, ready to go.
type hook struct {
	header map[string]string
	body   string
}

// hooks are the senders by kind of source: each signs as the real one does.
func hooks() map[string]func(o occasion, body string) hook {
	return map[string]func(occasion, string) hook{
		"webhook": func(_ occasion, body string) hook { return hook{nil, body} },
		"github": func(o occasion, body string) hook {
			return hook{
				map[string]string{
					"X-GitHub-Event":      wantedEvent(o),
					"X-GitHub-Delivery":   rand.Text(),
					"X-Hub-Signature-256": "sha256=" + sign(o.secret("webhookSecret"), body),
				},
				body,
			}
		},
		"gitlab": func(o occasion, body string) hook {
			return hook{
				map[string]string{
					"X-Gitlab-Event":      "Push Hook",
					"X-Gitlab-Token":      o.secret("secretToken"),
					"X-Gitlab-Event-UUID": rand.Text(),
				},
				body,
			}
		},
		"bitbucket": func(_ occasion, body string) hook {
			return hook{
				map[string]string{
					"X-Event-Key":    "repo:push",
					"X-Request-UUID": rand.Text(),
					"X-Hook-UUID":    rand.Text(),
				},
				body,
			}
		},
		"bitbucketserver": func(o occasion, body string) hook {
			return hook{
				map[string]string{
					"X-Event-Key":     wantedEvent(o),
					"X-Request-Id":    rand.Text(),
					"X-Hub-Signature": "sha256=" + sign(o.secret("webhookSecret"), body),
				},
				body,
			}
		},
		"gerrit": func(_ occasion, body string) hook { return hook{nil, body} },
		"stripe": func(_ occasion, _ string) hook {
			return hook{
				nil, `{"id":"evt_` + rand.Text() + `","object":"event","type":"charge.succeeded","data":{"object":{}}}`,
			}
		},
		"slack": func(o occasion, _ string) hook {
			body := `{"token":"` + o.secret(
				"token",
			) + `","type":"event_callback","event_id":"Ev` + rand.Text() + `","event":{"type":"message","text":"hello"}}`
			at := strconv.FormatInt(time.Now().Unix(), 10)
			return hook{
				map[string]string{
					"X-Slack-Request-Timestamp": at,
					"X-Slack-Signature":         "v0=" + sign(o.secret("signingSecret"), "v0:"+at+":"+body),
				},
				body,
			}
		},
		"storageGrid": func(o occasion, _ string) hook {
			return hook{
				map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
				"Action=Publish&Message=" +
					`%7B%22Records%22%3A%5B%7B%22eventName%22%3A%22ObjectCreated%3APut%22%2C%22s3%22%3A%7B%22bucket%22%3A%7B%22name%22%3A%22b%22%7D%2C%22object%22%3A%7B%22key%22%3A%22hello-1.txt%22%7D%7D%7D%5D%7D` +
					"&TopicArn=" + text(o.settings["topicArn"]) + "&Version=2010-03-31&MessageId=" + rand.Text(),
			}
		},
		"sns": func(o occasion, _ string) hook {
			topic, _ := o.settings["topicArn"].(string)
			return hook{
				map[string]string{"X-Amz-Sns-Message-Type": "Notification"},
				`{"Type":"Notification","MessageId":"` + rand.Text() + `","TopicArn":"` + topic + `","Message":"hello","Timestamp":"2026-01-01T00:00:00Z"}`,
			}
		},
	}
}

// wantedEvent is the first event type that the settings name, or a push.
func wantedEvent(o occasion) string {
	if list, _, _ := unstructured.NestedStringSlice(o.settings, "events"); len(list) > 0 && list[0] != "*" {
		return list[0]
	}
	return "push"
}

// secret is the value of the secret that a field refers to.
func (o occasion) secret(field string) string {
	ref, _ := o.settings[field].(map[string]any)
	key, _ := ref["key"].(string)
	if key == "" {
		return ""
	}
	return secretValue(reference{key: key})
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, body)
	return hex.EncodeToString(mac.Sum(nil))
}

// plainBody is the body of hooks whose content nobody asks for.
const plainBody = `{"message":"hello","name":"conformance","ref":"refs/heads/main","repository":{"full_name":"a/b"}}`

// send makes an event happen by its own way where it can be had here, else by putting it on the bus, and says which.
func (s *eventSuite) send(ctx context.Context, o occasion) (string, error) {
	data, err := grant(`{"body":`+plainBody+`}`, wishes(o.filters))
	if err != nil {
		return "", err
	}
	maker, ok := hooks()[o.kind]
	if fixed(o.kind) && len(o.keys) > 0 {
		ok = false // its body is not ours to choose
	}
	for _, key := range o.keys {
		if gjson.Get(data, key).Exists() || ok && brings(key) {
			continue
		}
		if data, err = grant(data, []wish{{key, `"conformance"`}}); err != nil {
			return "", err
		}
	}
	if ok && natural(data) && ownContext(o) {
		return "by " + o.kind + " hook", s.post(ctx, o, maker(o, gjson.Get(data, "body").Raw))
	}
	return "put on the bus", s.put(ctx, o, data)
}

// fixed reports whether a sender's body says what the sender says, and nothing else.
func fixed(kind string) bool {
	return slices.Contains([]string{"slack", "stripe", "storageGrid", "sns"}, kind)
}

// brings reports whether the data of a hook has a path whatever its body is.
func brings(key string) bool {
	return strings.HasPrefix(key, "header")
}

// natural reports whether data has only what a hook can bring about.
func natural(data string) bool {
	return slices.Equal(slices.Sorted(maps.Keys(gjson.Parse(data).Map())), []string{"body"})
}

// ownContext reports whether a context filter asks for what its source says of itself.
func ownContext(o occasion) bool {
	if o.filters == nil || o.filters.Context == nil {
		return true
	}
	c := o.filters.Context
	return (c.Source == "" || c.Source == o.source) && (c.Subject == "" || c.Subject == o.event) &&
		(c.Type == "" || c.Type == o.kind) &&
		(c.DataContentType == "" || c.DataContentType == "application/json")
}

func (s *eventSuite) post(ctx context.Context, o occasion, h hook) error {
	url := fmt.Sprintf("%s/hooks/%s/%s/%s", s.hooks, namespace, o.source, o.event)
	return s.await(ctx, patience, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(h.body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		for k, v := range h.header {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(io.LimitReader(res.Body, 4096))
		if err != nil {
			return err
		}
		if res.StatusCode/100 != 2 || bytes.HasPrefix(text, []byte("ignored")) {
			return fmt.Errorf("%s: %s %s", url, res.Status, text)
		}
		return nil
	})
}

// put publishes an event as webhook-ingest would.
func (s *eventSuite) put(ctx context.Context, o occasion, data string) error {
	e, err := bus.NewEvent(rand.Text(), o.source, o.kind, []byte(data))
	if err != nil {
		return err
	}
	e.SetSubject(o.event)
	e.SetTime(time.Now())
	if o.filters != nil && o.filters.Context != nil {
		c := o.filters.Context
		for _, f := range []struct {
			want string
			set  func(string)
		}{
			{c.Source, e.SetSource}, {c.Subject, e.SetSubject}, {c.Type, e.SetType},
			{c.DataContentType, e.SetDataContentType},
		} {
			if f.want != "" {
				f.set(f.want)
			}
		}
	}
	return s.bus.Publish(ctx, events.EventSubject(namespace, o.source, o.event), e)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
