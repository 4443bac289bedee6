package sensing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"sigs.k8s.io/yaml"
)

// tckCase is a case of the conformance kit of the CloudEvents SQL specification.
type tckCase struct {
	Name, Expression, Error string
	Result                  any
	Event, EventOverrides   map[string]any
}

// event is what a Sensor knows of the case's event: every attribute is text, as it
// is in the headers of a message.
func (c tckCase) event() Event {
	e := Event{
		ID: "full-event", Type: "com.example.FullEvent", Source: "http://example.com/source", Subject: "topic",
		Extensions: map[string]string{},
	}
	attributes := c.EventOverrides
	if c.Event != nil {
		e, attributes = Event{Extensions: map[string]string{}}, c.Event
	}
	for name, value := range attributes {
		text := fmt.Sprint(value)
		switch name {
		case "id":
			e.ID = text
		case "type":
			e.Type = text
		case "source":
			e.Source = text
		case "subject":
			e.Subject = text
		case "time":
			// The kit's YAML holds it as text; one that is no time stays zero, and is seen as missing.
			e.Time, _ = time.Parse(time.RFC3339Nano, text)
		case "specversion", "data":
		default:
			e.Extensions[name] = text
		}
	}
	return e
}

// literal writes a result of the kit in SQL.
func literal(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.Itoa(int(v))
	case bool:
		return strconv.FormatBool(v)
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(fmt.Sprint(v)) + "'"
}

// holds says whether a Sensor takes the event by this filter.
func holds(t *testing.T, sql string, e Event) (bool, error) {
	t.Helper()
	filter, err := compileDialects([]v1alpha1.CloudEventsFilter{{SQL: sql}})
	if err != nil {
		return false, err
	}
	return filter(e, World{}) == nil, nil
}

func tckFiles(t *testing.T) []string {
	t.Helper()
	module, err := exec.CommandContext(
		t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cloudevents/sdk-go/sql/v2",
	).Output()
	if err != nil {
		t.Fatalf("find the module that holds the kit: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(module)), "test", "tck", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file of the kit in %s: %v", module, err)
	}
	return files
}

// TestEveryCaseOfTheSQLKitHoldsAsAFilter reads the kit (tck) of the specification. A
// filter knows yes and no, so a result of another type is compared in SQL.
func TestEveryCaseOfTheSQLKitHoldsAsAFilter(t *testing.T) {
	count := 0
	for _, path := range tckFiles(t) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Tests []tckCase }
		if err := yaml.Unmarshal(raw, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, c := range file.Tests {
			count++
			t.Run(filepath.Base(path)+"/"+c.Name, c.check)
		}
	}
	if count < 275 {
		t.Errorf("only %d cases were found", count)
	}
}

func (c tckCase) check(t *testing.T) {
	got, err := holds(t, c.Expression, c.event())
	if (err != nil) != (c.Error == "parse") {
		t.Fatalf("%s: compiles with %v; the kit says %q", c.Expression, err, c.Error)
	}
	if c.Error != "" {
		if got {
			t.Errorf("%s holds; the kit says it is an error of %s", c.Expression, c.Error)
		}
		return
	}
	if want, isBool := c.Result.(bool); isBool && got != want {
		t.Errorf("%s: %v, want %v", c.Expression, got, want)
	}
	for operator, want := range map[string]bool{"=": true, "!=": false} {
		compared := fmt.Sprintf("(%s) %s %s", c.Expression, operator, literal(c.Result))
		if same, err := holds(t, compared, c.event()); err != nil || same != want {
			t.Errorf("%s: %v, %v", compared, same, err)
		}
	}
}
