package conformance

import (
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestAnEventIsMadeThatFiltersLetPass(t *testing.T) {
	f := &v1alpha1.EventDependencyFilter{
		Data: []v1alpha1.DataFilter{
			{Path: "body.n", Type: "number", Comparator: ">", Value: []v1alpha1.AnyString{"3.5"}},
			{Path: "body.less", Type: "number", Comparator: "<", Value: []v1alpha1.AnyString{"3"}},
			{Path: "body.flag", Type: "bool", Comparator: "!=", Value: []v1alpha1.AnyString{"true"}},
			{Path: "body.ref", Type: "string", Value: []v1alpha1.AnyString{"^refs/heads/(main|master)$"}},
			{Path: "body.other", Type: "string", Comparator: "!=", Value: []v1alpha1.AnyString{"a"}},
		},
		Exprs: []v1alpha1.ExprFilter{
			{
				Expr:   `a == "b" || c >= 10`,
				Fields: []v1alpha1.PayloadField{{Name: "a", Path: "x.a"}, {Name: "c", Path: "x.c"}},
			},
		},
		Script: `if event.body.s == "z" and event.body.t ~= 1 then return true end`,
	}
	got, err := grant(`{"body":{}}`, wishes(f))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"body":{"n":4.5,"less":2,"flag":false,"ref":"refs/heads/main","other":"another than a","s":"z"},"x":{"a":"b","c":10}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReferencesAreFoundWhereverTheyStand(t *testing.T) {
	got := references(
		map[string]any{
			"a": []any{map[string]any{"b": map[string]any{"name": "n", "key": "k"}}},
			"c": map[string]any{"name": "only"},
		},
	)
	if len(got) != 1 || got[0] != (reference{"n", "k"}) {
		t.Errorf("%v", got)
	}
}

func TestLongerAddressesAreReplacedFirst(t *testing.T) {
	edit := replaced(map[string]string{"host:1": "a", "host:12": "b"})
	if got := edit("host:12 host:1"); got != "b a" {
		t.Errorf("%q", got)
	}
}

func TestDocumentsOfAFile(t *testing.T) {
	got, err := documents([]byte("# nothing\n---\nkind: A\nspec: {webhook: {e: {port: '1'}}}\n---\nkind: B\n"))
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if kind, settings, ok := sourceOf(got[0], "e"); !ok || kind != "webhook" || settings["port"] != "1" {
		t.Errorf("%s %v %v", kind, settings, ok)
	}
	if _, err := documents([]byte("a: [")); err == nil {
		t.Error("broken YAML is taken")
	}
}
