package driver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// Do asks the bridge. What it answers says in [protocol.StoreHeader] that it is the bridge's answer.
func (a At) Do(ctx context.Context, method, path, artifact string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.Token)
	if artifact != "" {
		req.Header.Set(protocol.BridgeArtifact, artifact)
	}
	res, err := a.Client.Do(req)
	if of, is := errors.AsType[*url.Error](err); is {
		return nil, of.Err
	}
	if err == nil && res.Header.Get(protocol.StoreHeader) == "" {
		_ = res.Body.Close()
		return nil, fmt.Errorf("somebody else answered: %s", res.Status)
	}
	return res, err
}

// Name writes down an artifact for the header of a request.
func (a At) Name(d protocol.Driven) (string, error) {
	if d.Patience == 0 {
		d.Patience = a.Patience
	}
	raw, err := json.Marshal(d)
	if err == nil && len(raw) > protocol.DrivenLimit {
		err = fmt.Errorf("its configuration is over %d bytes", protocol.DrivenLimit)
	}
	return base64.RawURLEncoding.EncodeToString(raw), err
}
