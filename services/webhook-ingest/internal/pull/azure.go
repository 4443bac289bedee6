package pull

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/identity/entra"
)

// azurePatience bounds connecting, and each question.
const azurePatience = 10 * time.Second

// azureRig is how tests reach Azure: its identities, and one server in the place of all. The zero value reaches Azure.
type azureRig struct {
	entra    func() (azcore.TokenCredential, error)
	endpoint string       // host:port in place of the namespace's
	secure   *tls.Config  // of it
	client   *http.Client // reaches storage
}

// azureIdentity is the identity of this process, where the namespace of the manifest may use it. Its token opens all
// that it may use, and is sent to Azure alone.
func (e Env) azureIdentity(field, instead, host string) (azcore.TokenCredential, error) {
	if err := e.Own.Allow(e.Namespace, field, instead); err != nil {
		return nil, err
	}
	if !entra.Azures(host) {
		return nil, fault.Poisonf("%s: %q is no server of Azure; name %s", field, host, instead)
	}
	if e.azure.entra != nil {
		return e.azure.entra()
	}
	return entra.Credential(nil)
}

// azureSecure is the TLS of a connection to a namespace.
func (e Env) azureSecure(given *tls.Config) *tls.Config {
	switch {
	case given != nil:
		return given
	case e.azure.secure != nil:
		return e.azure.secure
	default:
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// azureAddress is the address that a connection string names: amqps://host, or amqp://host of an emulator. The text is
// a secret, and stands in no error.
func azureAddress(text string) (string, error) {
	scheme, host := "amqps://", ""
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "endpoint":
			if u, err := url.Parse(strings.TrimSpace(value)); err == nil {
				host = u.Host
			}
		case "usedevelopmentemulator":
			if strings.EqualFold(strings.TrimSpace(value), "true") {
				scheme = "amqp://"
			}
		}
	}
	if host == "" {
		return "", errors.New("the connection string has no Endpoint=sb://host/")
	}
	return scheme + host, nil
}

// guarded makes an error of a panic: the SDKs take some properties of messages for what they need not be, and a message
// must not end the process.
func guarded[T any](do func() (T, error)) (out T, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("the SDK cannot read a message: %v", broken)
		}
	}()
	return do()
}

// amqpBytes is the body of a message: its data, or the text or bytes that are its
// value.
func amqpBytes(data [][]byte, value any) []byte {
	if len(data) == 1 {
		return data[0]
	}
	var out []byte
	for _, part := range data {
		out = append(out, part...)
	}
	switch v := value.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	}
	return out
}

// amqpWord is an id, which may be of several types; "" for none.
func amqpWord(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// plainProperties makes JSON of what AMQP allows as a property and JSON has no form for.
func plainProperties(in map[string]any) map[string]any {
	if in == nil {
		return nil
	}
	out := make(map[string]any, len(in))
	for name, value := range in {
		switch v := value.(type) {
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				value = fmt.Sprint(v)
			}
		case float32:
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				value = fmt.Sprint(v)
			}
		case nil, bool, string, []byte, time.Time, int8, int16, int32, int64, uint8, uint16, uint32, uint64:
		default:
			value = fmt.Sprint(v)
		}
		out[name] = value
	}
	return out
}
