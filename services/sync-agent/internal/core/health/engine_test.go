package health

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track/tracktest"
	"sigs.k8s.io/yaml"
)

const thing = `{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {size: 3}, status: {phase: Ready, list: [1, 2]}}`

// judge makes an engine of one customization, and asks it about thing.
func judge(t testing.TB, key, text string) *Health {
	t.Helper()
	engine, problems := New(Customizations{key: text}, Options{})
	for _, p := range problems {
		t.Log(p)
	}
	return engine.Assess(tracktest.Object(t, thing))
}

func TestCustomizationsInLua(t *testing.T) {
	const key = "resource.customizations.health.example.com_Thing"
	for text, want := range map[string]Health{
		`hs = {} hs.status = "Degraded" hs.message = obj.status.phase return hs`:                                          {Degraded, "Ready"},
		`if obj.spec.size > 2 then return {status = "Suspended"} end`:                                                     {Suspended, ""},
		`local n = 0 for i, v in ipairs(obj.status.list) do n = n + v end return {status="Healthy", message=tostring(n)}`: {Healthy, "3"},
		`return {status = "Progressing", message = string.format("%d of %d", #obj.status.list, 3)}`:                       {Progressing, "2 of 3"},
		`return {status = "Fine"}`:      {Unknown, `status "Fine"`},
		`return {}`:                     {Unknown, "which is none of"},
		`return 7`:                      {Unknown, "not a table"},
		`return obj.a.b`:                {Unknown, key},
		`return {status = `:             {Unknown, key},
		`return io.open("/etc/passwd")`: {Unknown, key},
		`return os.time()`:              {Unknown, key}, // there is no clock here
		`return require("os")`:          {Unknown, key},
		`return {status = "Healthy", message = "` + strings.Repeat("x", 70_000) + `"}`: {Unknown, "more than"},
	} {
		got := judge(t, key, text)
		if got == nil || got.Status != want.Status || !strings.Contains(got.Message, want.Message) {
			t.Errorf("%.80s: %+v, want %+v", text, got, want)
		}
	}
	if got := judge(t, key, `return nil`); got != nil {
		t.Errorf("nothing gave %+v", got)
	}
}

