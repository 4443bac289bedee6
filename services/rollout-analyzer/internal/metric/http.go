package metric

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/span"
	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	// maxBody is how much of an answer is read: a verdict needs a few numbers, and a wrong query must not fill the
	// memory.
	maxBody = 1 << 20
	// maxTime is the longest a query may take, whatever the template says.
	maxTime = 2 * time.Minute
	// maxRedirects is how often an answer may point elsewhere.
	maxRedirects = 5
	// tokensKept bounds the clients of token services that are remembered; each keeps its token while it is valid.
	tokensKept = 128
)

// ErrTooLarge is returned for an answer of more than a mebibyte.
var ErrTooLarge = errors.New("the answer is larger than 1 MiB")

// asker speaks HTTP for all providers: bounded answers, and errors without URLs. Safe for concurrent use.
type asker struct {
	// strict checks certificates; lax was told not to by a template.
	strict, lax *http.Client
	tokens      *expirable.LRU[[sha256.Size]byte, oauth2.TokenSource]
}

func newAsker() *asker {
	strict := http.DefaultTransport.(*http.Transport).Clone()
	lax := strict.Clone()
	lax.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the template says insecure: true
	return &asker{
		strict: &http.Client{Transport: strict, CheckRedirect: redirect},
		lax:    &http.Client{Transport: lax, CheckRedirect: redirect},
		tokens: expirable.NewLRU[[sha256.Size]byte, oauth2.TokenSource](tokensKept, nil, time.Hour),
	}
}

// redirect follows, but tells another host nothing of what was meant for the first.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("it points elsewhere again and again")
	}
	if req.URL.Host != via[0].URL.Host {
		req.Header = http.Header{"Accept": req.Header.Values("Accept")} //nolint:gosec // it keeps nothing that is secret
	}
	return nil
}

// call is one request.
type call struct {
	method, url string
	query       url.Values // is added to that of the URL
	body        []byte
	kind        string // of the body
	header      http.Header
	auth        v1alpha1.Authentication
	insecure    bool
	// signed is the service of AWS that the request is signed for; "" is not signed.
	signed string
}

// send sends a request and reads the whole answer. Errors name the host alone.
func (a *asker) send(ctx context.Context, hide *Redactor, c call) (int, []byte, error) {
	target, err := locate(c.url)
	if err != nil {
		return 0, nil, err
	}
	if len(c.query) > 0 {
		all := target.Query()
		maps.Copy(all, c.query)
		target.RawQuery = all.Encode()
	}
	hide.Hide(c.auth.BasicAuth.Password, c.auth.OAuth2.ClientSecret)
	if password, is := target.User.Password(); is {
		hide.Hide(password)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target.String(), bytes.NewReader(c.body))
	if err != nil {
		return 0, nil, fmt.Errorf("make a request to %s: its method or address cannot be used", target.Host)
	}
	for key, values := range c.header {
		req.Header[http.CanonicalHeaderKey(key)] = values
	}
	if c.kind != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", c.kind)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	client := a.strict
	if c.insecure {
		client = a.lax
	}
	if err := a.authenticate(ctx, client, req, hide, c); err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", target.Host, reason(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", target.Host, reason(ctx, err))
	}
	if len(body) > maxBody {
		return 0, nil, fmt.Errorf("%s: %w", target.Host, ErrTooLarge)
	}
	return resp.StatusCode, body, nil
}

// fetch is send for an answer that is JSON and good.
func (a *asker) fetch(ctx context.Context, hide *Redactor, c call, into any) error {
	status, body, err := a.send(ctx, hide, c)
	if err != nil {
		return err
	}
	host := hostOf(c.url)
	if status < 200 || status > 299 {
		return fmt.Errorf("%s: status %d: %s", host, status, excerpt(body))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: the answer is not what was expected: %s", host, excerpt(body))
	}
	return nil
}

// locate reads an address. What is wrong with one is not repeated, since parts of it may be secret.
func locate(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the address is no URL such as http://host:port")
	}
	return u, nil
}

