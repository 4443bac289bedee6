package admission

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"
)

func review(t *testing.T, kind string, operation admissionv1.Operation, object, old string) admission.Request {
	t.Helper()
	r := admission.Request{}
	r.Kind, r.Operation, r.Namespace = metav1.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: kind},
		operation, "ci"
	for text, into := range map[string]*[]byte{object: &r.Object.Raw, old: &r.OldObject.Raw} {
		if text == "" {
			continue
		}
		raw, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		*into = raw
	}
	return r
}

func object(kind, name, spec string) string {
	return fmt.Sprintf("{apiVersion: argoproj.io/v1alpha1, kind: %s, metadata: {%s}, spec: %s}", kind, name, spec)
}

func TestWhatIsRefused(t *testing.T) {
	const (
		good = "{entrypoint: main, templates: [{name: main, container: {image: i, command: [x]}}]}"
		bad  = "{entrypoint: gone, templates: [{name: main, container: {image: i, command: [x]}}]}"
		odd  = "{entrypoint: main, oddity: 1, templates: [{name: main, container: {image: i, command: [x]}}]}"
	)
	many := "{entrypoint: main, templates: [" + strings.Repeat("{name: main, container: {image: i}},",
		3*saidLimit) + "]}"
	for name, c := range map[string]struct {
		r        admission.Request
		says     []string // none: it is allowed
		warnings int
	}{
		"a good one": {review(t, "Workflow", admissionv1.Create, object("Workflow", "name: wf", good), ""),
			nil, 0},
		"a bad one": {review(t, "Workflow", admissionv1.Create, object("Workflow", "name: wf", bad), ""),
			[]string{"Workflow ci/wf", "spec.entrypoint", "gone"}, 0},
		"without a name yet": {review(t, "Workflow", admissionv1.Create, object("Workflow", "generateName: wf-", bad),
			""), []string{"Workflow ci/wf-*"}, 0},
		"an odd one": {review(t, "Workflow", admissionv1.Create, object("Workflow", "name: wf", odd), ""), nil,
			1},
		"bad since before": {review(t, "Workflow", admissionv1.Update,
			object("Workflow", "name: wf, labels: {a: b}", bad), object("Workflow", "name: wf", bad)), nil, 0},
		"made bad": {review(t, "Workflow", admissionv1.Update, object("Workflow", "name: wf", bad),
			object("Workflow", "name: wf", good)), []string{"gone"}, 0},
		"on its way out": {review(t, "Workflow", admissionv1.Delete, "", object("Workflow", "name: wf", bad)), nil,
			0},
		"a template": {review(t, "WorkflowTemplate", admissionv1.Create,
			object("WorkflowTemplate", "name: t", bad), ""), []string{"WorkflowTemplate ci/t"}, 0},
		"a cron": {review(t, "CronWorkflow", admissionv1.Create,
			object("CronWorkflow", "name: c", "{schedule: never, workflowSpec: "+good+"}"), ""),
			[]string{"spec.schedule"}, 0},
		"another kind": {review(t, "Sensor", admissionv1.Create, object("Sensor", "name: s", "{}"), ""), nil, 0},
		"more than is shown": {review(t, "Workflow", admissionv1.Create, object("Workflow", "name: wf", many), ""),
			[]string{"more"}, 0},
		"something malformed": {review(t, "Workflow", admissionv1.Create, "[1]", ""), []string{"Workflow"}, 0},
	} {
		got := judge(t.Context(), c.r)
		if got.Allowed != (c.says == nil) || len(got.Warnings) != c.warnings {
			t.Errorf("%s: allowed %v, warnings %q, %+v", name, got.Allowed, got.Warnings, got.Result)
			continue
		}
		for _, want := range c.says {
			if !strings.Contains(got.Result.Message, want) || got.Result.Reason != metav1.StatusReasonInvalid {
				t.Errorf("%s: %q does not say %q", name, got.Result.Message, want)
			}
		}
	}
}

var secretName = types.NamespacedName{Namespace: "argosy", Name: "authority"}

