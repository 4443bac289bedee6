package render

import (
	"errors"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

func TestLinksAreFollowedInTheRepository(t *testing.T) {
	m := repository(map[string]string{
		"app/real.yaml": cm(
			"real",
		), "app/file.yaml": "real.yaml", "app/up.yaml": "../shared/up.yaml", "app/dir": "../shared",
		"shared/up.yaml": cm("up"), "shared/more/x.yaml": cm("x"), "app/nothing.yaml": "none",
	})
	for _, name := range []string{"app/file.yaml", "app/up.yaml", "app/dir", "app/nothing.yaml"} {
		link(m, name)
	}
	in := input(t, m, v1alpha1.ApplicationSource{
		Path: "app", Directory: &v1alpha1.ApplicationSourceDirectory{Recurse: true},
	})
	got, err := newRig(t).Render(t.Context(), in)
	want := []string{"ConfigMap/x", "ConfigMap/up", "ConfigMap/real", "ConfigMap/real", "ConfigMap/up"}
	if diff := cmp.Diff(want, namesOf(got.Objects)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestLinksStayInTheRepository(t *testing.T) {
	r := newRig(t)
	for target, want := range map[string]string{
		"../../x": "leaves the repository", "/etc/passwd": "leaves the repository",
		"a/../../../x": "leaves the repository",
		"l.yaml":       "circles",
	} {
		m := repository(map[string]string{"app/l.yaml": target, "app/a.yaml": cm("a")})
		link(m, "app/l.yaml")
		_, err := r.Render(t.Context(), input(t, m, v1alpha1.ApplicationSource{Path: "app"}))
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestALinkOutOfTheFolderIsRead(t *testing.T) {
	r := newRig(t)
	for i, text := range []string{"one", "two"} {
		m := repository(map[string]string{"app/l.yaml": "../x.yaml", "x.yaml": cm(text)})
		link(m, "app/l.yaml")
		in := input(t, m, v1alpha1.ApplicationSource{Path: "app"})
		in.Tree, in.Dir = sameFolder{m}, "same"
		got, err := r.Render(t.Context(), in)
		if err != nil || len(got.Objects) != 1 || got.Objects[0].GetName() != text || r.renders != i+1 {
			t.Errorf("%v, %v after %d renders", namesOf(got.Objects), err, r.renders)
		}
	}
}

func TestRefs(t *testing.T) {
	r := newRig(t)
	values := repository(map[string]string{"envs/prod.yaml": "a: ref\n", "token": "t"})
	in := input(t, repository(webChart), helmSource(v1alpha1.ApplicationSourceHelm{
		ValueFiles:     []string{"$values/envs/prod.yaml", "$values/envs/*.yaml"},
		FileParameters: []v1alpha1.HelmFileParameter{{Name: "b", Path: "$values/token"}},
	}))
	in.Source.Path = "app"
	in.Dir, _ = in.Tree.(*Memory).Sub("app")
	in.Refs = map[string]Ref{"$values": {Tree: values, Root: values.Root}}
	got, err := r.Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := got.Objects[1].MarshalJSON()
	if !strings.Contains(string(text), `\"a\":\"ref\",\"b\":\"t\"`) {
		t.Errorf("%s", text)
	}
	var paths []string
	for _, s := range got.Reads {
		paths = append(paths, s.Tree+"/"+s.Path)
	}
	if diff := cmp.Diff([]string{"$values/envs", "$values/envs/prod.yaml", "$values/token"}, paths); diff != "" {
		t.Errorf("read: %s", diff)
	}
}
