package git

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAMirrorThatCouldNotBeMadeIsMadeLater(t *testing.T) {
	o := newOrigin(t)
	o.commit("one", map[string]string{"a": "1"})
	dir := filepath.Join(t.TempDir(), "mirrors")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder is to be
		t.Fatal(err)
	}
	s := &Store{dir: dir, file: true, now: time.Now, all: map[string]*Mirror{}}
	if _, err := s.Mirror(t.Context(), o.url(), Credentials{}); err == nil {
		t.Fatal("it was made in a file")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	m, err := s.Mirror(t.Context(), o.url(), Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Resolve(t.Context(), "main", Want{Since: time.Now()}); err != nil {
		t.Error(err)
	}
}

func TestLocksOfAKilledGitAreTakenAway(t *testing.T) {
	o := newOrigin(t)
	o.commit("one", map[string]string{"a": "1"})
	dir := t.TempDir()
	open := func() *Mirror {
		t.Helper()
		s := &Store{dir: dir, file: true, now: time.Now, all: map[string]*Mirror{}}
		m, err := s.Mirror(t.Context(), o.url(), Credentials{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := open()
	if _, err := first.Resolve(t.Context(), "main", Want{Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"config.lock", "packed-refs.lock", "HEAD.lock", "shallow.lock", "refs/heads/main.lock",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(first.dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(first.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := o.commit("two", map[string]string{"a": "2"})
	got, err := open().Resolve(t.Context(), "main", Want{Since: time.Now().Add(time.Second)})
	if err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}