// What never ends, or eats memory, is ended, and the message says which customization it was.
func TestLuaIsBounded(t *testing.T) {
	const key = "resource.customizations.health.example.com_Thing"
	for name, text := range map[string]string{
		"loop":      `while true do end`,
		"recursion": `local function f() return 1 + f() end return f()`,
		"text":      `local s = "x" while true do s = s .. s end`,
		"repeat":    `return {status = "Healthy", message = string.rep("x", 1e12)}`,
		"tables":    `local t = {} while true do t[#t + 1] = {{}} end`,
		"pattern":   `return string.find(string.rep("a", 30000), string.rep("a?", 200) .. string.rep("a", 200) .. "b")`,
		"cycle":     `local t = {status = "Healthy"} t.self = t return t`,
		"sort":      `local t = {} for i = 1, 200 do t[i] = i end while true do table.sort(t) end`,
	} {
		got := judge(t, key, text)
		if got == nil || got.Status != Unknown || !strings.Contains(got.Message, key) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A program that an alarm ends has had a second of the clock, whatever its steps.
func TestLuaHasASecond(t *testing.T) {
	var now time.Time
	clock := func() time.Time { now = now.Add(300 * time.Millisecond); return now }
	engine, problems := New(
		Customizations{"resource.customizations.health.example.com_Thing": `while true do end`}, Options{Clock: clock},
	)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := engine.Assess(tracktest.Object(t, thing))
	if got.Status != Unknown || !strings.Contains(got.Message, "too long") {
		t.Errorf("%+v", got)
	}
}

func TestCustomizationsInCEL(t *testing.T) {
	const key = "resource.customizations.healthcel.example.com_Thing"
	for text, want := range map[string]Health{
		`healthy: obj.status.phase == "Ready"`:                                   {Healthy, ""},
		"healthy: \"true\"\nmessage: '\"n is \" + string(obj.spec.size)'":        {Healthy, "n is 3"},
		"degraded: obj.spec.size > 2\nhealthy: \"true\"":                         {Degraded, ""},
		"suspended: obj.spec.paused\nhealthy: obj.status.list.exists(x, x == 2)": {Healthy, ""},
		`healthy: obj.status.gone.deeper == 1`:                                   {Progressing, ""},
		`healthy: obj.status.list[7] == 1`:                                       {Progressing, ""},
		`healthy: obj.spec.size`:                                                 {Progressing, ""},
		`healthy: obj.spec.size + "x" == "3x"`:                                   {Unknown, key},
		`healthy: "1 + 1"`:                                                       {Unknown, "not a bool"},
		`healthy: "obj.("`:                                                       {Unknown, key},
		`good: "true"`:                                                           {Unknown, "good"},
		`message: '"x"'`:                                                         {Unknown, "give at least healthy"},
		"healthy: '" + strings.Repeat("true && ", 1000) + "true'":                {Unknown, "more than"},
		`healthy: "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a + b + c + d + e + f > 0))))))"`: {Unknown, "cost"},
	} {
		got := judge(t, key, text)
		if got == nil || got.Status != want.Status || !strings.Contains(got.Message, want.Message) {
			t.Errorf("%.80s: %+v, want %+v", text, got, want)
		}
	}
}

func TestWhichCustomizationHolds(t *testing.T) {
	says := func(word string) string { return `return {status = "Healthy", message = "` + word + `"}` }
	engine, problems := New(Customizations{
		"resource.customizations": "example.com/*:\n  health.lua: " + says("group") + "\n" +
			"\"*/Thing\":\n  health.lua: " + says("kind") + "\n" +
			"cel.example.com/Thing:\n  health.cel: 'healthy: \"true\"'\n" +
			"other.com/Thing:\n  ignoreDifferences: 'x'\n",
		"resource.customizations.health.example.com_Thing":      says("exact"),
		"resource.customizations.health.Secret":                 says("core"),
		"resource.customizations.health._ConfigMap":             says("core, too"),
		"resource.customizations.health.apps_Deployment":        says("before the rule"),
		"resource.customizations.health.a_b_c":                  says("no kind"),
		"resource.customizations.useOpenLibs.example.com_Thing": "true",
		"timeout.reconciliation":                                "180s",
	}, Options{})
	if len(problems) != 1 || !strings.Contains(problems[0].String(), "a_b_c") {
		t.Errorf("problems: %v", problems)
	}
	for kind, want := range map[string]string{
		"example.com/v1 Thing": "exact", "example.com/v1 Other": "group", "else.com/v1 Thing": "kind",
		"v1 Secret": "core", "v1 ConfigMap": "core, too",
		"apps/v1 Deployment": "before the rule", "cel.example.com/v1 Thing": "",
	} {
		version, name, _ := strings.Cut(kind, " ")
		got := engine.Assess(tracktest.Object(t, `{apiVersion: `+version+`, kind: `+name+`}`))
		if got == nil || got.Status != Healthy || got.Message != want {
			t.Errorf("%s: %+v, want %q", kind, got, want)
		}
	}
	deleted := tracktest.Object(t, `{apiVersion: example.com/v1, kind: Thing, metadata: {deletionTimestamp: "2030-01-01T00:00:00Z"}}`)
	if got := engine.Assess(deleted); got.Status != Progressing {
		t.Errorf("deletion: %+v", got)
	}
	if got := engine.Judge(deleted); got.Message != "exact" {
		t.Errorf("deletion left out: %+v", got)
	}
	if _, problems = New(Customizations{"resource.customizations": "- x"}, Options{}); len(problems) != 1 {
		t.Errorf("a list is no map: %v", problems)
	}
}

func TestWhoReportsAStatus(t *testing.T) {
	for kind, want := range map[string]string{
		"example.com/v1 Thing":                    "",
		"networking.istio.io/v1 VirtualService":   "",
		"monitoring.coreos.com/v1 PrometheusRule": "",
		"cert-manager.io/v1 Certificate":          Progressing,
		"velero.io/v1 Backup":                     Progressing,
		"kyverno.io/v1 Policy":                    Progressing,
		"kyverno.io/v2 PolicyException":           "",
		"v1 ConfigMap":                            "",
	} {
		version, name, _ := strings.Cut(kind, " ")
		o := tracktest.Object(t, `{apiVersion: `+version+`, kind: `+name+`}`)
		if got := builtin.Assess(o); got == nil && want != "" || got != nil && got.Status != want {
			t.Errorf("%s: %+v, want %q", kind, got, want)
		}
	}
}

func TestWorse(t *testing.T) {
	order := []string{Healthy, Suspended, Progressing, Missing, Degraded, Unknown}
	for i, a := range order {
		for j, b := range order {
			if got := (Health{Status: a}).Worse(Health{Status: b}); got != (i > j) {
				t.Errorf("%s worse than %s: %v", a, b, got)
			}
		}
		if (Health{}).Worse(Health{Status: a}) {
			t.Errorf("no health is worse than %s", a)
		}
	}
	if !(Health{Status: Suspended}).Worse(Health{}) || (Health{Status: Healthy}).Worse(Health{}) {
		t.Error("no health is as good as healthy")
	}
}

// Rules are total: whatever stands in an object, they say a state or nothing.
func FuzzAssess(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var rows []ruleCase
		if err := yaml.Unmarshal(text, &rows); err != nil {
			f.Fatal(err)
		}
		for _, row := range rows {
			seed, err := json.Marshal(row.Object)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(seed)
		}
	}
	engine, problems := New(Customizations{
		"resource.customizations.health.example.com_Lua":    `return {status = obj.status.phase, message = obj.spec}`,
		"resource.customizations.healthcel.example.com_CEL": `healthy: obj.status.ready || obj.status.list.all(x, x > 1)`,
	}, Options{})
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o := &track.Object{}
		if o.UnmarshalJSON(text) != nil {
			return
		}
		for _, e := range []*Engine{engine, engine.General(), builtin} {
			for _, h := range []*Health{e.Assess(o), e.Judge(o)} {
				if h != nil && (rank[h.Status] == 0 || h.Status == doubtful) {
					t.Fatalf("%+v", h)
				}
			}
		}
	})
}

