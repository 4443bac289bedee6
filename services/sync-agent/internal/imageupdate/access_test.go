package imageupdate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	corev1 "k8s.io/api/core/v1"
)

func TestWhatASecretOpens(t *testing.T) {
	pushed := events.ImagePushed{Registry: "r", Repository: "a"}
	for name, c := range map[string]struct {
		data  map[string]string
		field string
		want  string
	}{
		"a docker config": {map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"r":{"username":"u","password":"p"}}}`}, "", "{u p}"},
		"an old one":      {map[string]string{corev1.DockerConfigKey: `{"r":{"auth":"dTpw"}}`}, "", "{u p}"},
		"a field":         {map[string]string{"k": "u:p:q\n"}, "k", "{u p:q}"},
		"no such field":   {map[string]string{"x": "u:p"}, "k", "field k is not user:password"},
		"another Secret":  {map[string]string{"tls.key": "t0p"}, "", "no pull Secret"},
	} {
		s := corev1.Secret{Data: map[string][]byte{}}
		for key, value := range c.data {
			s.Data[key] = []byte(value)
		}
		got, err := opening(s, c.field, pushed)
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
	h := &Updater{}
	if _, err := h.access(t.Context(), "team", image.PullSecret{Namespace: "argocd", Name: "x"},
		pushed); fault.Of(err) != fault.Poison {
		t.Errorf("a Secret of another namespace: %v", err)
	}
}
