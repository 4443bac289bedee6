package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func open(t *testing.T, dir string, budget int64) *Log {
	t.Helper()
	l, err := Open(dir, budget)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func drain(t *testing.T, l *Log) []string {
	t.Helper()
	var got []string
	for {
		record, err := l.First()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(record))
		if err := l.Done(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, 1<<20)
	for i := range 5 {
		if err := l.Append(fmt.Appendf(nil, "r%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Done(); err != nil {
		t.Fatal(err)
	}
	// No Close: the process was killed.
	again := open(t, dir, 1<<20)
	if again.Len() != 4 {
		t.Fatalf("%d open, want 4", again.Len())
	}
	if got := fmt.Sprint(drain(t, again)); got != "[r1 r2 r3 r4]" {
		t.Fatal(got)
	}
	if err := again.Append([]byte("r5")); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(drain(t, open(t, dir, 1<<20))); got != "[r5]" {
		t.Fatal(got)
	}
}

func TestAnUnfinishedRecordIsCutOff(t *testing.T) {
	for _, cut := range []int64{1, 5, 9} {
		dir := t.TempDir()
		l := open(t, dir, 1<<20)
		for _, r := range []string{"good", "torn"} {
			if err := l.Append([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "records")
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir, 1<<20)
		if err := again.Append([]byte("next")); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(drain(t, again)); got != "[good next]" {
			t.Errorf("cut %d: %s", cut, got)
		}
	}
}

func TestBudgetIsKept(t *testing.T) {
	l := open(t, t.TempDir(), 100)
	big := bytes.Repeat([]byte("x"), 60)
	if err := l.Append(big); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(big); !errors.Is(err, ErrFull) {
		t.Fatalf("got %v", err)
	}
	if err := l.Done(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(big); err != nil {
		t.Fatalf("after draining: %v", err)
	}
}

func TestWritersAndAReaderTogether(t *testing.T) {
	l := open(t, t.TempDir(), 1<<20)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 25 {
				if err := l.Append(fmt.Appendf(nil, "%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if got := len(drain(t, l)); got != 100 || l.Len() != 0 {
		t.Fatalf("%d records", got)
	}
}

func TestWhatIsSetAsideHasABudgetOfItsOwn(t *testing.T) {
	l := open(t, t.TempDir(), 400)
	for i := range 4 {
		if _, err := l.SetAside(fmt.Sprintf("%d.json", i), bytes.Repeat([]byte("x"), 40)); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Aside(); len(got) != 2 || filepath.Base(got[1]) != "3.json" {
		t.Errorf("%v: the newest two have room", got)
	}
	if _, err := l.SetAside("large", make([]byte, 101)); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	if got := open(t, t.TempDir(), 400).Aside(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestRecordsBehindTheOldestCanBeRead(t *testing.T) {
	l := open(t, t.TempDir(), 1<<20)
	for i := range 3 {
		if err := l.Append(fmt.Appendf(nil, "r%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int]string{0: "r0", 2: "r2", 3: "", -1: ""} {
		if got, err := l.At(n); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%d: %q, %v", n, got, err)
		}
	}
}

func TestWhatIsDamagedIsSetAside(t *testing.T) {
	for name, c := range map[string]struct {
		harm  func(raw []byte) []byte
		left  int
		aside int
	}{
		"a record in the middle": {func(raw []byte) []byte { raw[2*(header+2)+header] ^= 0xff; return raw }, 2, 1},
		"the last one":           {func(raw []byte) []byte { raw[len(raw)-1] ^= 0xff; return raw }, 3, 1},
		"one that was cut off":   {func(raw []byte) []byte { return raw[:len(raw)-1] }, 3, 0},
		"a header cut off":       {func(raw []byte) []byte { return append(raw, 0, 0) }, 4, 0},
	} {
		dir := t.TempDir()
		l := open(t, dir, 1<<20)
		for i := range 4 {
			if err := l.Append(fmt.Appendf(nil, "r%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "records")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c.harm(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir, 1<<20)
		if again.Len() != c.left || len(again.Aside()) != c.aside {
			t.Errorf("%s: %d records, %v set aside", name, again.Len(), again.Aside())
		}
	}
}
