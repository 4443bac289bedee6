package rbac

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func snapshot(t *testing.T, p Policy, projects ...Project) *Snapshot {
	t.Helper()
	s, problems, err := Compile(p, projects)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return s
}

func policyOf(text string) Policy { return Policy{Files: []File{{policyKey, text}}} }

func may(t *testing.T, s *Snapshot, who Subject, resource, action, object string) bool {
	t.Helper()
	yes, err := s.Allowed(who, Request{resource, action, object})
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

// All that a role may do in a project is what is listed: every other resource, verb and project is denied.
func TestRolesByProjectsByVerbs(t *testing.T) {
	s := snapshot(t,
		policyOf(`
p, role:dev, applications, get, shop/*, allow
p, role:dev, applications, sync, shop/*, allow
p, role:dev, applications, sync, shop/prod-*, deny
p, role:dev, applications, action/apps/Deployment/restart, shop/*, allow
p, role:ops, applications, *, */*, allow
p, role:ops, clusters, get, https://one.example, allow
g, alice, role:dev
g, team:ops, role:ops
`),
		Project{Name: "shop", Roles: []v1alpha1.ProjectRole{{
			Name: "ci", Groups: []string{"team:ci"},
			Policies: []string{"p, proj:shop:ci, applications, sync, shop/*, allow"},
		}}},
		Project{Name: "bank"},
	)
	objects := []string{
		"shop/web", "shop/team/web", "shop/prod-web", "bank/web", "shop", "bank", "https://one.example",
		"https://two.example", "x",
	}
	actions := []string{
		"get", "create", "update", "delete", "sync", "rollback", "override", "invoke", "debug",
		"action/apps/Deployment/restart", "update/apps/Deployment/a/b", "delete/apps/Deployment/a/b",
	}
	type row map[string]bool // "resource action object"
	readonly, ops := row{}, row{}
	for _, o := range objects {
		if strings.Contains(o, "/") {
			for _, r := range []string{Applications, ApplicationSets, Logs} {
				readonly[r+" get "+o] = true
			}
			for _, a := range actions {
				ops[Applications+" "+a+" "+o] = true
			}
		}
		for _, r := range []string{
			Certificates, Clusters, Repositories, WriteRepositories, Projects, Accounts, GPGKeys,
		} {
			readonly[r+" get "+o] = true
		}
	}
	ops["clusters get https://one.example"] = true
	for name, c := range map[string]struct {
		who   Subject
		wants row
	}{
		"nobody":     {Subject{Name: "mallory", Groups: []string{"team:other", ""}}, row{}},
		"the reader": {Subject{Name: "eve", Groups: []string{"role:readonly"}}, readonly},
		"alice": {Subject{Name: "alice"}, row{
			"applications get shop/web": true, "applications get shop/team/web": true,
			"applications get shop/prod-web": true,
			"applications sync shop/web":     true, "applications sync shop/team/web": true,
			"applications action/apps/Deployment/restart shop/web":      true,
			"applications action/apps/Deployment/restart shop/team/web": true,
			"applications action/apps/Deployment/restart shop/prod-web": true,
		}},
		"ops": {Subject{Name: "bob", Groups: []string{"team:x", "team:ops"}}, ops},
		"a role of a project": {Subject{Name: "proj:shop:ci"}, row{
			"applications sync shop/web": true, "applications sync shop/team/web": true,
			"applications sync shop/prod-web": true, "projects get shop": true,
		}},
		"a group of it": {Subject{Name: "carol", Groups: []string{"team:ci"}}, row{
			"applications sync shop/web": true, "applications sync shop/team/web": true,
			"applications sync shop/prod-web": true, "projects get shop": true,
		}},
		"a role that there is not": {Subject{Name: "proj:bank:ci"}, row{}},
	} {
		for _, resource := range append(Resources(), "secrets") {
			for _, action := range actions {
				for _, object := range objects {
					asked := resource + " " + action + " " + object
					if got := may(t, s, c.who, resource, action, object); got != c.wants[asked] {
						t.Errorf("%s: %s: %v", name, asked, got)
					}
				}
			}
		}
	}
}

func TestTheAdminMayDoWhatTheTableHolds(t *testing.T) {
	for _, mode := range []Mode{Glob, Regex} {
		s := snapshot(t, Policy{Mode: mode})
		for _, r := range table {
			for _, verb := range r.verbs {
				if got := may(t, s, Subject{Name: "admin"}, r.name, verb, "a/b"); got != (r.name != Extensions) {
					t.Errorf("%s: %s %s: %v", mode, verb, r.name, got)
				}
			}
		}
		for _, c := range []struct {
			resource, action, object string
			want                     bool
		}{
			{Applications, "update/apps/Deployment/a/b", "p/a", true}, {Applications, "create/x", "p/a", false},
			{Applications, "targeted", "p/a", false}, {Applications, "get", "noproject", false},
			{"applicationsx", "get", "p/a", false},
		} {
			if got := may(t, s, Subject{Name: "admin"}, c.resource, c.action, c.object); got != c.want {
				t.Errorf("%s: %+v: %v", mode, c, got)
			}
		}
	}
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		who    Subject
		asked  Request
		want   bool
	}{
		"the default role is everybody's": {
			Policy{Default: "role:readonly"}, Subject{Name: "x"}, Request{Applications, "get", "a/b"}, true,
		},
		"no deny takes it away": {
			Policy{Default: "role:readonly", Files: policyOf("p, x, applications, *, */*, deny").Files},
			Subject{Name: "x"}, Request{Applications, "get", "a/b"}, true,
		},
		"a deny wins over an allow of the same subject": {
			policyOf("p, x, applications, get, a/*, deny\np, x, applications, *, */*, allow"), Subject{Name: "x"},
			Request{Applications, "get", "a/b"}, false,
		},
		"a deny of a role reaches its members": {
			policyOf("p, role:r, applications, get, a/*, deny\np, x, applications, *, */*, allow\ng, x, role:r"), Subject{Name: "x"},
			Request{Applications, "get", "a/b"}, false,
		},
		"one group suffices": {
			policyOf("p, g1, applications, get, a/*, deny\np, g2, applications, get, a/*, allow"),
			Subject{Name: "x", Groups: []string{"g1", "g2"}}, Request{Applications, "get", "a/b"}, true,
		},
		"roles of roles": {
			policyOf("g, x, a\ng, a, b\ng, b, c\np, c, logs, get, p/*, allow"), Subject{Name: "x"}, Request{Logs, "get", "p/a"}, true,
		},
		"roles in a circle end": {policyOf("g, x, a\ng, a, x"), Subject{Name: "x"}, Request{Logs, "get", "p/a"}, false},
		"update does not reach what an application holds": {
			policyOf("p, x, applications, update, */*, allow"), Subject{Name: "x"},
			Request{Applications, "update/apps/Deployment/n/d", "a/b"}, false,
		},
		"alternatives and classes": {
			policyOf(`p, x, applications, "{get,sync}", [ab]/?*, allow`), Subject{Name: "x"}, Request{Applications, "sync", "b/c"}, true,
		},
		"an expression matches anywhere": {
			Policy{Mode: Regex, Files: policyOf("p, x, applications, (get|sync), ^a/.+$, allow").Files}, Subject{Name: "x"},
			Request{Applications, "getaway", "a/b"}, true,
		},
		"a cluster by the URL of its server": {
			policyOf("p, x, clusters, get, https://k8s, allow"), Subject{Name: "x"}, Request{Clusters, "get", ClusterObject("", "https://k8s")},
			true,
		},
		"a cluster of a project": {
			policyOf("p, x, clusters, get, shop/*, allow"), Subject{Name: "x"},
			Request{Clusters, "get", ClusterObject("shop", "https://k8s")}, true,
		},
		"doubles": {policyOf("p, x, logs, get, a/*, allow\np, x, logs, get, a/*, allow\ng, x, y\ng, x, y"),
			Subject{Name: "x"}, Request{Logs, "get", "a/b"}, true},
	} {
		if got := may(t, snapshot(t, c.policy), c.who, c.asked.Resource, c.asked.Action,
			c.asked.Object); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever a project's patterns fit, they have no say about another project.
func TestAProjectGrantsNothingOfAnother(t *testing.T) {
	roles := func(policies ...string) []v1alpha1.ProjectRole {
		return []v1alpha1.ProjectRole{{Name: "r", Policies: policies, Groups: []string{"team"}}}
	}
	s := snapshot(t, Policy{Mode: Regex}, Project{Name: "a", Roles: roles("", "# none",
		"p, proj:a:r, .*, .*, a/.*|.*, allow")})
	for _, who := range []Subject{{Name: "proj:a:r"}, {Name: "x", Groups: []string{"team"}}} {
		if !may(t, s, who, Applications, "sync", "a/web") || may(t, s, who, Applications, "sync", "b/web") ||
			may(t, s, who, Projects, "get", "b") || may(t, s, who, Accounts, "update", "admin") {
			t.Errorf("%+v", who)
		}
	}
	for name, policies := range map[string][]string{
		"another role":             {"p, proj:a:other, applications, get, a/*, allow"},
		"another project":          {"p, proj:a:r, applications, get, b/*, allow"},
		"all projects":             {"p, proj:a:r, applications, get, */*, allow"},
		"a membership":             {"g, team, role:admin"},
		"a line that is not whole": {"p, proj:a:r, applications, get, a/*"},
		"a good one beside it":     {"p, proj:a:r, applications, get, a/*, allow", "p, proj:a:r, applications, get, a/*, dney"},
	} {
		s, problems, err := Compile(Policy{}, []Project{{Name: "a", Roles: roles(policies...)}})
		if err != nil || len(problems) != 1 || problems[0].File != "project a, role r" ||
			problems[0].Line != len(policies) {
			t.Fatalf("%s: %v, %v", name, problems, err)
		}
		for _, who := range []Subject{{Name: "proj:a:r"}, {Name: "x", Groups: []string{"team"}}} {
			if may(t, s, who, Applications, "get", "a/web") || may(t, s, who, Projects, "get", "a") ||
				may(t, s, who, Applications, "get", "b/web") || may(t, s, who, Accounts, "get", "x") {
				t.Errorf("%s: %+v has rights", name, who)
			}
		}
	}
}

func TestMalformedLines(t *testing.T) {
	for line, want := range map[string]string{
		"p, x, applications, get, */*":         "policy.csv, line 2: it has 5 fields",
		"p, x, applications, get, */*, permit": `effect "permit"`,
		"p, x, applications, get, [a, allow":   "no glob",
		"p, x, applications, get, , allow":     "it is empty",
		"p, , applications, get, */*, allow":   "the subject is missing",
		"g, x":                                 "it has 2 fields",
		"g, x,":                                "member and role",
		"x, y, z":                              "neither p nor g",
		`p, "x, applications, get, */*, allow`: "no list of fields",
		"p, x, applications, get, " + strings.Repeat("a", 5000) + ", allow": "longer than",
		"p, x, applications, get, " + strings.Repeat("a", 1500) + ", allow": "the pattern is longer",
		"p, x, applications, get, " + strings.Repeat("{a}", 20) + ", allow": "braces",
	} {
		s, problems,
			err := Compile(policyOf("p, x, applications, *, */*, allow\n"+line+"\np, x, logs, get, */*, allow\n"), nil)
		if err != nil || len(problems) != 1 || !strings.Contains(problems[0].String(), want) || problems[0].Line != 2 {
			t.Errorf("%q: %v, %v", brief(line), problems, err)
			continue
		}
		// It may have been a deny: nothing of the file counts, and the built-in roles do.
		if may(t, s, Subject{Name: "x"}, Applications, "get", "a/b") || may(t, s, Subject{Name: "x"}, Logs,
			"get", "a/b") ||
			!may(t, s, Subject{Name: "admin"}, Applications, "get", "a/b") {
			t.Errorf("%q grants", brief(line))
		}
	}
	_, problems, err := Compile(policyOf("p, x, aplications, get, */*, allow"), nil)
	if err != nil || len(problems) != 1 || !problems[0].Warning {
		t.Errorf("an unknown resource: %v, %v", problems, err)
	}
}

func TestAnEngineKeepsWhatWasGood(t *testing.T) {
	var e Engine
	get := Request{Applications, "get", "a/b"}
	asked := func() bool {
		yes, err := e.Allowed(Subject{Name: "x"}, get)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if asked() {
		t.Error("an engine without a policy allows")
	}
	for i, c := range []struct {
		text string
		want bool
	}{
		{"p, x, applications, get, */*", false}, {"p, x, applications, get, */*, allow", true},
		{"p, x, applications", true}, {"", false},
	} {
		if _, err := e.Update(policyOf(c.text), nil); err != nil || asked() != c.want {
			t.Errorf("%d: %v, %v", i, asked(), err)
		}
	}
}

func TestAskingAtOnce(t *testing.T) {
	s := snapshot(t, policyOf("p, x, applications, get, a/*, allow\ng, y, x"))
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 200 {
				object := fmt.Sprintf("a/%d", j)
				yes, err := s.Allowed(Subject{Name: "y"}, Request{Applications, "get", object})
				no, err2 := s.Allowed(Subject{Name: fmt.Sprint("z", i)}, Request{Applications, "get", object})
				if !yes || no || err != nil || err2 != nil {
					t.Errorf("%s: %v, %v, %v, %v", object, yes, no, err, err2)
				}
			}
		})
	}
	wait.Wait()
	if s.decisions.Len() > decisionsKept {
		t.Error("decisions are not bounded")
	}
}

