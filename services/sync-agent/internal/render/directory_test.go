package render

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

func TestDirectory(t *testing.T) {
	r := newRig(t)
	type options = v1alpha1.ApplicationSourceDirectory
	files := map[string]string{
		"app/b.yaml": cm("b") + "---\n" + cm("c") + "---\n# nothing\n",
		"app/a.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, "app/sub/d.yml": cm("d"),
		"app/values.yaml": "x: 1\n", "app/readme.md": "x", "app/broken.yaml": "x: [\n", "app/plain": cm("plain"),
		"app/skip.yaml":           "# +argocd:skip-file-rendering\n" + cm("s"),
		"app/list.yaml":           "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: l}}\n",
		"app/u.yaml":              utf16Text(cm("u")),
		"app/.argocd-source.yaml": "directory: {}\n",
	}
	for name, c := range map[string]struct {
		options *options
		want    string
	}{
		"flat":          {nil, "a b c l u"},
		"recurse":       {&options{Recurse: true}, "a b c l d u"},
		"include":       {&options{Include: "{a.json,l*}"}, "a l"},
		"exclude":       {&options{Recurse: true, Exclude: "*.y*ml"}, "a"},
		"both":          {&options{Include: "*", Exclude: "{a,b,u}.*"}, "l"},
		"folders":       {&options{Recurse: true, Include: "*d.yml"}, "d"},
		"class":         {&options{Include: "[ab].*"}, "a b c"},
		"all files":     {&options{Include: "plain", DisableExtensionFilter: true}, "plain"},
		"nothing match": {&options{Include: "none"}, ""},
	} {
		got, err := r.names(files, v1alpha1.ApplicationSource{Directory: c.options})
		if diff := cmp.Diff(c.want, strings.ReplaceAll(strings.Join(got, " "), "ConfigMap/", "")); diff != "" ||
			err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func utf16Text(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

func TestDirectoryRefuses(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		file, text string
		include    string
		want       string
	}{
		"broken manifest": {"x.yaml", cm("x") + "\t bad", "", "x.yaml"},
		"broken JSON":     {"x.json", "{", "", "x.json"},
		"two in JSON":     {"x.json", `{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}} {}`, "", "one object"},
		"too large":       {"x.yaml", cm("x") + "#" + strings.Repeat("x", maxManifests), "", "too large"},
		"pattern":         {"x.yaml", cm("x"), "[", "spec.source.directory.include"},
		"half a unit":     {"x.yaml", "\xff\xfe\x00", "", ""},
	} {
		_, err := r.names(
			map[string]string{"app/" + c.file: c.text},
			v1alpha1.ApplicationSource{Directory: &v1alpha1.ApplicationSourceDirectory{Include: c.include}},
		)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJsonnet(t *testing.T) {
	r := newRig(t)
	files := map[string]string{
		"app/main.jsonnet": `function(name, n=1)
[(import 'cm.libsonnet')(name + n), (import 'shared.libsonnet')(std.extVar('e')), null]`,
		"app/cm.libsonnet":        `function(n) {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: n}}`,
		"vendor/shared.libsonnet": `local make = import '../app/cm.libsonnet'; function(n) make(n)`,
	}
	source := v1alpha1.ApplicationSource{Directory: &v1alpha1.ApplicationSourceDirectory{
		Jsonnet: &v1alpha1.ApplicationSourceJsonnet{
			ExtVars: []v1alpha1.JsonnetVar{{Name: "e", Value: "$ARGOCD_APP_NAME"}},
			Tlas:    []v1alpha1.JsonnetVar{{Name: "name", Value: "x"}, {Name: "n", Value: "1+1", Code: true}},
			Libs:    []string{"vendor"},
		},
	}}
	got, err := r.names(files, source)
	if diff := cmp.Diff([]string{"ConfigMap/x2", "ConfigMap/web"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for name, c := range map[string]struct{ text, want string }{
		"loop":     {`local f(x) = f(x + 1); f(0)`, "max stack frames"},
		"import":   {`import 'none.libsonnet'`, "jsonnet.libs"},
		"outside":  {`importstr '../../../../etc/passwd'`, "no such file in the repository"},
		"no kind":  {`{}`, "no apiVersion"},
		"a number": {`1`, "main.jsonnet"},
	} {
		source.Directory.Jsonnet.Tlas = nil
		_, err := r.names(map[string]string{"app/main.jsonnet": c.text}, source)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{cm("a"), cm("a") + "---\n" + cm("b"), "{", "- a", "kind: List\napiVersion: v1\nitems: [1]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, err := decode(text)
		for _, o := range objects {
			if err == nil && o.GetKind() == "" {
				t.Errorf("%q: an object without kind", text)
			}
		}
	})
}
