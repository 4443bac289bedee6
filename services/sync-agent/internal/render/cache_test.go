package render

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func always([]Stamp) (bool, error) { return true, nil }

func TestCacheForgetsTheOldest(t *testing.T) {
	c := newCache(10)
	made := 0
	get := func(key string) {
		if _, err := c.once(
			t.Context(), key, key, always, func(context.Context) slot { made++; return slot{size: 6} },
		); err != nil {
			t.Fatal(err)
		}
	}
	get("a")
	get("a")
	get("b")
	get("a")
	if made != 3 || c.slots.Len() != 1 || c.used != 6 {
		t.Errorf("made %d, kept %d of %d bytes", made, c.slots.Len(), c.used)
	}
}

func TestFailuresAreForgottenAndCostNothing(t *testing.T) {
	c := newCache(10)
	now := time.Now()
	c.now = func() time.Time { return now }
	made := 0
	get := func(err error) error {
		_, got := c.once(
			t.Context(), "k", "k", always, func(context.Context) slot { made++; return slot{size: 4, err: err} },
		)
		return got
	}
	for range 3 {
		if err := get(ErrSource); !errors.Is(err, ErrSource) {
			t.Fatal(err)
		}
	}
	if made != 1 {
		t.Errorf("a broken tree was made %d times", made)
	}
	for range 5 {
		now = now.Add(failureMemory)
		_ = get(ErrSource)
	}
	if made != 6 || c.used != 4 {
		t.Errorf("made %d times, %d bytes are used", made, c.used)
	}
	now = now.Add(failureMemory)
	if err := get(io.ErrUnexpectedEOF); err == nil || made != 7 {
		t.Errorf("%v, made %d", err, made)
	}
	if err := get(nil); err != nil || made != 8 {
		t.Errorf("a hiccup is remembered: %v, made %d", err, made)
	}
}

func TestOneWhoGivesUpTakesNothingFromOthers(t *testing.T) {
	c := newCache(10)
	begun, end := make(chan struct{}), make(chan struct{})
	work := func(ctx context.Context) slot {
		close(begun)
		<-end
		return slot{result: Manifests{Type: "made"}, err: ctx.Err()}
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan Manifests, 1)
	go func() { _, err := c.once(ctx, "k", "k", always, work); first <- err }()
	<-begun
	go func() { m, _ := c.once(t.Context(), "k", "k", always, work); second <- m }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(end)
	if m := <-second; m.Type != "made" {
		t.Errorf("%+v", m)
	}
}

// The same overlay in two repositories reads what is above it: what one renders to is not what the other does.
func TestATreeThatReachesOutIsOfItsRepository(t *testing.T) {
	r := newRig(t)
	files := func(name string) map[string]string {
		return map[string]string{
			"app/kustomization.yaml":  "resources: [../base]\n",
			"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": cm(name),
		}
	}
	// Folders of the same content have the same id, as in Git.
	one, two := repository(files("one")), repository(files("two"))
	names := make(chan string, 2)
	for _, m := range []*Memory{one, two} {
		in := input(t, m, v1alpha1.ApplicationSource{Path: "app"})
		in.Dir = "same"
		in.Tree = sameFolder{m}
		go func() {
			got, err := r.Render(t.Context(), in)
			if err != nil || len(got.Objects) != 1 {
				t.Errorf("%v", err)
				names <- ""
				return
			}
			names <- got.Objects[0].GetName()
		}()
	}
	got := []string{<-names, <-names}
	slices.Sort(got)
	if strings.Join(got, " ") != "one two" {
		t.Errorf("%v", got)
	}
}

// sameFolder calls the folder app of any repository "same".
type sameFolder struct{ *Memory }

func (s sameFolder) List(ctx context.Context, tree string) (Listing, error) {
	if tree == "same" {
		tree = s.Root + "/app"
	}
	return s.Memory.List(ctx, tree)
}

// monorepo is a repository of overlays over a base, charts and plain folders.
type monorepo map[string]string

func (m monorepo) tree() gitLike {
	return gitLike{repository(m)}
}

