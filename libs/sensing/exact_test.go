package sensing

import (
	"fmt"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// Quoted text is text, and numbers are what they are written as.
func TestExpressionsTakeTextAndNumbersAsTheyAre(t *testing.T) {
	const data = `{"tag":"2024-01-15","day":"2024-01-15T10:00","time":"3:04PM","id":9007199254740993,"same":9007199254740993,"less":9007199254740992,` +
		`"neg":-9007199254740993,"price":1.10,"ids":[9007199254740992,5],"unix":1705276800,"text":"a'b\"c","back":"a\\b","flag":true,"long":0.12345678901234567891,"n":5}`
	for expr, want := range map[string]string{
		`tag == '2024-01-15'`: "true", `tag == "2024-01-15"`: "true", `tag != '2024-01-15'`: "false",
		`tag == '2024-01-16'`:       "false",
		`day == '2024-01-15T10:00'`: "true", `time == '3:04PM'`: "true", `tag < '2024-02-01'`: "true",
		`tag >= '2024-01-15'`: "true",
		`tag =~ '2024-01-15'`: "true", `tag =~ '^2024-[0-9]+'`: "true", `tag !~ '2025'`: "true",
		`tag =~ '^2025'`:                      "false",
		`tag in ('2024-01-14', '2024-01-15')`: "true", `'2024-01-15' == tag && flag`: "true",
		`tag + '-x' == '2024-01-15-x'`: "true",
		`[tag] == '2024-01-15'`:        "true", `text == 'a\'b\"c'`: "true", `back == 'a\\b'`: "true",
		`tag == ''`:              "false",
		`id == 9007199254740993`: "true", `id == 9007199254740992`: "false", `id != 9007199254740992`: "true",
		`id == same`: "true", `id == less`: "false",
		`id > less`: "true", `id > 9007199254740992`: "true", `id >= 9007199254740994`: "false",
		`less in (9007199254740993, 1)`: "false", `id in (9007199254740993, 1)`: "true",
		`less in ids`: "true", `id in ids`: "false", `n in ids`: "true", `neg < less`: "true", `price == 1.1`: "true",
		`price > 1.09 && id > 5`: "true",
		`n + 1 == 6`:             "true", `n * 2 > 9 && n < 6`: "true", `n == 5 ? flag : false`: "true",
		`-n == -5`:                      "true",
		`long > 0.12345678901234567890`: "true",
		`unix == unix`:                  "true", `unix > '2024-01-01'`: "true", `unix < '2024-01-01'`: "false",
		`id > 0x10`:    "true",
		`!flag`:        "false",
		`tag == 'open`: "error", `tag ==`: "error", `id == `: "error", `tag > 5`: "error", `tag =~ '['`: "error",
	} {
		f := v1alpha1.ExprFilter{Expr: expr}
		for _, name := range []string{
			"tag", "day", "time", "id", "same", "less", "neg", "price", "ids", "unix", "text", "back", "flag", "long",
			"n",
		} {
			f.Fields = append(f.Fields, v1alpha1.PayloadField{Name: name, Path: name})
		}
		got := "error"
		if c, err := compileExpr(f); err == nil {
			err := c(Event{Data: []byte(data)}, World{})
			if !isWrong(err) {
				got = fmt.Sprint(err == nil)
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}

func FuzzExpressions(f *testing.F) {
	for _, s := range []string{
		`a == '2024-01-15'`, `a =~ "x" || [b c] in (1, 9007199254740993)`, `'\\'`, `a ? 1 : -2`, `0x1f ** 2`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 {
			t.Skip()
		}
		c, err := compileExpr(v1alpha1.ExprFilter{Expr: text, Fields: []v1alpha1.PayloadField{{Name: "a", Path: "a"}}})
		if err == nil {
			_ = c(Event{Data: []byte(`{"a":9007199254740993}`)}, World{})
		}
	})
}

// What a transform does not touch comes out as it went in.
func TestTransformsKeepNumbersAndNulls(t *testing.T) {
	const body = `{"id":9007199254740993,"other":9007199254740992,"big":1234567890123456789,"huge":123456789012345678901234567890,"price":1.50,"exp":1e400,` +
		`"list":[1,null,3],"ends":[null,1,null],"nothing":[null],"empty":[],"none":{},"gone":null,"deep":[{"x":null,"y":[null,{"z":10000000000000001}]}],"neg":-0.0,"whole":12345678}`
	keep := `{"body":` + body + `}`
	for name, c := range map[string]struct{ transform, want string }{
		"lua": {`script: return event`, keep},
		"jq":  {`jq: .`, keep},
		"lua, a copy": {
			`script: "local out = {} out.id = event.body.id out.big = event.body.big out.price = event.body.price return out"`,
			`{"id":9007199254740993,"big":1234567890123456789,"price":1.50}`,
		},
		"jq, a copy": {
			`jq: "{id: .body.id, big: .body.big, list: .body.list}"`,
			`{"id":9007199254740993,"big":1234567890123456789,"list":[1,null,3]}`,
		},
		"lua, a sum": {
			`script: "return {sum = event.body.whole + 1, half = event.body.price / 3}"`, `{"sum":12345679,"half":0.5}`,
		},
		"jq, a sum": {
			`jq: "{sum: (.body.whole + 1), big: (.body.big + 1)}"`, `{"sum":12345679,"big":1234567890123456790}`,
		},
		"lua, a list": {
			`script: "table.insert(event.body.list, 4) return {list = event.body.list, empty = event.body.empty}"`,
			`{"list":[1,3,4],"empty":[]}`,
		},
		"lua sees no null": {
			`script: "return {gone = event.body.gone == nil, n = #event.body.list}"`, `{"gone":true,"n":2}`,
		},
		"lua sets a null": {`script: "event.body.gone = 5 return {gone = event.body.gone}"`, `{"gone":5}`},
	} {
		tr := &v1alpha1.EventDependencyTransformer{}
		if err := yaml.Unmarshal([]byte(c.transform), tr); err != nil {
			t.Fatal(err)
		}
		compiled, err := compileTransform(tr)
		if err != nil {
			t.Fatal(err)
		}
		e, err := compiled.apply(Event{Data: []byte(keep)}, limitsOf(World{}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(textual(t, c.want), textual(t, string(e.Data))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func textual(t *testing.T, text string) map[string]any {
	t.Helper()
	m, err := objectOf([]byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

func TestDataFiltersCompareNumbersExactly(t *testing.T) {
	for _, c := range []struct {
		comparator, value, data string
		want                    bool
	}{
		{"=", "9007199254740992", `{"n":9007199254740993}`, false},
		{"=", "9007199254740993", `{"n":9007199254740993}`, true},
		{"!=", "9007199254740992", `{"n":9007199254740993}`, true},
		{">", "9007199254740992", `{"n":9007199254740993}`, true},
		{"<", "9007199254740993", `{"n":"9007199254740992"}`, true},
		{">=", "0.10000000000000000001", `{"n":0.1}`, false},
		{"=", "1.10", `{"n":1.1}`, true}, {"=", "1e3", `{"n":1000}`, true}, {"=", "-5", `{"n":-5.0}`, true},
		{"<", "0", `{"n":-1e-300}`, true},
		{"=", "1e-999999999", `{"n":0}`, true}, {"=", "0x10", `{"n":"16"}`, false},
	} {
		f, err := compileDataFilter(
			v1alpha1.DataFilter{
				Path:       "n",
				Type:       "number",
				Comparator: c.comparator,
				Value:      []v1alpha1.AnyString{v1alpha1.AnyString(c.value)},
			},
			Options{},
		)
		if err != nil {
			if c.want {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if got := f.check(Event{Data: []byte(c.data)}, World{}) == nil; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
