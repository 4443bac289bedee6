package hydration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func spec(path string) v1alpha1.SourceHydrator {
	return v1alpha1.SourceHydrator{
		DrySource: v1alpha1.DrySource{
			RepoURL: "https://git.example.org/team/dry.git", TargetRevision: "main", Path: "apps/" + path,
		},
		SyncSource: v1alpha1.SyncSource{TargetBranch: "env/prod", Path: path},
	}
}

func app(name, path string, change ...func(*App)) App {
	a := App{Name: "argocd/" + name, UID: name, Project: "team", Created: now, Spec: spec(path)}
	for _, c := range change {
		c(&a)
	}
	return a
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.SourceHydrator)
		want   string
	}{
		"whole":              {func(*v1alpha1.SourceHydrator) {}, ""},
		"another repository": {func(s *v1alpha1.SourceHydrator) { s.SyncSource.RepoURL = "https://x/y" }, ""},
		"no repository": {
			func(s *v1alpha1.SourceHydrator) { s.DrySource.RepoURL = "" }, "drySource.repoURL is missing",
		},
		"no branch": {
			func(s *v1alpha1.SourceHydrator) { s.SyncSource.TargetBranch = "" }, "targetBranch is missing",
		},
		"no path": {
			func(s *v1alpha1.SourceHydrator) { s.SyncSource.Path = "" }, "is the root of the branch",
		},
		"the root": {
			func(s *v1alpha1.SourceHydrator) { s.SyncSource.Path = "./" }, "is the root of the branch",
		},
		"out of the root": {
			func(s *v1alpha1.SourceHydrator) { s.SyncSource.Path = "../.." }, "is the root of the branch",
		},
		"an artifact": {
			func(s *v1alpha1.SourceHydrator) { s.DrySource.RepoURL = "oci://x/y" }, "is not Git",
		},
		"a staging without name": {
			func(s *v1alpha1.SourceHydrator) { s.HydrateTo = &v1alpha1.HydrateTo{} }, "hydrateTo.targetBranch",
		},
	} {
		s := spec("web")
		c.change(&s)
		err := Check(s)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestBranchOf(t *testing.T) {
	s := spec("web")
	if got, want := BranchOf(s), (Branch{"git.example.org/team/dry", "env/prod"}); got != want {
		t.Errorf("%+v", got)
	}
	s.SyncSource.RepoURL, s.HydrateTo = "git@git.example.org:team/wet.git", &v1alpha1.HydrateTo{
		TargetBranch: "refs/heads/next",
	}
	if got, want := BranchOf(s), (Branch{"git.example.org/team/wet", "next"}); got != want {
		t.Errorf("%+v", got)
	}
	if got := SyncSource(s); got.TargetRevision != "env/prod" || got.RepoURL != s.SyncSource.RepoURL ||
		got.Path != "web" {
		t.Errorf("applied is %+v", got)
	}
}

func TestBatches(t *testing.T) {
	other := func(a *App) { a.Spec.DrySource.TargetRevision = "next" }
	batches, refused := Batches([]App{
		app("b", "b"), app("a", "a"), app("c", "c", other),
		app("denied", "d", func(a *App) { a.Problem = "no" }),
		app("late", "./a/", func(a *App) { a.Created = now.Add(time.Second); a.Project = "theirs" }),
		app("theirs", "e", func(a *App) { a.Project = "theirs" }),
		app("spelled", "f", func(a *App) { a.Spec.DrySource.RepoURL = "ssh://git@git.example.org/team/dry" }),
	})
	var got []string
	for _, b := range batches {
		line := b.Project + " " + b.Revision + ":"
		for _, a := range b.Apps {
			line += " " + a.UID
		}
		got = append(got, line)
	}
	for _, a := range refused {
		got = append(got, a.UID+": "+a.Problem)
	}
	want := []string{
		"team main: a b spelled", "team next: c", "theirs main: theirs", "denied: no",
		`late: spec.sourceHydrator.syncSource.path "./a/" is where application argocd/a is written, in the same branch; name another one`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecide(t *testing.T) {
	op := func(phase string, change ...func(*v1alpha1.HydrateOperation)) func(*App) {
		return func(a *App) {
			o := &v1alpha1.HydrateOperation{
				Phase: phase, DrySHA: "dry", SourceHydrator: spec("a"), StartedAt: stamp(now), FinishedAt: stamp(now),
			}
			for _, c := range change {
				c(o)
			}
			a.Status = &v1alpha1.SourceHydratorStatus{CurrentOperation: o}
		}
	}
	at := now.Add(time.Minute)
	for name, c := range map[string]struct {
		apps    []App
		hydrate bool
		wake    time.Time
	}{
		"never was": {[]App{app("a", "a")}, true, time.Time{}},
		"is":        {[]App{app("a", "a", op(Hydrated))}, false, time.Time{}},
		"another commit": {
			[]App{app("a", "a", op(Hydrated, func(o *v1alpha1.HydrateOperation) { o.DrySHA = "x" }))}, true,
			time.Time{},
		},
		"another spec": {[]App{app("a", "b", op(Hydrated))}, true, time.Time{}},
		"asked for":    {[]App{app("a", "a", op(Hydrated), func(a *App) { a.Asked = true })}, true, time.Time{}},
		"left at work": {
			[]App{app("a", "a", op(Hydrating, func(o *v1alpha1.HydrateOperation) { o.FinishedAt = nil }))}, true,
			time.Time{},
		},
		"failed just now": {[]App{app("a", "a", op(Failed))}, false, now.Add(2 * time.Minute)},
		"failed long ago": {
			[]App{app("a", "a", op(Failed,
				func(o *v1alpha1.HydrateOperation) { o.FinishedAt = stamp(now.Add(-time.Minute)) }))}, true,
			time.Time{},
		},
		"one of two never": {[]App{app("a", "a", op(Hydrated)), app("b", "b")}, true, time.Time{}},
		"one of two waits": {
			[]App{app("a", "a", op(Hydrated)), app("b", "a", op(Failed))}, false, now.Add(2 * time.Minute),
		},
		"a word of somebody": {[]App{app("a", "a", op("Whatever"))}, true, time.Time{}},
	} {
		got := Batch{Apps: c.apps}.Decide("dry", at)
		if got.Hydrate != c.hydrate || !got.Wake.Equal(c.wake) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What was decided and reported decides nothing more.
func TestStatuses(t *testing.T) {
	a := app("a", "a", func(a *App) { a.Asked = true })
	b := Batch{Apps: []App{a}}
	a.Status, a.Asked = a.Begun("dry", now), false
	if b.Apps[0] = a; !b.Decide("dry", now).Hydrate {
		t.Error("what was begun is not finished")
	}
	a.Status = a.Refused("dry", "no", now, now)
	if again := a.Refused("dry", "no", now, now.Add(time.Minute)); !cmp.Equal(again, a.Status) {
		t.Errorf("the same failure is told anew: %+v", again.CurrentOperation)
	}
	if later := a.Refused("dry", "no", now, now.Add(3*time.Minute)); cmp.Equal(later, a.Status) {
		t.Error("a second try is not told")
	}
	a.Status = a.Ended("dry", "wet", now, now.Add(time.Second))
	if b.Apps[0] = a; b.Decide("dry", now).Hydrate {
		t.Error("it is hydrated again")
	}
	text, _ := json.Marshal(a.Status)
	for _, part := range []string{
		`"currentOperation":{"startedAt":"2030-01-01T12:00:00Z","finishedAt":"2030-01-01T12:00:01Z","phase":"Hydrated","message":"","drySHA":"dry","hydratedSHA":"wet"`,
		`"lastSuccessfulOperation":{"drySHA":"dry","hydratedSHA":"wet"`, `"lastComparedDryRevision":"dry"`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s lacks %s", text, part)
		}
	}
	a.Status = a.Refused("next", "no", now, now)
	if s := a.Status; s.LastSuccessfulOperation.HydratedSHA != "wet" || s.CurrentOperation.Message != "no" {
		t.Errorf("%+v", s)
	}
	failed := map[string]string{"argocd/a": "no"}
	if got := Failure(a, failed); got != "no" {
		t.Error(got)
	}
	if got := Failure(
		app("b", "b"), failed,
	); got != "not hydrated, since application argocd/a of the same commit and branch cannot be" {
		t.Error(got)
	}
}

func TestFiles(t *testing.T) {
	d := Dry{
		Repository: "https://git.example.org/team/dry.git", SHA: strings.Repeat("ab", 20),
		Author: "A <a@example.org>", Date: now,
		Message: "bump web\n\nwhy\nArgosy-Correlation-Id: c\n\nArgocd-reference-commit-sha: 123\n" +
			"Argocd-reference-commit-body: \"two\\nlines\"\nArgocd-reference-commit-date: yesterday\n",
	}
	f, err := NewFolder(app("a", "a"), []map[string]any{{"kind": "B"}, {"kind": "A"}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(d, []Folder{f})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(files["a/manifest.yaml"]); got != "---\nkind: B\n---\nkind: A\n" {
		t.Errorf("manifests:\n%s", got)
	}
	var m Metadata
	if err := json.Unmarshal(files["hydrator.metadata"], &m); err != nil {
		t.Fatal(err)
	}
	want := Metadata{
		RepoURL: d.Repository, DrySHA: d.SHA, Author: d.Author, Date: "2030-01-01T12:00:00Z", Subject: "bump web",
		Body: "why\n\nArgocd-reference-commit-sha: 123\n" +
			"Argocd-reference-commit-body: \"two\\nlines\"\nArgocd-reference-commit-date: yesterday",
		References: []Reference{{&ReferencedCommit{SHA: "123", Body: "two\nlines"}}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	if len(files) != 4 || !strings.Contains(string(files["a/hydrator.metadata"]), d.SHA) {
		t.Errorf("%d files, %s", len(files), files["a/hydrator.metadata"])
	}
	message := d.CommitMessage("Argosy-Key: k\n")
	if !strings.HasPrefix(message, "abababa: bump web\n\nwhy\n") || strings.Contains(message, "Correlation") ||
		!strings.HasSuffix(message, "\n\nCo-authored-by: A <a@example.org>\nArgosy-Key: k\n") {
		t.Errorf("message:\n%s", message)
	}
	if got := string(d.Note()); got != `{"drySha":"`+d.SHA+`"}` {
		t.Error(got)
	}
	if _, err := NewFolder(app("a", "a"), []map[string]any{
		{"data": map[string]any{"p": "ENC[AES256_GCM,data:x]"}},
	}); !errors.Is(err, ErrSealed) {
		t.Errorf("a secret: %v", err)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add("a\n\nArgocd-reference-commit-body: \"x\"")
	f.Add("\n\n: \nArgosy-Key: x")
	f.Fuzz(func(t *testing.T, text string) {
		d := Dry{SHA: "abc", Message: text}
		if strings.Contains(strings.Join(strings.Split(d.CommitMessage(""), "\n")[1:], "\n"), "\nArgosy-") {
			t.Errorf("%q continues a chain that is not its own: %q", text, d.CommitMessage(""))
		}
		if _, err := json.Marshal(d.Metadata()); err != nil {
			t.Error(err)
		}
	})
}