// gitLike gives folders ids that are made of their content alone, as Git does.
type gitLike struct{ *Memory }

func (g gitLike) id(dir string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range g.list {
			if rest, ok := below(name, dir); ok && g.list[name].Kind == File && !yield(rest) {
				return
			}
		}
	}) {
		fmt.Fprintf(&out, "%s=%s\n", name, g.list[strings.TrimPrefix(dir+"/"+name, "/")].ID)
	}
	return out.String()
}

func (g gitLike) List(_ context.Context, tree string) (Listing, error) {
	for dir, e := range g.list {
		if e.Kind != Folder || g.id(dir) != tree {
			continue
		}
		out := Listing{}
		for name, e := range g.list {
			if rest, ok := below(name, dir); ok {
				out[rest] = e
			}
		}
		return out, nil
	}
	out := Listing{}
	for name, e := range g.list {
		if e.Kind == Folder {
			e.ID = g.id(name)
		}
		out[name] = e
	}
	return out, nil
}

// A commit that changes what one of many applications reads is rendered once, whatever the kinds.
func TestACommitRendersWhatItChanges(t *testing.T) {
	r := newRig(t)
	repo := monorepo{
		"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": cm("base"),
		"common/kustomization.yaml": "resources: [a.yaml]\n", "common/a.yaml": cm("common"),
		"values/chart.yaml": "x: 1\n", "readme.md": "0",
	}
	const each = 5
	var paths []string
	for i := range each {
		n := fmt.Sprint(i)
		base := "base"
		if i == 0 {
			base = "common"
		}
		repo["k"+n+"/kustomization.yaml"] = "resources: [../" + base + "]\nnamePrefix: p" + n + "-\n"
		repo["d"+n+"/a.yaml"] = cm("d" + n)
		repo["h"+n+"/Chart.yaml"] = "apiVersion: v2\nname: h" + n + "\nversion: 1.0.0\n"
		repo["h"+n+"/templates/a.yaml"] = cm("h{{ .Values.x }}")
		paths = append(paths, "k"+n, "d"+n, "h"+n)
	}
	render := func() int {
		before := r.renders
		g := repo.tree()
		for _, p := range paths {
			in := input(t, g.Memory, v1alpha1.ApplicationSource{Path: p})
			in.Tree, in.Dir, in.Root = g, g.id(p), g.id("")
			in.App.Revision = g.Root
			if strings.HasPrefix(p, "h") {
				in.Source.Helm = &v1alpha1.ApplicationSourceHelm{ValueFiles: []string{"/values/chart.yaml"}}
			}
			if _, err := r.Render(t.Context(), in); err != nil {
				t.Fatalf("%s: %v", p, err)
			}
		}
		return r.renders - before
	}
	if got := render(); got != len(paths) {
		t.Fatalf("the first commit was rendered %d times", got)
	}
	for _, c := range []struct {
		file, text string
		want       int
	}{
		{"readme.md", "1", 0},
		{"d1/a.yaml", cm("changed"), 1},
		{"common/a.yaml", cm("changed"), 1},
		{"common/unused.yaml", "x", 1}, // which names a folder has is read with it
		{"base/a.yaml", cm("changed"), each - 1},
		{"values/chart.yaml", "x: 2\n", each},
		{"values/other.yaml", "x: 2\n", 0},
		{"readme.md", "2", 0},
	} {
		repo[c.file] = c.text
		if got := render(); got > c.want || (c.want != 1 && got != c.want) {
			t.Errorf("after a change of %s %d of %d were rendered, want %d", c.file, got, len(paths), c.want)
		}
	}
}

func TestFreshRendersAgain(t *testing.T) {
	r := newRig(t)
	in := input(t, repository(map[string]string{"app/a.yaml": cm("a")}), v1alpha1.ApplicationSource{Path: "app"})
	for range 2 {
		if _, err := r.Render(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	in.Fresh = true
	if _, err := r.Render(t.Context(), in); err != nil || r.renders != 2 {
		t.Errorf("%d renders, %v", r.renders, err)
	}
}
