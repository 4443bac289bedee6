package store

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity/google"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// GCS is where Google Cloud Storage is.
const GCS = "https://storage.googleapis.com"

// gcs is a bucket of Google Cloud Storage, through its XML interface: every request is a signed URL, of the runner as
// of pods.
type gcs struct {
	rest

	base   *url.URL
	bucket string
	robot  *robot          // nil: the bucket is open to all, or own says who asks
	own    *google.Account // the identity of this process; nil where it is not used
	now    func() time.Time
}

// robot is a service account with its key.
type robot struct {
	email string
	key   *rsa.PrivateKey
}

func (s *Stores) gcs(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	base := s.GCS
	if base == "" {
		base = GCS
	}
	at, err := url.Parse(base)
	if err != nil {
		return nil, fault.Poisonf("gcs: %q is no URL", base)
	}
	if l.GCS.Bucket == "" {
		return nil, fault.Poisonf("gcs: the bucket is not named")
	}
	g := &gcs{rest: s.rest("bucket "+l.GCS.Bucket, namespace), base: at, bucket: l.GCS.Bucket, now: time.Now}
	if l.GCS.ServiceAccountKeySecret == nil {
		if s.Own.May(namespace) {
			g.identify(ctx, s)
		}
		return g, nil
	}
	text, err := s.secret(ctx, namespace, *l.GCS.ServiceAccountKeySecret)
	if err == nil {
		g.robot, err = robotOf(text)
	}
	return g, err
}

// identify has the identity of this process ask; where there is none the bucket must be open to all. An identity by the
// key file of a service account signs as one of a manifest does.
func (g *gcs) identify(ctx context.Context, s *Stores) {
	account := s.ownGoogle(ctx)
	if account == nil {
		return
	}
	if robot, err := robotOf(string(account.JSON)); err == nil {
		g.robot = robot
		return
	}
	g.own = account
	g.authorize = func(r *http.Request) error {
		token, err := account.TokenSource.Token()
		if err != nil {
			return fmt.Errorf("ask for a token: %w", err)
		}
		token.SetAuthHeader(r)
		return nil
	}
}

// ownGoogle is the identity of this process, nil when Google gave it none. What was found is kept.
func (s *Stores) ownGoogle(ctx context.Context) *google.Account {
	s.googleMu.Lock()
	defer s.googleMu.Unlock()
	if s.google == nil {
		found, err := google.Default(ctx, google.Platform)
		if err != nil {
			return nil // no file and no machine of Google
		}
		if s.IAM != "" {
			found.IAM = s.IAM
		}
		s.google = found
	}
	return s.google
}

// robotOf reads the key file of a service account. What is wrong with it is not quoted.
func robotOf(text string) (*robot, error) {
	var file struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	if json.Unmarshal([]byte(text), &file) != nil || file.Email == "" {
		return nil, fault.Poisonf("gcs: serviceAccountKeySecret holds no key file of a service account in JSON")
	}
	block, _ := pem.Decode([]byte(file.Key))
	if block == nil {
		return nil, fault.Poisonf("gcs: the key file of the service account holds no private key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fault.Poisonf("gcs: the private key of the service account is no RSA key that can be read")
	}
	return &robot{email: file.Email, key: key}, nil
}

// url is the address of an object, or of the bucket: signed for one method where a key of an account is there, and the
// plain one else.
func (g *gcs) url(method, key string, more url.Values, lifetime time.Duration) (string, error) {
	if g.robot == nil {
		return g.plain(key) + suffix(queryOf(more)), nil
	}
	return g.signed(signatory{g.robot.email, func(text string) ([]byte, error) {
		sum := sha256.Sum256([]byte(text))
		return rsa.SignPKCS1v15(rand.Reader, g.robot.key, crypto.SHA256, sum[:])
	}}, method, key, more, lifetime)
}

func (g *gcs) plain(key string) string { return strings.TrimSuffix(g.base.String(), "/") + g.path(key) }

func (g *gcs) path(key string) string {
	path := "/" + escaped(g.bucket)
	if key != "" {
		path += "/" + escaped(key)
	}
	return path
}

// signatory is a service account that signs.
type signatory struct {
	email string
	sign  func(text string) ([]byte, error)
}

// signed is a URL for one method. Source: Google Cloud Storage, V4 signing process with a service account.
func (g *gcs) signed(by signatory, method, key string, more url.Values, lifetime time.Duration) (string, error) {
	signed := url.Values{}
	maps.Copy(signed, more)
	at, scope := stamps(g.now())
	signed.Set("X-Goog-Algorithm", "GOOG4-RSA-SHA256")
	signed.Set("X-Goog-Credential", by.email+"/"+scope)
	signed.Set("X-Goog-Date", at)
	signed.Set("X-Goog-Expires", strconv.Itoa(int(lifetime.Seconds())))
	signed.Set("X-Goog-SignedHeaders", "host")
	query := queryOf(signed)
	signature, err := by.sign(toSign(at, scope, canonicalGCS(method, g.base.Host, g.path(key), query)))
	if err != nil {
		return "", fmt.Errorf("gcs: sign a URL: %w", err)
	}
	return g.plain(key) + "?" + query + "&X-Goog-Signature=" + hex.EncodeToString(signature), nil
}

// stamps are a time as signatures have it, and the scope of keys on its day.
func stamps(now time.Time) (at, scope string) {
	now = now.UTC()
	return now.Format("20060102T150405Z"), now.Format("20060102") + "/auto/storage/goog4_request"
}

func canonicalGCS(method, host, path, query string) string {
	return strings.Join([]string{method, path, query, "host:" + host, "", "host", "UNSIGNED-PAYLOAD"}, "\n")
}

func toSign(at, scope, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return strings.Join([]string{"GOOG4-RSA-SHA256", at, scope, hex.EncodeToString(sum[:])}, "\n")
}

// queryOf is a query in order, escaped as signatures want it.
func queryOf(values url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			parts = append(parts, queryEscaped(name)+"="+queryEscaped(value))
		}
	}
	return strings.Join(parts, "&")
}

func queryEscaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func suffix(query string) string {
	if query == "" {
		return ""
	}
	return "?" + query
}

// ownTime is how long the URLs are good that the runner makes for itself.
const ownTime = 5 * time.Minute

// Open streams an object.
func (g *gcs) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	to, err := g.url(http.MethodGet, key, nil, ownTime)
	if err != nil {
		return nil, err
	}
	return g.call(ctx, http.MethodGet, to, "read", key)
}

// Has reports whether there is an object of this key.
func (g *gcs) Has(ctx context.Context, key string) (bool, error) {
	if key == "" || strings.HasSuffix(key, "/") {
		return false, nil
	}
	to, err := g.url(http.MethodHead, key, nil, ownTime)
	if err == nil {
		err = g.do(ctx, http.MethodHead, to, "look for", key)
	}
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// Names lists the keys of objects.
func (g *gcs) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	return g.collect(prefix, limit, func(from string) ([]string, string, error) {
		query := url.Values{"list-type": {"2"}, "prefix": {prefix}}
		if from != "" {
			query.Set("continuation-token", from)
		}
		var page struct {
			Then     string `xml:"NextContinuationToken"`
			Contents []struct {
				Key string `xml:"Key"`
			} `xml:"Contents"`
		}
		to, err := g.url(http.MethodGet, "", query, ownTime)
		if err == nil {
			err = g.page(ctx, to, prefix, &page)
		}
		keys := make([]string, len(page.Contents))
		for i := range page.Contents {
			keys[i] = page.Contents[i].Key
		}
		return keys, page.Then, err
	})
}

// Remove takes away an object and those below it.
func (g *gcs) Remove(ctx context.Context, key string) error {
	return removeAll(ctx, g, key, func(ctx context.Context, key string) error {
		to, err := g.url(http.MethodDelete, key, nil, ownTime)
		if err != nil {
			return err
		}
		return g.do(ctx, http.MethodDelete, to, "remove", key)
	})
}

// Sign makes a URL. Of a bucket without key of an account it is the plain address of the object. As the identity of
// this process it is signed by Google; an identity that may not is [ErrRelay].
func (g *gcs) Sign(ctx context.Context, method, key string, lifetime time.Duration) (to string,
	headers map[string]string, err error) {
	if g.own == nil {
		to, err = g.url(method, key, nil, lifetime)
		return to, nil, err
	}
	email, err := g.own.Email(ctx)
	if err == nil {
		to, err = g.signed(signatory{email, func(text string) ([]byte, error) { return g.own.Sign(ctx, []byte(text)) }},
			method, key, nil, lifetime)
	}
	if errors.Is(err, google.ErrNoSigner) {
		err = ErrRelay
	}
	return to, nil, err
}

// Put keeps what a body holds.
func (g *gcs) Put(ctx context.Context, key string, body io.Reader) error {
	to, err := g.url(http.MethodPut, key, nil, ownTime)
	if err != nil {
		return err
	}
	return g.send(ctx, to, key, body)
}

// Ready is for whoever made the bucket.
func (g *gcs) Ready(context.Context) error { return nil }

// Authority is the usual one.
func (g *gcs) Authority() string { return "" }
