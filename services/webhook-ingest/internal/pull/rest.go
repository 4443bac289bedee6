package pull

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/argosy-mesh/argosy/libs/identity"
)

// restPatience bounds one exchange; it is longer than any service is asked to wait.
const restPatience = 40 * time.Second

// restMost bounds an answer. The largest is a batch of messages of 64 KiB in base64.
const restMost = 8 << 20

// restClient follows no redirects: a signature is made for one place. It does not reach where clouds give out
// identities.
func restClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = identity.Dial
	return &http.Client{
		Transport:     transport,
		Timeout:       restPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange sends a request and reads the answer. Its error does not name the URL,
// which may hold a signature.
func exchange(client *http.Client, r *http.Request) (code int, body []byte, err error) {
	answer, err := client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return 0, nil, fmt.Errorf("reach %s: %w", r.URL.Host, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(answer.Body, restMost+1))
	if err == nil && len(body) > restMost {
		err = fmt.Errorf("the answer is larger than %d bytes", restMost)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", r.URL.Host, err)
	}
	return answer.StatusCode, body, nil
}