func TestReplicasShareOneAuthority(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	now := time.Now()
	var all sync.Map
	var replicas sync.WaitGroup
	for range 4 {
		replicas.Go(func() {
			a, err := loadAuthority(t.Context(), c, c, secretName, now)
			if err != nil {
				t.Error(err)
				return
			}
			all.Store(string(a.pem), a)
		})
	}
	replicas.Wait()
	n := 0
	all.Range(func(_, a any) bool {
		n++
		pool := x509.NewCertPool()
		pool.AddCert(a.(*authority).cert)
		leaf, err := a.(*authority).leaf([]string{"runner.svc", "10.0.0.1"}, now)
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]bool{"runner.svc": true, "10.0.0.1": true, "other.svc": false} {
			if _, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); (err == nil) != want {
				t.Errorf("%s: %v", host, err)
			}
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d authorities", n)
	}
}

func TestAnAuthorityIsMadeAnew(t *testing.T) {
	now := time.Now()
	first, data, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := first.leaf([]string{"x"}, now)
	if err != nil {
		t.Fatal(err)
	}
	mixed := map[string][]byte{corev1.TLSCertKey: stranger.pem, corev1.TLSPrivateKeyKey: data[corev1.TLSPrivateKeyKey]}
	for name, c := range map[string]struct {
		data map[string][]byte
		at   time.Time
		same bool
	}{
		"a good one":         {data, now, true},
		"one that ends soon": {data, now.Add(authorityLife - leafLife), false},
		"junk": {map[string][]byte{corev1.TLSCertKey: []byte("x"),
			corev1.TLSPrivateKeyKey: []byte("y")}, now, false},
		"a key of another":     {mixed, now, false},
		"nothing":              {nil, now, false},
		"a mere leaf's Secret": {map[string][]byte{corev1.TLSCertKey: leaf.Certificate[0]}, now, false},
	} {
		c2 := fake.NewClientBuilder().WithObjects(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: secretName.Namespace, Name: secretName.Name},
			Data:       c.data}).Build()
		got, err := loadAuthority(t.Context(), c2, c2, secretName, c.at)
		if err != nil || (string(got.pem) == string(first.pem)) != c.same {
			t.Errorf("%s: the same is %v, %v", name, err == nil && string(got.pem) == string(first.pem), err)
		}
	}
}

func TestACertificateIsRenewedAndReadFromFiles(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	s, err := New(Config{Address: "127.0.0.1:8443", Hosts: []string{"h"}, Secret: secretName, Webhook: "none",
		Client: c, Reader: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var serials []string
	for _, later := range []time.Duration{0, time.Hour, leafLife} {
		if err := s.prepare(t.Context(), now.Add(later)); err != nil {
			t.Fatal(err)
		}
		serials = append(serials, s.cert.Load().Leaf.SerialNumber.String())
	}
	if serials[0] != serials[1] || serials[1] == serials[2] {
		t.Errorf("%v", serials)
	}
	_, data, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s.config.Cert, s.config.Key = filepath.Join(dir, "c"), filepath.Join(dir, "k")
	if err := s.prepare(t.Context(), now); err == nil {
		t.Error("files that are not there")
	}
	for name, text := range map[string][]byte{s.config.Cert: data[corev1.TLSCertKey],
		s.config.Key: data[corev1.TLSPrivateKeyKey]} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.prepare(t.Context(), now); err != nil || s.cert.Load().Leaf.SerialNumber.String() == serials[2] {
		t.Errorf("%v", err)
	}
	for _, address := range []string{"", "8443", "host:", "host:0", "host:x"} {
		if _, err := New(Config{Address: address, Hosts: []string{"h"}}); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
	if _, err := New(Config{Address: ":1"}); err == nil {
		t.Error("no host is taken")
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(object("Workflow", "name: wf", "{}")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := admission.Request{}
		r.Kind.Kind, r.Operation, r.Object.Raw = "Workflow", admissionv1.Create, raw
		if got := judge(t.Context(), r); !got.Allowed && got.Result.Message == "" {
			t.Error(got)
		}
	})
}
