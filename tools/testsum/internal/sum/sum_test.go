package sum

import (
	"errors"
	"strings"
	"testing"
)

const story = `{"Action":"start","Package":"x/a"}
{"Action":"run","Package":"x/a","Test":"TestGood"}
{"Action":"output","Package":"x/a","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"x/a","Test":"TestGood"}
{"Action":"run","Package":"x/a","Test":"TestTable"}
{"Action":"run","Package":"x/a","Test":"TestTable/one"}
{"Action":"run","Package":"x/a","Test":"TestTable/two"}
{"Action":"output","Package":"x/a","Test":"TestTable/two","Output":"    a_test.go:3: two is wrong\n"}
{"Action":"pass","Package":"x/a","Test":"TestTable/one"}
{"Action":"fail","Package":"x/a","Test":"TestTable/two"}
{"Action":"output","Package":"x/a","Test":"TestTable","Output":"--- FAIL: TestTable (0.00s)\n"}
{"Action":"fail","Package":"x/a","Test":"TestTable"}
{"Action":"run","Package":"x/a","Test":"TestLater"}
{"Action":"output","Package":"x/a","Test":"TestLater","Output":"    a_test.go:9: needs root\n"}
{"Action":"skip","Package":"x/a","Test":"TestLater"}
{"Action":"fail","Package":"x/a"}
{"ImportPath":"x/b [x/b.test]","Action":"build-output","Output":"b.go:1: undefined: y\n"}
{"Action":"fail","Package":"x/b","FailedBuild":"x/b [x/b.test]"}
{"Action":"run","Package":"x/c","Test":"TestHangs"}
{"Action":"output","Package":"x/c","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"x/c"}
{"Action":"output","Package":"x/d","Output":"?   \tx/d\t[no test files]\n"}
{"Action":"skip","Package":"x/d"}
`

func TestEveryWayToFailCountsOnce(t *testing.T) {
	var out strings.Builder
	total := New(&out)
	if err := total.Read(strings.NewReader(story)); err != nil {
		t.Fatal(err)
	}
	total.Broken("tools/gone", errors.New("no go.mod"))
	if code := total.End(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	got := out.String()
	if !strings.HasSuffix(got, "\n2 passed, 4 failed, 1 skipped\n") {
		t.Errorf("the last line of:\n%s", got)
	}
	for _, want := range []string{"two is wrong", "undefined: y", "test timed out", "needs root", "no go.mod"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "chatter") {
		t.Errorf("what a good test printed is in:\n%s", got)
	}
}

func TestTotalsAddUp(t *testing.T) {
	var out, aside strings.Builder
	total := New(&out)
	for range 2 {
		part := New(&aside)
		if err := part.Read(strings.NewReader(story)); err != nil {
			t.Fatal(err)
		}
		total.Add(part)
	}
	if code := total.End(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"4 passed, 6 failed, 2 skipped", "x/a TestLater, x/a TestLater: ", "failed: x/a TestTable/two\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "two is wrong") {
		t.Error("what tests printed is printed twice")
	}
}

func TestNothingTestedIsNoSuccess(t *testing.T) {
	if New(&strings.Builder{}).End() != 1 {
		t.Error("it is")
	}
}

func TestSuccess(t *testing.T) {
	var out strings.Builder
	total := New(&out)
	in := `{"Action":"run","Package":"x/a","Test":"TestGood"}` + "\n" + `{"Action":"pass","Package":"x/a","Test":"TestGood"}` + "\n" + `{"Action":"pass","Package":"x/a"}`
	if err := total.Read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	if code := total.End(); code != 0 || !strings.HasSuffix(out.String(), "1 passed, 0 failed\n") {
		t.Errorf("%d: %s", code, out.String())
	}
}