func hostOf(text string) string {
	u, err := locate(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// reason is an error of the HTTP client without the URL that it repeats.
func reason(ctx context.Context, err error) error {
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (a *asker) authenticate(
	ctx context.Context, client *http.Client, req *http.Request, hide *Redactor, c call,
) error {
	if b := c.auth.BasicAuth; b.Username != "" || b.Password != "" {
		req.SetBasicAuth(b.Username, b.Password)
	}
	if o := c.auth.OAuth2; o.TokenURL != "" {
		token, err := a.token(ctx, client, o, hide)
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
	}
	if c.signed != "" {
		return sign(ctx, req, c)
	}
	return nil
}

// token is one of the client credentials flow, kept while it is valid.
func (a *asker) token(
	ctx context.Context, client *http.Client, o v1alpha1.OAuth2Config, hide *Redactor,
) (*oauth2.Token, error) {
	if _, err := locate(o.TokenURL); err != nil {
		return nil, fmt.Errorf("authentication.oauth2.tokenUrl: %w", err)
	}
	if o.ClientID == "" || o.ClientSecret == "" {
		return nil, errors.New("authentication.oauth2: clientId and clientSecret are needed beside tokenUrl")
	}
	text, _ := json.Marshal(o) //nolint:gosec // only its hash leaves this function
	id := sha256.Sum256(text)
	source, is := a.tokens.Get(id)
	if !is {
		cfg := clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes,
		}
		// The source outlives this query; its own requests end by the time of the client below.
		bounded := &http.Client{Transport: client.Transport, CheckRedirect: redirect, Timeout: tokenTime}
		source = cfg.TokenSource(context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, bounded))
		a.tokens.Add(id, source)
	}
	token, err := source.Token()
	if err != nil {
		host := hostOf(o.TokenURL)
		if refused, is := errors.AsType[*oauth2.RetrieveError](err); is && refused.Response != nil {
			return nil, fmt.Errorf(
				"ask %s for a token: status %d: %s", host, refused.Response.StatusCode, excerpt(refused.Body),
			)
		}
		return nil, fmt.Errorf("ask %s for a token: %w", host, reason(ctx, err))
	}
	hide.Hide(token.AccessToken)
	return token, nil
}

// tokenTime is how long a token service may take.
const tokenTime = 10 * time.Second

// sign signs a request for a service of AWS with the identity that the template or this process has.
func sign(ctx context.Context, req *http.Request, c call) error {
	s := c.auth.SigV4
	cfg, err := amazon.Config(ctx, amazon.Access{Region: s.Region, Profile: s.Profile, RoleARN: s.RoleArn})
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		return errors.New("no region of AWS is given")
	}
	keys, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("find the credentials of AWS: %w", err)
	}
	sum := sha256.Sum256(c.body)
	err = v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), c.signed, cfg.Region, time.Now())
	if err != nil {
		return fmt.Errorf("sign for AWS: %w", err)
	}
	return nil
}

// within bounds a query by the seconds a template gives, or by the default.
func within(ctx context.Context, seconds int64, fallback time.Duration) (context.Context, context.CancelFunc) {
	limit := fallback
	if seconds > 0 {
		limit = min(span.Seconds(seconds), maxTime)
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
}

// timeout reads a duration of a template.
func timeout(d v1alpha1.DurationString, fallback time.Duration) (time.Duration, error) {
	if d == "" {
		return fallback, nil
	}
	out, err := time.ParseDuration(string(d))
	if err != nil || out <= 0 {
		return 0, fmt.Errorf("%q is no duration such as 30s or 5m", d)
	}
	return out, nil
}

// excerpt is the beginning of an answer, for a message.
func excerpt(body []byte) string { return clip(strings.TrimSpace(string(body)), 200) }

// numbers is the text of many numbers.
func numbers(values []float64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = number(v)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// written is the text of any value.
func written(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write the value: %w", err)
	}
	return string(text), nil
}

// join puts a path behind an address.
func join(address, path string) string {
	return strings.TrimSuffix(strings.TrimSpace(address), "/") + path
}

func headers(list []v1alpha1.WebMetricHeader) http.Header {
	out := http.Header{}
	for _, h := range list {
		out.Set(h.Key, h.Value)
	}
	return out
}
