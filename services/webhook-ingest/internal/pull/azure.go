package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	amqp1 "github.com/Azure/go-amqp"
)

// Service Bus and Event Hubs are read by AMQP 1.0 with the name of an access rule as
// user and its key as password. Source: "AMQP 1.0 in Azure Service Bus and Event Hubs
// protocol guide", SASL PLAIN. Identities of Microsoft Entra need a library that is
// larger than all readers together. ADR-0037.

// azurePatience bounds connecting.
const azurePatience = 10 * time.Second

// namespace is where queues, topics and hubs live.
type namespace struct {
	address   string // amqps://host, or amqp:// of an emulator
	rule, key string
}

// pairs reads a connection string of Azure, with its names in lower case. The text is
// a secret, and stands in no error.
func pairs(text string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, errors.New("the connection string is not of the form Name=value;Name=value")
		}
		out[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return out, nil
}

// namespaceOf reads Endpoint=sb://host/;SharedAccessKeyName=n;SharedAccessKey=k. With
// UseDevelopmentEmulator=true the host is reached without TLS, as Azure's own clients do.
func namespaceOf(text string) (namespace, error) {
	given, err := pairs(text)
	if err != nil {
		return namespace{}, err
	}
	u, err := url.Parse(given["endpoint"])
	if err != nil || u.Host == "" {
		return namespace{}, errors.New("the connection string has no Endpoint=sb://host/")
	}
	out := namespace{address: "amqps://" + u.Host, rule: given["sharedaccesskeyname"], key: given["sharedaccesskey"]}
	if strings.EqualFold(given["usedevelopmentemulator"], "true") {
		out.address = "amqp://" + u.Host
	}
	if out.rule == "" || out.key == "" {
		return namespace{}, errors.New("the connection string needs SharedAccessKeyName and SharedAccessKey; signatures are not supported by this version")
	}
	return out, nil
}

// dial returns a session; its connection is the caller's to close.
func (n namespace) dial(ctx context.Context, secure *tls.Config) (*amqp1.Conn, *amqp1.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, azurePatience)
	defer cancel()
	if secure == nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conn, err := amqp1.Dial(ctx, n.address, &amqp1.ConnOptions{SASLType: amqp1.SASLTypePlain(n.rule, n.key), TLSConfig: secure})
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", n.address, err)
	}
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open a session at %s: %w", n.address, err), conn.Close())
	}
	return conn, session, nil
}

// amqpBytes is the body of a message: its data, or the text or bytes that are its
// value.
func amqpBytes(m *amqp1.Message) []byte {
	if len(m.Data) == 1 {
		return m.Data[0]
	}
	var out []byte
	for _, part := range m.Data {
		out = append(out, part...)
	}
	switch v := m.Value.(type) {
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