// Each rule is total for an object that holds nothing, and for one whose fields are of other types.
func TestRulesOfOddObjects(t *testing.T) {
	odd := []map[string]any{
		nil,
		{},
		{"status": "text", "spec": 7.0, "metadata": []any{}},
		{
			"status": map[string]any{"conditions": "x", "phase": 3.0, "state": map[string]any{}},
			"spec":   map[string]any{"replicas": "x"},
		},
		{"status": map[string]any{"conditions": []any{nil, "x", map[string]any{"type": 3.0, "status": []any{}}}}},
		{"metadata": map[string]any{"generation": "x", "annotations": map[string]any{"a/paused": true}}},
	}
	for group, kinds := range groups {
		for kind, assess := range kinds {
			for i, o := range odd {
				if h := assess(view{o}); h.Status == doubtful || h.Status != "" && rank[h.Status] == 0 {
					t.Errorf("%s %s, object %d: %+v", group, kind, i, h)
				}
			}
		}
	}
}

func FuzzCustomizations(f *testing.F) {
	f.Add("resource.customizations", "a/b:\n  health.lua: return {}")
	f.Add("resource.customizations.health.a_b", "return {status='Healthy'}")
	f.Add("resource.customizations.healthcel.a_b", "healthy: obj.a == 1")
	f.Fuzz(func(_ *testing.T, key, text string) {
		engine, _ := New(Customizations{key: text}, Options{})
		engine.Assess(&track.Object{Object: map[string]any{"apiVersion": "a/v1", "kind": "b"}})
	})
}
