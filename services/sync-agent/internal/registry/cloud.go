package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/amazon"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
	"github.com/argosy-mesh/argosy/libs/identity/google"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	early     = 5 * time.Minute // before it ends a login is made anew
	hostsKept = 1000
	maxLogin  = 1 << 20 // bytes of an answer
)

// Clouds open the registries of clouds with the identity of this process. Safe for concurrent use.
type Clouds struct {
	own    identity.Own
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	known map[string]login // by host
}

type login struct {
	access Access
	ends   time.Time
}

// NewClouds returns them. own says whose Applications may use the identity.
func NewClouds(own identity.Own, client *http.Client) *Clouds {
	return &Clouds{own: own, client: client, now: time.Now, known: map[string]login{}}
}

// cloud is how one cloud lets this process into its registries. A token goes to hosts of the cloud alone.
type cloud struct {
	hosts *regexp.Regexp
	open  func(ctx context.Context, client *http.Client, host string) (login, error)
}

var clouds = []cloud{
	{regexp.MustCompile(`^[a-z0-9-]+\.azurecr\.(io|cn|us)$`), azure},
	{regexp.MustCompile(`^([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)$`), artifactRegistry},
	{regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`), elasticRegistry},
}

// Access is what opens a registry for an Application of a namespace: nothing for registries that are no cloud's, and
// for namespaces that may not use the identity.
func (c *Clouds) Access(ctx context.Context, namespace, host string) (Access, error) {
	if c == nil || !c.own.May(namespace) {
		return Access{}, nil
	}
	for _, of := range clouds {
		if of.hosts.MatchString(host) {
			return c.login(ctx, of, host)
		}
	}
	return Access{}, nil
}

// login asks without holding the others up: two who ask at once may both be answered.
func (c *Clouds) login(ctx context.Context, of cloud, host string) (Access, error) {
	c.mu.Lock()
	l, is := c.known[host]
	c.mu.Unlock()
	if is && c.now().Before(l.ends.Add(-early)) {
		return l.access, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l, err := of.open(ctx, c.client, host)
	if err != nil {
		return Access{}, fmt.Errorf("log in to %s with the service's own identity: %w", host, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= hostsKept {
		clear(c.known)
	}
	c.known[host] = l
	return l.access, nil
}

// azureUser is the name that goes with a token. Source: Azure Container Registry, authentication.
const azureUser = "00000000-0000-0000-0000-000000000000"

// azure opens a registry of Azure with the identity of this process.
func azure(ctx context.Context, client *http.Client, host string) (login, error) {
	found, err := entra.Credential(client)
	if err != nil {
		return login{}, err
	}
	access, ends, err := Exchange(ctx, client, found, host)
	return login{access, ends}, err
}

// Exchange is what opens a registry of Azure for an identity of Entra, and when that ends. Only such a registry may be
// named: it is shown a token. Source: Azure Container Registry, docs of oauth2/exchange.
func Exchange(
	ctx context.Context, client *http.Client, of azcore.TokenCredential, host string,
) (Access, time.Time, error) {
	l, err := exchange(ctx, client, of, host)
	return l.access, l.ends, err
}

func exchange(ctx context.Context, client *http.Client, of azcore.TokenCredential, host string) (login, error) {
	token, err := of.GetToken(ctx, policy.TokenRequestOptions{
		Scopes: []string{"https://containerregistry.azure.net/.default"},
	})
	if err != nil {
		return login{}, err
	}
	form := url.Values{"grant_type": {"access_token"}, "service": {host}, "access_token": {token.Token}}
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, "https://"+host+"/oauth2/exchange", strings.NewReader(form.Encode()),
	)
	if err != nil {
		return login{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var said struct {
		Token string `json:"refresh_token"`
	}
	return login{Access{azureUser, ""}, token.ExpiresOn}.with(&said.Token, ask(client, req, &said))
}

// with puts in the password that was answered.
func (l login) with(password *string, err error) (login, error) {
	if err == nil && *password == "" {
		err = fmt.Errorf("the answer holds no token")
	}
	l.access.Password = *password
	return l, err
}

// artifactRegistry takes a token as it is. Source: Artifact Registry, authentication by access token.
func artifactRegistry(ctx context.Context, _ *http.Client, _ string) (login, error) {
	account, err := google.Default(ctx, google.Platform)
	if err != nil {
		return login{}, err
	}
	token, err := account.TokenSource.Token()
	if err != nil {
		return login{}, err
	}
	return login{Access{"oauth2accesstoken", token.AccessToken}, token.Expiry}, nil
}

// elasticRegistry asks for a password. Source: Amazon ECR, GetAuthorizationToken.
func elasticRegistry(ctx context.Context, client *http.Client, host string) (login, error) {
	region, domain := strings.Split(host, ".")[3], strings.SplitN(host, ".", 5)[4]
	config, err := amazon.Config(ctx, amazon.Access{Region: region})
	if err != nil {
		return login{}, err
	}
	keys, err := config.Credentials.Retrieve(ctx)
	if err != nil {
		return login{}, err
	}
	body := []byte("{}")
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, "https://api.ecr."+region+"."+domain+"/", bytes.NewReader(body),
	)
	if err != nil {
		return login{}, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), "ecr", region,
		time.Now()); err != nil {
		return login{}, err
	}
	var said struct {
		Data []struct {
			Token string  `json:"authorizationToken"`
			Ends  float64 `json:"expiresAt"`
		} `json:"authorizationData"`
	}
	if err := ask(client, req, &said); err != nil {
		return login{}, err
	}
	if len(said.Data) == 0 {
		return login{}, fmt.Errorf("the answer holds no token")
	}
	pair, err := base64.StdEncoding.DecodeString(said.Data[0].Token)
	user, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		return login{}, fmt.Errorf("the answer is not user:password in base64")
	}
	return login{Access{user, password}, time.Unix(int64(said.Data[0].Ends), 0)}, nil
}

// ask sends a request and decodes its answer, which is in no error: it may hold a token.
func ask(client *http.Client, req *http.Request, into any) error {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := own.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxLogin))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", req.URL.Host, resp.StatusCode)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s answers no JSON", req.URL.Host)
	}
	return nil
}
