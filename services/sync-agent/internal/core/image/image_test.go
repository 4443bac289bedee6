package image

import (
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/google/go-cmp/cmp"
)

func TestImageRules(t *testing.T) {
	rule := func(ref, strategy string) Rule {
		u := ReadUpdater(
			map[string]string{
				updaterPrefix + "image-list": "a=" + ref, updaterPrefix + "a.update-strategy": strategy,
				updaterPrefix + "a.ignore-tags": "bad*",
			},
		)
		if len(u.Rules) != 1 {
			t.Fatalf("%s: %+v", ref, u)
		}
		return u.Rules[0]
	}
	for _, c := range []struct {
		ref, strategy, registry, repository, tag string
		want                                     bool
	}{
		{"r:5000/a/b", "latest", "r:5000", "a/b", "x", true}, {"r:5000/a/b", "latest", "r:5000", "a/c", "x", false},
		{"r:5000/a/b", "latest", "r:5000", "a/b", "bad1", false},
		{"nginx:^1.2", "semver", "docker.io", "library/nginx", "1.9.0", true},
		{"nginx:^1.2", "semver", "docker.io", "library/nginx", "2.0.0", false},
		{"nginx", "semver", "docker.io", "library/nginx", "edge", false},
		{"r:5000/a/b:main", "digest", "r:5000", "a/b", "main", true},
		{"r:5000/a/b:main", "digest", "r:5000", "a/b", "dev", false},
		// What is attached to an image is none, and neither is one platform's part of an index.
		{"r:5000/a/b", "latest", "r:5000", "a/b", "sha256-" + strings.Repeat("ab", 32), false},
		{"r:5000/a/b", "latest", "r:5000", "a/b", "sha256-" + strings.Repeat("ab", 32) + ".sig", false},
		{"r:5000/a/b", "digest", "r:5000", "a/b", "sha256-" + strings.Repeat("ab", 32) + ".att", false},
		{"r:5000/a/b", "alphabetical", "r:5000", "a/b", "", false},
		{"r:5000/a/b", "digest", "r:5000", "a/b", "", false},
		// A range has a prerelease at one end; that does not open the other one.
		{"r/a/b:>=1.2.3-0 <2.0.0", "semver", "r", "a/b", "2.0.0-rc1", false},
		{"r/a/b:>=1.2.3-0 <2.0.0", "semver", "r", "a/b", "1.9.0-rc1", true},
		{"r/a/b:>=1.2.3-rc1", "semver", "r", "a/b", "1.2.3-rc2", true},
		{"r/a/b:<2.0.0", "semver", "r", "a/b", "2.0.0-rc1", false},
		{"r/a/b:~1.2.3-rc1", "semver", "r", "a/b", "1.2.3-rc1", true},
		{"r/a/b:>=1.0, <2.0", "semver", "r", "a/b", "2.0.1", false},
		{"r/a/b:>=1.0, <2.0", "semver", "r", "a/b", "v1.5", true},
	} {
		p := events.ImagePushed{Registry: c.registry, Repository: c.repository, Tag: c.tag, Digest: "sha256:1"}
		if got := rule(c.ref, c.strategy).Wants(p); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if r := rule("nginx", "semver"); r.Advances(Value{NewTag: "1.10.0"}, Value{NewTag: "1.9.0"}) ||
		!r.Advances(Value{NewTag: "1.9.0"}, Value{NewTag: "1.10.0"}) {
		t.Error("versions are compared as text")
	}
}

func annotated(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		key := pairs[i]
		if !strings.Contains(key, "/") {
			key = updaterPrefix + key
		}
		out[key] = pairs[i+1]
	}
	return out
}

