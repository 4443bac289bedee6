package ingest

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/eventsource"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/core"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/pull"
)

// A provider is whole, and reads the field of the manifest that bears its name.
func TestEveryProviderReadsItsOwnField(t *testing.T) {
	for kind, p := range core.Providers {
		if p.Hooks == nil || p.Verify == nil || p.Decode == nil {
			t.Errorf("%s is not whole", kind)
			continue
		}
		if pull.Kinds[kind] != nil {
			t.Errorf("%s is both sent and read", kind)
		}
		var spec v1alpha1.EventSourceSpec
		for _, f := range reflect.VisibleFields(reflect.TypeOf(spec)) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == kind {
				one := reflect.MakeMap(f.Type)
				one.SetMapIndex(reflect.ValueOf("e"), reflect.New(f.Type.Elem()).Elem())
				reflect.ValueOf(&spec).Elem().FieldByIndex(f.Index).Set(one)
			}
		}
		if hooks := p.Hooks(&spec); len(hooks) != 1 {
			t.Errorf("%s reads another field: %v", kind, hooks)
		}
	}
}

func TestEveryKindIsServed(t *testing.T) {
	noKinds := map[string]bool{
		"eventBusName": true,
		"replicas":     true,
		"service":      true,
		"template":     true,
		"rateLimit":    true,
	}
	docs, err := os.ReadFile("../../../../docs/eventsource.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[v1alpha1.EventSourceSpec]()) {
		kind, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || kind == "" || noKinds[kind] {
			continue
		}
		seen++
		if core.Providers[kind].Hooks == nil && pull.Kinds[kind] == nil {
			t.Errorf("the manifest has %s, and nobody serves it", kind)
		}
		if !slices.ContainsFunc(strings.Split(string(docs), "\n"), func(line string) bool {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
			return strings.HasPrefix(line, "| ") && slices.Contains(strings.Split(first, ", "), kind)
		}) {
			t.Errorf("docs/eventsource.md has no row for %s", kind)
		}
	}
	if seen < len(core.Providers)+len(pull.Kinds) {
		t.Errorf("%d kinds are served, and the manifest has %d", len(core.Providers)+len(pull.Kinds), seen)
	}
}

// What lint says of names is what the core knows of them.
func TestLintAndTheCoreKnowTheSameNames(t *testing.T) {
	if got := core.Forms(); !slices.Equal(got, eventsource.RegistryProviders) {
		t.Errorf("registries: %v", got)
	}
	if got := core.GitlabEvents(); !slices.Equal(got, eventsource.GitlabEvents) {
		t.Errorf("events of GitLab: %v", got)
	}
	if core.StandardWebhooks != eventsource.StandardWebhooks {
		t.Error("the scheme of Standard Webhooks")
	}
}
