package git

import (
	"context"
	"strings"
	"testing"
)

// The process that reads objects ends with the question that is given up, and the next question starts another.
func TestAQuestionThatIsGivenUpEndsItsProcess(t *testing.T) {
	dir := t.TempDir()
	g := command{dir: dir, transport: "file"}
	if _, err := g.run(t.Context(), nil, nil, "init", "--bare", "--quiet"); err != nil {
		t.Fatal(err)
	}
	out, err := g.run(t.Context(), strings.NewReader("text"), nil, "hash-object", "-w", "--stdin")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(out))
	var o objects
	defer o.end()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = o.read(ctx, g, true, []string{id, "nothing"}) // it may have been answered before it was given up
	}
	read, err := o.read(t.Context(), g, true, []string{id, "nothing", id})
	if err != nil || string(read[0].Data) != "text" || read[1].Kind != "" || string(read[2].Data) != "text" {
		t.Errorf("%+v %v", read, err)
	}
	if _, err := o.read(t.Context(), g, false, []string{"a\nb"}); err == nil {
		t.Error("a name with a line break was asked")
	}
}
