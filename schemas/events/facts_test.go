package events

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// filled is a body with a value in each field.
func filled(b Body) Body {
	v := reflect.New(reflect.TypeOf(b)).Elem()
	for f, field := range fields(v) {
		switch field.Interface().(type) {
		case int:
			field.SetInt(7)
		case time.Time:
			field.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)))
		default:
			field.SetString("the " + f.name + f.role)
		}
	}
	out, _ := reflect.TypeAssert[Body](v)
	return out
}

// again reads a fact as the type of a body.
func again(f Fact, b Body) (Body, error) {
	switch b.(type) {
	case TriggerFired:
		return ReadFact[TriggerFired](f)
	case StepFinished:
		return ReadFact[StepFinished](f)
	case ApplicationSynced:
		return ReadFact[ApplicationSynced](f)
	case RolloutWeighted:
		return ReadFact[RolloutWeighted](f)
	case AnalysisFinished:
		return ReadFact[AnalysisFinished](f)
	}
	return nil, nil
}

func TestWhatAFactSaysIsRead(t *testing.T) {
	about := Object{APIVersion: "argoproj.io/v1alpha1", Kind: "X", Namespace: "ns", Name: "x", UID: "u"}
	read := 0
	for _, bodies := range Bodies {
		for _, b := range bodies {
			want := filled(b)
			f := NewFact(about, want)
			if f.Object != about {
				t.Errorf("%s: about %+v", b.Fact(), f.Object)
			}
			got, err := again(f, b)
			if got == nil {
				continue
			}
			read++
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v %s", b.Fact(), err, diff)
			}
		}
	}
	if read != 5 {
		t.Errorf("%d kinds were read", read)
	}
}

func TestFactsLeaveOutWhatIsNotKnown(t *testing.T) {
	if f := NewFact(Object{}, RolloutWeighted{Weight: "20"}); !cmp.Equal(
		f.Attributes, map[string]string{"weight": "20"},
	) {
		t.Errorf("%+v", f)
	}
	if f := NewFact(Object{}, ApplicationSynced{}); f.Attributes["resources"] != "0" {
		t.Errorf("no objects are a number, too: %+v", f)
	}
	if f := NewFact(Object{}, WorkflowStarted{}); f.Attributes != nil {
		t.Errorf("%+v", f)
	}
}

func TestAFactThatCannotBeReadNamesWhatIsWrong(t *testing.T) {
	f := Fact{
		Object:     Object{Kind: "Application", Namespace: "ns", Name: "a"},
		Attributes: map[string]string{"resources": "many"},
	}
	if _, err := ReadFact[ApplicationSynced](f); err == nil ||
		!strings.Contains(err.Error(), "Application ns/a: resources") {
		t.Error(err)
	}
}

// Each fact is in the contract with all that it says, and each constant has a body.
func TestFactsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for service, bodies := range Bodies {
		for _, b := range bodies {
			told = append(told, b.Fact())
			row := "| " + service + " | `" + b.Fact() + "` |"
			for f := range fields(reflect.ValueOf(b)) {
				if f.name != "" {
					row += " `" + f.name + "`"
				}
			}
			if !strings.Contains(string(text), row+" |\n") {
				t.Errorf("docs/contracts.md lacks the row %q", row+" |")
			}
		}
	}
	names, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(names), "\n") {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if ok && strings.HasPrefix(name, "Fact") && !slices.Contains(told, strings.Trim(value, `"`)) {
			t.Errorf("nobody tells %s", value)
		}
	}
}
