package artifact

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/identity/google/googletest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store/storetest"
)

// An identity that is no service account signs no URLs: what pods put and get goes through the runner, file by file
// too.
func TestPodsAreRelayedWhereNothingIsSigned(t *testing.T) {
	services, cloud := googletest.Start(t), storetest.StartGCS(t)
	services.Machines, cloud.Token = "project.svc.id.goog", googletest.Pooled
	d := &depot{t: t, signer: &Signer{Key: []byte("k")}}
	web := httptest.NewServer(&Server{Stores: &store.Stores{GCS: cloud.URL, IAM: services.URL, Own: identity.For("ci")},
		Signer: d.signer, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(web.Close)
	d.signer.Base = web.URL
	none := &v1alpha1.ArchiveStrategy{None: &v1alpha1.NoneStrategy{}}
	for name, archive := range map[string]*v1alpha1.ArchiveStrategy{"packed": nil, "file by file": none} {
		dir := folder(t)
		a := v1alpha1.Artifact{Name: "a", Path: dir, Archive: archive,
			ArtifactLocation: v1alpha1.ArtifactLocation{GCS: &v1alpha1.GCSArtifact{Bucket: "art", Key: "run/" + name}}}
		if report := d.save(a); report.Error != "" {
			t.Fatalf("%s: %s", name, report.Error)
		}
		path, code, said := d.load(a)
		if code != 0 {
			t.Fatalf("%s: %d %s", name, code, said)
		}
		same(t, name, path)
	}
	if _, there := cloud.Objects()["run/file by file/x y.txt"]; !there {
		t.Errorf("%q", cloud.Objects())
	}
	// What a pod holds opens the one object that it was made for, by one method.
	place := v1alpha1.ArtifactLocation{GCS: &v1alpha1.GCSArtifact{Bucket: "art", Key: "run/packed"}}
	signed, err := (&Server{Stores: &store.Stores{GCS: cloud.URL, IAM: services.URL, Own: identity.For("ci")},
		Signer: d.signer}).
		sign(t.Context(), grant{Method: http.MethodGet, Namespace: "ci", Place: &place}, protocol.Ask{})
	if err != nil || len(signed.Objects) != 1 {
		t.Fatal(signed, err)
	}
	token := strings.TrimPrefix(signed.Objects[0].URL, web.URL+Path)
	if g, err := d.signer.check(token, http.MethodGet, time.Now()); err != nil || g.Place.GCS.Key != "run/packed" {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err := d.signer.check(token, http.MethodPut, time.Now()); err == nil {
		t.Error("it allows another method")
	}
	if _, err := d.signer.check(token, http.MethodGet, time.Now().Add(2*signedLifetime)); err == nil {
		t.Error("it never ends")
	}
	tenant := v1alpha1.Artifact{Name: "a", Path: filepath.Join(t.TempDir(), "x"), ArtifactLocation: place}
	in, _ := d.signer.Input("tenant", tenant, time.Now().Add(time.Hour))
	if code, said, _ := d.execute(protocol.Task{Inputs: []protocol.Transfer{in}}, t.TempDir(), "load"); code == 0 ||
		!strings.Contains(said, "403 Forbidden") {
		t.Errorf("a tenant reads it by the identity of the service: %d %s", code, said)
	}
	if _, err := os.Stat(tenant.Path); err == nil {
		t.Error("and has it")
	}
}
