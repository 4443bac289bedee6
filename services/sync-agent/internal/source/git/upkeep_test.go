package git

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMirrorsKeepWithinTheirQuota(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	s := &Store{dir: dir, file: true, now: func() time.Time { return now }, all: map[string]*Mirror{}}
	u := NewUpkeep(s, 0, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	var origins []*origin
	use := func(n int) {
		t.Helper()
		m, err := s.Mirror(t.Context(), origins[n].url(), Credentials{})
		if err != nil {
			t.Fatal(err)
		}
		commit, err := m.Resolve(t.Context(), "main", Want{Since: now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Describe(t.Context(), commit, ""); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 { return int64(testutil.ToFloat64(u.bytes)) }
	for n := range 3 {
		o := newOrigin(t)
		o.commit("one", map[string]string{"a": strings.Repeat(fmt.Sprint(n), 10_000)})
		origins = append(origins, o)
		use(n)
		now = now.Add(time.Hour)
	}
	for name, content := range map[string]string{"of-an-earlier-process/x": "1234", "removed-before/x": "1"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	use(0) // the first is the one that was used last
	once := func() error { t.Helper(); return u.Once(t.Context()) }
	if err := once(); err != nil || size() == 0 || testutil.ToFloat64(u.removed) != 0 {
		t.Fatalf("without a quota: %v, %d bytes", err, size())
	}
	all := size()
	u.Quota = all - 1
	if err := once(); err != nil || size() != all-4 {
		t.Fatalf("a byte over: %v, %d bytes of %d: the folder that nobody used goes alone", err, size(), all)
	}
	u.Quota = (all - 4) / 2
	if err := once(); err != nil || testutil.ToFloat64(u.removed) != 3 {
		t.Fatalf("half: %v, %v removed", err, testutil.ToFloat64(u.removed))
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("left %v, %v", left, err)
	}
	u.Quota = 1
	if err := once(); err == nil || !strings.Contains(err.Error(), "raise --mirror-quota") {
		t.Errorf("what is in use is not said to be over the quota: %v", err)
	}
	for n := range origins {
		use(n) // those that went are made anew
	}
}

func TestPacksBecomeOne(t *testing.T) {
	o := newOrigin(t)
	m := mirror(t, o)
	last := ""
	for n := range manyPacks + 2 {
		want := o.commit("next", map[string]string{"a": fmt.Sprint(n)})
		got, err := m.Resolve(t.Context(), "main", Want{SHA: want, Since: time.Now().Add(time.Hour)})
		if err != nil || got != want {
			t.Fatalf("%s, %v, want %s", got, err, want)
		}
		// What each fetch brings is a pack where it is larger than a few objects; here they are made to be.
		if _, err := m.run(t.Context(), nil, nil, "repack", "--quiet"); err != nil {
			t.Fatal(err)
		}
		last = want
	}
	packs := func() int {
		found, err := filepath.Glob(filepath.Join(m.dir, "objects/pack/*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if n := packs(); n <= manyPacks {
		t.Fatalf("%d packs before", n)
	}
	if err := m.compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := packs(); n > 2 {
		t.Errorf("%d packs after", n)
	}
	if _, err := m.Describe(t.Context(), last, ""); err != nil {
		t.Error(err)
	}
	want := o.commit("more", map[string]string{"b": "1"})
	if got, err := m.Resolve(
		t.Context(),
		"main",
		Want{SHA: want, Since: time.Now().Add(time.Hour)},
	); err != nil ||
		got != want {
		t.Errorf("%s, %v", got, err)
	}
}