func TestConfigMap(t *testing.T) {
	p, problems := FromConfigMap(map[string]string{
		"policy.b.csv": "b", "policy.csv": "main", "policy.a.csv": "a", "policy.default": "role:readonly",
		"scopes": "[email, 'groups']", "policy.matchMode": "regex", "other": "x",
	})
	if got := fmt.Sprint(p, problems); got !=
		"{[{policy.csv main} {policy.a.csv a} {policy.b.csv b}] role:readonly [email groups] regex} []" {
		t.Error(got)
	}
	for data, want := range map[string]string{"policy.matchMode=Regex": "neither glob nor regex",
		"scopes=[a": "no list"} {
		key, value, _ := strings.Cut(data, "=")
		if _, problems := FromConfigMap(map[string]string{key: value}); len(problems) != 1 ||
			!strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: %v", data, problems)
		}
	}
	claims := map[string]any{"groups": []any{"a", 1, "b"}, "email": "x@y"}
	if got := fmt.Sprint(Groups(claims, []string{"groups", "email", "none"})); got != "[a b x@y]" {
		t.Error(got)
	}
}

func TestObjects(t *testing.T) {
	for got, want := range map[string]string{
		ApplicationObject("", "argocd", "a", "argocd"):  "default/a",
		ApplicationObject("p", "team", "a", "argocd"):   "p/team/a",
		ClusterObject("p", "https://x"):                 "p/https://x",
		projectOf(Clusters, "https://x/y"):              "",
		projectOf(Projects, "p"):                        "p",
		projectOf(Applications, "p/team/a"):             "p",
		fmt.Sprint(Known(Applications, "action/a/b/c")): "true",
		fmt.Sprint(Known(Applications, "sync/a")):       "false",
		fmt.Sprint(Known("secrets", "get")):             "false",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTokens(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 5000, time.UTC)
	key := []byte("0123456789abcdef0123456789abcdef")
	tokens, err := NewTokens(key, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	text, record, err := tokens.Issue("shop", "ci", "id-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tokens.Verify(text)
	if err != nil || got.Subject().Name != "proj:shop:ci" || got.JWTToken != record {
		t.Fatalf("%+v, %v", got, err)
	}
	spec := v1alpha1.AppProjectSpec{Roles: []v1alpha1.ProjectRole{{Name: "ci", JwtTokens: []v1alpha1.JWTToken{record}}}}
	other := record
	other.ID = "id-2"
	status := v1alpha1.AppProjectStatus{
		JwtTokensByRole: map[string]v1alpha1.JWTTokens{"ci": {Items: []v1alpha1.JWTToken{record}}},
	}
	bare := v1alpha1.AppProjectSpec{Roles: []v1alpha1.ProjectRole{{Name: "ci"}}}
	for name, c := range map[string]struct {
		spec   v1alpha1.AppProjectSpec
		status v1alpha1.AppProjectStatus
		want   bool
	}{
		"in the spec": {spec, v1alpha1.AppProjectStatus{}, true}, "in the status": {bare, status, true},
		"taken back":       {bare, v1alpha1.AppProjectStatus{}, false},
		"the role is gone": {v1alpha1.AppProjectSpec{}, status, false},
		"another of that second": {
			v1alpha1.AppProjectSpec{Roles: []v1alpha1.ProjectRole{{Name: "ci", JwtTokens: []v1alpha1.JWTToken{other}}}},
			v1alpha1.AppProjectStatus{}, false,
		},
	} {
		if err := Listed(c.spec, c.status, got); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	parts := strings.Split(text, ".")
	foreign, _ := NewTokens([]byte("another key, just as long"), func() time.Time { return now })
	forged, _, _ := foreign.Issue("shop", "ci", "id-1", time.Hour)
	for name, bad := range map[string]string{
		"another key": forged, "no signature": parts[0] + "." + parts[1] + ".", "empty": "",
		"long":         strings.Repeat("a", 9000),
		"no algorithm": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + ".",
		"changed":      parts[0] + "." + parts[1] + "x." + parts[2],
	} {
		if _, err := tokens.Verify(bad); err == nil {
			t.Errorf("%s is valid", name)
		}
	}
	now = now.Add(2 * time.Hour)
	if _, err := tokens.Verify(text); err == nil {
		t.Error("an expired token is valid")
	}
	now = now.Add(-3 * time.Hour)
	if _, err := tokens.Verify(text); err == nil {
		t.Error("a token of the future is valid")
	}
	if _, err := NewTokens([]byte("short"), time.Now); err == nil {
		t.Error("a short key is taken")
	}
	for _, bad := range [][3]string{{"", "r", "i"}, {"p", "r:x", "i"}, {"p", "r", ""}} {
		if _, _, err := tokens.Issue(bad[0], bad[1], bad[2], 0); err == nil {
			t.Errorf("%v is issued", bad)
		}
	}
}

// No text grants to a stranger what no line allows, and none makes the engine fail.
func FuzzPolicy(f *testing.F) {
	for _, text := range []string{
		"p, x, applications, get, */*, allow\n", "g, x, role:admin\n", "# c\n\np, x, *, *, *, deny",
		`p, "a,b", logs, get, "{a,b}/*", allow`,
		"p, x, applications, get, [a-z]/[!b]*, allow", "p, x, applications, get, {a,{b,c}}, allow", "\xff, x", "p,,,,,",
		"p, x, applications, get, *a*a*a*a*a*a*b*, allow",
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, regex bool) {
		p := policyOf(text)
		if regex {
			p.Mode = Regex
		}
		s, problems, err := Compile(p, []Project{{Name: "a", Roles: []v1alpha1.ProjectRole{{Name: "r",
			Policies: []string{text}}}}})
		if err != nil {
			t.Fatal(err)
		}
		asked := Request{Applications, "get", "a/" + strings.Repeat("a", 100)}
		yes, err := s.Allowed(Subject{Name: "x"}, asked)
		if err != nil {
			t.Fatal(err)
		}
		if yes && (!strings.Contains(text, "x") || Refused(ofFiles(p, problems))) {
			t.Errorf("allowed: %v", problems)
		}
		if yes, err := s.Allowed(Subject{Name: "proj:a:r"}, Request{Applications, "get", "b/web"}); err != nil ||
			yes && !strings.Contains(text, "proj:a:r") {
			t.Errorf("another project: %v, %v", yes, err)
		}
	})
}
