package source

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// client keeps to the certificates of the system, or to none.
func client(loose bool) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = identity.Dial
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.TLSClientConfig.InsecureSkipVerify = loose // verifyCert false asks for it
	return &http.Client{Transport: t}
}

// url gets a manifest. verifyCert is false by default. Source: Argo Events.
func (f *Fetcher) url(ctx context.Context, _ string, l *v1alpha1.EventArtifactLocation) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL.Path, nil)
	if err != nil {
		return nil, fault.AsPoison(err)
	}
	c := f.loose
	if l.URL.VerifyCert {
		c = f.plain
	}
	answer, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", request.URL.Redacted(), answer.Status)
	}
	return read(answer.Body)
}