func TestImageLists(t *testing.T) {
	for list, want := range map[string][]string{
		"nginx":                               {"|docker.io/library/nginx|"},
		"nginx:^1.2":                          {"|docker.io/library/nginx|^1.2"},
		"nginx:>=1.2":                         {"|docker.io/library/nginx|>=1.2"},
		"nginx:>=1.2, <2, web=r:5000/a/web":   {"|docker.io/library/nginx|>=1.2, <2", "web|r:5000/a/web|"},
		"web=ghcr.io/a/b:=1.2.3":              {"web|ghcr.io/a/b|=1.2.3"},
		"r:5000/a/b:!=1.3":                    {"|r:5000/a/b|!=1.3"},
		"a/b:1.x || >=2.5.0 || 5.0.0 - 7.2.3": {"|docker.io/a/b|1.x || >=2.5.0 || 5.0.0 - 7.2.3"},
	} {
		u := ReadUpdater(annotated("image-list", list))
		var got []string
		for _, r := range u.Rules {
			got = append(got, r.Alias+"|"+r.Name+"|"+r.Constraint)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(u.Problems) > 0 {
			t.Errorf("%q: %s, %v", list, diff, u.Problems)
		}
	}
}

func TestSettings(t *testing.T) {
	u := ReadUpdater(annotated(
		"image-list", "a=r/a, b=r/b", "platforms", "linux/amd64", "b.platforms", "linux/arm64",
		"update-strategy", "latest",
		"force-update", "true", "a.force-update", "false", "a.pull-secret", "pullsecret:ns/pull", "b.pull-secret",
		"secret:ns/pull#key", "allow-tags", "any", "write-back-target", "helmvalues:/charts/values.yaml", "git-branch",
		"main:update-{{.SHA256}}", "write-back-method", "git:secret:argocd/x",
	))
	if len(u.Problems) > 0 || len(u.Rules) != 2 || !u.Git || u.Branch != "main" || u.Push != "update-{{.SHA256}}" ||
		u.Target.In("apps/web") != "charts/values.yaml" {
		t.Fatalf("%+v", u)
	}
	a, b := u.Rules[0], u.Rules[1]
	if a.Force || !b.Force || a.Strategy != NewestBuild || a.Pull != (PullSecret{"ns", "pull", ""}) ||
		b.Pull != (PullSecret{"ns", "pull", "key"}) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if !a.Runs([]string{"linux/amd64", "linux/arm64/v8"}) || a.Runs([]string{"linux/arm64"}) || !a.Runs(nil) ||
		!b.Runs([]string{"linux/arm64/v8"}) {
		t.Error("platforms")
	}
	if a.Deployed([]string{"r/c:1"}) || !a.Deployed([]string{"r/a:1"}) || !a.Deployed(nil) ||
		!b.Deployed([]string{"r/c:1"}) {
		t.Error("what is deployed")
	}
	for key, c := range map[string][2]string{
		"pull-secret":         {"env:TOKEN", "is not supported"},
		"a.pull-secret":       {"pullsecret:pull", "neither pullsecret"},
		"allow-tags":          {"v.*", "neither any nor regexp"},
		"a.allow-tags":        {"regexp:(", "missing closing"},
		"ignore-tags":         {"[a", "no glob"},
		"update-strategy":     {"best", "none of semver"},
		"write-back-target":   {"jsonnet:x", "none of kustomization"},
		"git-branch":          {"main:{{.x", "template"},
		"image-list":          {"a=r/a:1.x.y.z.w", "no version range"},
		PullRequestAnnotation: {"github", "needs a branch"},
	} {
		u := ReadUpdater(annotated("image-list", "a=r/a", key, c[0]))
		if len(u.Problems) == 0 || !strings.Contains(u.Problems[0], c[1]) {
			t.Errorf("%s=%s: %q", key, c[0], u.Problems)
		}
	}
}

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"": "override apps/web", "kustomization": "kustomization apps/web",
		"kustomization:../base":         "kustomization apps/base",
		"kustomization:../../../../etc": "kustomization etc", "helmvalues": "helmvalues apps/web/values.yaml",
		"setters:/": "setters ",
	} {
		u := ReadUpdater(annotated("write-back-target", text))
		if got := string(u.Target.Form) + " " + u.Target.In("apps/web"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestNamesAndMessages(t *testing.T) {
	b := Batch{Application: "web", Namespace: "ns", Images: []Updated{{"r/a", "a", "1", "2"}}}
	one, err := b.BranchName("update/{{.AppNamespace}}-{{.AppName}}-{{ range .Images }}{{.Alias}}-{{.NewTag}}{{end}}")
	if err != nil || one != "update/ns-web-a-2" {
		t.Error(one, err)
	}
	sum, err := b.BranchName("u-{{.SHA256}}")
	b.Images[0].NewTag = "3"
	other, err2 := b.BranchName("u-{{.SHA256}}")
	if err != nil || err2 != nil || sum == other || len(sum) != 66 {
		t.Error(sum, other, err, err2)
	}
	message, err := b.Message("bump\n{{range .AppChanges}}{{.Image}} {{.OldTag}} to {{.NewTag}}{{end}}")
	if err != nil || message != "bump\nr/a 1 to 3\n\n" {
		t.Errorf("%q, %v", message, err)
	}
	if _, err := b.Message(`{{ range until 1000000 }}xxxxxxxx{{ end }}`); err == nil {
		t.Error("a message without bounds")
	}
	if _, err := b.BranchName(`{{ repeat 300 "x" }}`); err == nil {
		t.Error("a name without bounds")
	}
}

func TestValues(t *testing.T) {
	v := Value{NewName: "r/web", NewTag: "2"}
	for name, c := range map[string]struct {
		text string
		keys Keys
		v    Value
		want string // the text, or a part of the error
	}{
		"as they are by default": {
			"# top\nimage: # of web\n  name: r/web\n  tag: \"1\" # old\n\nother: [1]\n", Keys{}, v,
			"# top\nimage: # of web\n  name: r/web\n  tag: \"2\" # old\n\nother: [1]\n",
		},
		"in a list": {
			"c:\n- x: 1\n- image: r/web:1\n", Keys{Spec: "c[1].image"}, v, "c:\n- x: 1\n- image: r/web:2\n",
		},
		"in lists in flow style": {"a: [[x, r/web:1], y]\n", Keys{Spec: "a[0][1]"}, v, "a: [[x, r/web:2], y]\n"},
		"two on one line":        {"{n: old, t: \"1\"}\n", Keys{Name: "n", Tag: "t"}, v, "{n: r/web, t: \"2\"}\n"},
		"a name with dots":       {"image.tag: '1'\n", Keys{Tag: "image.tag"}, v, "image.tag: \"2\"\n"},
		"a number becomes text":  {"tag: 1.10\n", Keys{Tag: "tag"}, v, "tag: \"2\"\n"},
		"behind other letters":   {"{ä: ü, t: x}\n", Keys{Tag: "t"}, v, "{ä: ü, t: \"2\"}\n"},
		"what is missing":        {"# c\na: 1\n", Keys{Tag: "web.image.tag"}, v, "# c\na: 1\nweb:\n  image:\n    tag: \"2\"\n"},
		"an empty file":          {"", Keys{Tag: "t"}, v, "t: \"2\"\n"},
		"by digest": {
			"t: x\n", Keys{Tag: "t"}, Value{NewTag: "main", Digest: "sha256:1"}, "t: main@sha256:1\n",
		},
		"nothing to do":        {"t:   '2' # c\n", Keys{Tag: "t"}, v, "t:   '2' # c\n"},
		"no such element":      {"c: []\n", Keys{Tag: "c[3]"}, v, "there is no element 3"},
		"an object there":      {"t: {a: b}\n", Keys{Tag: "t"}, v, "an object or a list"},
		"a link":               {"a: &x {t: 1}\nb: *x\n", Keys{Tag: "b.t"}, v, "link to another value"},
		"two documents":        {"a: 1\n---\nb: 1\n", Keys{Tag: "t"}, v, "2 documents"},
		"a list":               {"- a\n", Keys{Tag: "t"}, v, "not an object"},
		"a path with an error": {"", Keys{Tag: "a..b"}, v, "empty"},
		"a bracket":            {"", Keys{Tag: "a[x]"}, v, "no index"},
	} {
		got, err := SetValues([]byte(c.text), c.keys, c.v)
		if err != nil {
			got = []byte(err.Error())
		}
		if err == nil && string(got) != c.want || !strings.Contains(string(got), c.want) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	back, err := ReadValues([]byte("a: {i: 'r:5000/w:2@sha256:1'}"), "e", Keys{Spec: "a.i"})
	if err != nil || back != (Value{Entry: "e", NewName: "r:5000/w", NewTag: "2", Digest: "sha256:1"}) {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestMarkers(t *testing.T) {
	text := `a: 1
image: r/web:1 # {"$imagepolicy": "flux:web"}
---
# {"$imagepolicy": "flux:web"}
x:
- tag: '1' # {"$imagepolicy": "flux:web:tag"}
  name: old # {"$imagepolicy": "flux:web:name"}
  digest: none # {"$imagepolicy": "flux:web:digest"}
  other: r/db:1 # {"$imagepolicy": "flux:db"}
  broken: y # {"$imagepolicy": "flux:web}
`
	v := Value{NewName: "r/web", NewTag: "2"}
	got, err := SetMarkers([]byte(text), "flux:web", v)
	want := strings.NewReplacer("r/web:1", "r/web:2", "'1'", `"2"`, "name: old", "name: r/web").Replace(text)
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if back, found, err := ReadMarkers(got, "flux:web"); err != nil || !found || back.NewTag != "2" ||
		back.NewName != "r/web" {
		t.Errorf("%+v, %v, %v", back, found, err)
	}
	if _, found, _ := ReadMarkers(got, "flux:none"); found {
		t.Error("a policy that nothing names")
	}
}

func TestOverrides(t *testing.T) {
	rule := Rule{Entry: "web", Name: "r/web"}
	v := Value{Entry: "web", NewName: "r/web", NewTag: "2"}
	source := v1alpha1.ApplicationSource{
		Kustomize: &v1alpha1.ApplicationSourceKustomize{Images: []string{"db=r/db:7", "web=r/web:1"}},
		Helm:      &v1alpha1.ApplicationSourceHelm{Parameters: []v1alpha1.HelmParameter{{Name: "x", Value: "y"}}},
	}
	for name, c := range map[string]struct {
		by         Renderer
		text, want string
	}{
		"images of the source are taken along": {ByKustomize, "", "kustomize:\n  images:\n  - db=r/db:7\n  - web=r/web:2\n"},
		"what is in the file counts": {
			ByKustomize, "kustomize: {namePrefix: p, images: ['web=r/web:1']}",
			"kustomize:\n  images:\n  - web=r/web:2\n  namePrefix: p\n",
		},
		"parameters": {
			ByHelm, "",
			"helm:\n  parameters:\n  - name: x\n    value: \"y\"\n  - forceString: true\n    name: image.name\n    value: r/web\n  - forceString: true\n    name: image.tag\n    value: \"2\"\n",
		},
	} {
		got, err := SetOverride([]byte(c.text), c.by, source, rule, v)
		if diff := cmp.Diff(c.want, string(got)); diff != "" || err != nil {
			t.Errorf("%s: %s, %v", name, diff, err)
		}
		back, err := ReadOverride(got, c.by, source, rule)
		if err != nil || back != v {
			t.Errorf("%s: %+v, %v", name, back, err)
		}
		if again, err := SetOverride(got, c.by, source, rule, v); err != nil || string(again) != string(got) {
			t.Errorf("%s: again: %s, %v", name, again, err)
		}
	}
	if _, err := SetOverride(nil, "Directory", source, rule, v); err == nil {
		t.Error("a directory takes images")
	}
}

func FuzzFiles(f *testing.F) {
	for _, text := range []string{
		"", "image: {name: a, tag: 'b'}", "a: &x [1]\nb: *x", "i: x # {\"$imagepolicy\": \"a:b:tag\"}\n---\n- y", "kustomize: {images: [1]}",
		"t: >\n  x\n", "\"t\": \"a\\\"b\" # c",
	} {
		f.Add(text, "t", "2")
	}
	f.Fuzz(func(t *testing.T, text, key, tag string) {
		v := Value{Entry: "web", NewName: "r/web", NewTag: tag}
		for name, set := range map[string]func([]byte) ([]byte, error){
			"values":  func(in []byte) ([]byte, error) { return SetValues(in, Keys{Tag: key}, v) },
			"markers": func(in []byte) ([]byte, error) { return SetMarkers(in, "a:b", v) },
			"override": func(in []byte) ([]byte, error) {
				return SetOverride(in, ByHelm, v1alpha1.ApplicationSource{}, Rule{Entry: "web"}, v)
			},
		} {
			got, err := set([]byte(text))
			if err != nil {
				continue
			}
			if again, err := set(got); err != nil || string(again) != string(got) {
				t.Errorf("%s twice: %v\n%q\n%q\n%q", name, err, text, got, again)
			}
		}
	})
}

// No annotation makes reading fail or take without end.
func FuzzReadUpdater(f *testing.F) {
	f.Add("a=r/a:>=1, <2", "regexp:.*", "secret:a/b#c", "main:{{.AppName}}")
	f.Fuzz(func(_ *testing.T, list, allow, pull, branch string) {
		u := ReadUpdater(annotated("image-list", list, "allow-tags", allow, "pull-secret", pull, "git-branch", branch))
		for _, r := range u.Rules {
			r.Wants(events.ImagePushed{Registry: "r", Repository: "a", Tag: "1.2.3"})
		}
	})
}

func TestSetImage(t *testing.T) {
	v := Value{Entry: "web", NewName: "r/web", NewTag: "2"}
	for name, c := range map[string][2]string{
		"replace": {
			"# top\nimages:\n- name: web # mine\n  newName: r/web\n  newTag: \"1\" # old\nother: x\n",
			"# top\nimages:\n- name: web # mine\n  newName: r/web\n  newTag: \"2\" # old\nother: x\n",
		},
		"add fields": {"images:\n  - name: web\n", "images:\n  - name: web\n    newName: r/web\n    newTag: \"2\"\n"},
		"add entry": {
			"images:\n- name: db\n  newTag: \"1\"\n",
			"images:\n- name: web\n  newName: r/web\n  newTag: \"2\"\n- name: db\n  newTag: \"1\"\n",
		},
		"add list": {"a: 1\n", "a: 1\nimages:\n- name: web\n  newName: r/web\n  newTag: \"2\"\n"},
		"no digest": {
			"images:\n- name: web\n  newName: r/web\n  digest: sha256:1\n",
			"images:\n- name: web\n  newTag: \"2\"\n  newName: r/web\n",
		},
		"unchanged": {
			"images: [{name: web, newName: r/web, newTag: '2'}]\n",
			"images: [{name: web, newName: r/web, newTag: '2'}]\n",
		},
		"flow": {
			"images: [{name: web, newTag: '1'}] # c\n", "images: [{name: web, newName: r/web, newTag: \"2\"}] # c\n",
		},
	} {
		got, err := Set([]byte(c[0]), v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "flow" {
			if back, err := Read(got, "web"); err != nil || back != v {
				t.Errorf("flow: %s", got)
			}
			continue
		}
		if diff := cmp.Diff(c[1], string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Whatever a kustomization looks like: what was set is read back, as text, and other entries stay.
func TestSetImageWhereLinesCannotBeEdited(t *testing.T) {
	v := Value{Entry: "web", NewName: "r/web", NewTag: "2"}
	for name, text := range map[string]string{
		"flow": "images: [{name: web, newTag: '1'}, {name: db, newTag: '7'}] # c\n", "empty": "",
		"only comments": "# c\n", "no list": "images: null\n",
		"a new entry": "# c\nimages: [{name: db, newTag: '7'}]\n", "a list of nothing": "images: []\n",
	} {
		got, err := Set([]byte(text), v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if back, err := Read(got, "web"); err != nil || back != v || strings.Contains(string(got), "newTag: 2") {
			t.Errorf("%s: %+v, %v\n%s", name, back, err, got)
		}
		if db, _ := Read(got, "db"); strings.Contains(text, "db") && db.NewTag != "7" {
			t.Errorf("%s: another entry: %s", name, got)
		}
		if strings.Contains(text, "# c") && !strings.Contains(string(got), "# c") {
			t.Errorf("%s: a comment is lost: %s", name, got)
		}
	}
	for _, text := range []string{"- a\n", "x", "{", "a: b: c", "images: {a: b}"} {
		if got, err := Set([]byte(text), v); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzSetImage(f *testing.F) {
	for _, text := range []string{
		"", "images:\n- name: web\n  newTag: \"1\" # old\n", "images: [{name: web}]", "a: &x 1\nimages: *x",
	} {
		f.Add(text, "2", "")
	}
	f.Fuzz(func(t *testing.T, text, tag, digest string) {
		v := Value{Entry: "web", NewName: "r/web", NewTag: tag, Digest: digest}
		got, err := Set([]byte(text), v)
		if err != nil {
			return
		}
		if again, err := Set(got, v); err != nil || string(again) != string(got) {
			t.Errorf("set twice: %v\n%q\n%q\n%q", err, text, got, again)
		}
	})
}
