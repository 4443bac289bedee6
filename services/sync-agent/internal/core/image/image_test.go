package image

import (
	"strings"
	"testing"

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
