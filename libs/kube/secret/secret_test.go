package secret_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/kube/secret"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// objects is an API server with Secrets and ConfigMaps by name; it counts the readings.
type objects struct {
	secrets map[string]map[string][]byte
	configs map[string]map[string]string
	fails   error
	read    int
}

func (o *objects) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	o.read++
	if o.fails != nil {
		return o.fails
	}
	switch into := into.(type) {
	case *corev1.Secret:
		if data, ok := o.secrets[key.Name]; ok {
			into.Data = data
			return nil
		}
	case *corev1.ConfigMap:
		if data, ok := o.configs[key.Name]; ok {
			into.Data = data
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "x"}, key.Name)
}

func (o *objects) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("not listed")
}

func key(name, key string) *corev1.SecretKeySelector {
	return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}
}

func TestValues(t *testing.T) {
	r := secret.NewReader(&objects{
		secrets: map[string]map[string][]byte{"s": {"a": []byte(" v \n"), "blank": []byte(" \n")}},
		configs: map[string]map[string]string{"c": {"k": "w"}},
	}, 0)
	for what, read := range map[string]func() (string, error){
		"v":     func() (string, error) { return r.Text(t.Context(), "ns", key("s", "a")) },
		" v \n": func() (string, error) { return r.Value(t.Context(), "ns", key("s", "a")) },
		" \n":   func() (string, error) { return r.Value(t.Context(), "ns", key("s", "blank")) },
		"":      func() (string, error) { return r.Text(t.Context(), "ns", nil) },
		"w": func() (string, error) {
			config := corev1.LocalObjectReference{Name: "c"}
			return r.From(t.Context(), "ns", &v1alpha1.EventValueFromSource{
				ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: config, Key: "k"},
			})
		},
	} {
		if got, err := read(); got != what || err != nil {
			t.Errorf("%q: %q, %v", what, got, err)
		}
	}
	for what, ref := range map[string]*corev1.SecretKeySelector{
		"no Secret": key("none", "a"), "no key": key("s", "b"), "nothing but space": key("s", "blank"),
	} {
		_, err := r.Text(t.Context(), "ns", ref)
		if text, is := secret.IsMissing(
			err,
		); !is || text != fmt.Sprintf("secret ns/%s has no key %q", ref.Name, ref.Key) ||
			fault.Of(err) != fault.Retry {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnAPIServerThatIsAwayIsNotAMissingValue(t *testing.T) {
	r := secret.NewReader(&objects{fails: errors.New("away")}, 0)
	_, err := r.Value(t.Context(), "ns", key("s", "a"))
	if _, is := secret.IsMissing(err); is || err == nil || err.Error() != "read secret ns/s: away" {
		t.Error(err)
	}
	r = secret.NewReader(&objects{fails: apierrors.NewBadRequest("junk")}, 0)
	if _, err := r.Value(t.Context(), "ns", key("s", "a")); fault.Of(err) != fault.Poison {
		t.Error(err)
	}
}

func TestWithoutAnAgeAValueIsReadEachTime(t *testing.T) {
	o := &objects{secrets: map[string]map[string][]byte{"s": {"a": []byte("1")}}}
	r := secret.NewReader(o, 0)
	for _, want := range []string{"1", "2"} {
		o.secrets["s"] = map[string][]byte{"a": []byte(want)}
		if got, err := r.Value(t.Context(), "ns", key("s", "a")); got != want || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	o := &objects{secrets: map[string]map[string][]byte{}}
	r := secret.NewReader(o, time.Hour)
	for i := range 1000 {
		name := fmt.Sprint("s", i)
		o.secrets[name] = map[string][]byte{"a": []byte(name)}
		if v, err := r.Value(t.Context(), "ns", key(name, "a")); v != name || err != nil {
			t.Fatal(v, err)
		}
	}
	if v, _ := r.Value(t.Context(), "ns", key("s999", "a")); v != "s999" || o.read != 1000 {
		t.Errorf("the last was not remembered: %d readings", o.read)
	}
	if v, _ := r.Value(t.Context(), "ns", key("s0", "a")); v != "s0" || o.read != 1001 {
		t.Errorf("the first is still remembered: %d readings", o.read)
	}
	if _, err := r.Value(t.Context(), "ns", key("late", "a")); err == nil {
		t.Error("found")
	}
	o.secrets["late"] = map[string][]byte{"a": []byte("x")}
	if v, err := r.Value(t.Context(), "ns", key("late", "a")); v != "x" || err != nil {
		t.Errorf("that it was missing is remembered: %v", err)
	}
}

func pair(t *testing.T) (cert, private []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(
		rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)},
		&k.PublicKey, k,
	)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE", Bytes: der},
	), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func TestTLS(t *testing.T) {
	cert, private := pair(t)
	_, other := pair(t)
	r := secret.NewReader(
		&objects{
			secrets: map[string]map[string][]byte{
				"s": {"cert": cert, "key": private, "other": other, "junk": []byte("junk of a secret")},
			},
		},
		0,
	)
	if cfg, err := r.TLS(t.Context(), "ns", nil); cfg != nil || err != nil {
		t.Error("none was given:", cfg, err)
	}
	cfg, err := r.TLS(
		t.Context(),
		"ns",
		&v1alpha1.EventTLSConfig{
			CaCertSecret: key("s", "cert"), ClientCertSecret: key("s", "cert"), ClientKeySecret: key("s", "key"),
		},
	)
	if err != nil || cfg.RootCAs == nil || len(cfg.Certificates) != 1 || cfg.InsecureSkipVerify {
		t.Fatalf("%+v, %v", cfg, err)
	}
	for want, c := range map[string]v1alpha1.EventTLSConfig{
		"tls.caCertSecret holds no certificate in PEM":             {CaCertSecret: key("s", "junk")},
		"tls.clientCertSecret and tls.clientKeySecret go together": {ClientCertSecret: key("s", "cert")},
		"tls: the client certificate and key do not fit each other": {
			ClientCertSecret: key("s", "cert"), ClientKeySecret: key("s", "other"),
		},
		"tls: the client certificate and key do not fit each other, o": {
			ClientCertSecret: key("s", "junk"), ClientKeySecret: key("s", "key"),
		},
	} {
		if _, err := r.TLS(
			t.Context(), "ns", &c,
		); err == nil || !strings.Contains(err.Error(), want) || fault.Of(err) != fault.Poison ||
			strings.Contains(err.Error(), "junk") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
