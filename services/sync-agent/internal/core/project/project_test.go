package project

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func of(t testing.TB, spec v1alpha1.AppProjectSpec) *Project {
	t.Helper()
	p, problems := New("p", spec)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return p
}

func TestSources(t *testing.T) {
	for name, c := range map[string]struct {
		patterns string
		url      string
		ok       bool
	}{
		"none":                     {"", "https://git.example.org/a/b", false},
		"all":                      {"*", "https://git.example.org/a/b", true},
		"exact":                    {"https://git.example.org/a/b", "https://git.example.org/a/b.git", true},
		"another spelling":         {"git@git.example.org:a/b.git", "https://GIT.example.org/a/b", true},
		"star is one folder":       {"https://git.example.org/*", "https://git.example.org/a/b", false},
		"two stars cross":          {"https://git.example.org/**", "https://git.example.org/a/b", true},
		"one level":                {"https://git.example.org/a/*", "https://git.example.org/a/b", true},
		"choice":                   {"https://git.example.org/{a,c}/b", "https://git.example.org/a/b", true},
		"denied beats all":         {"* !https://git.example.org/a/*", "https://git.example.org/a/b", false},
		"denied first":             {"!https://git.example.org/a/* *", "https://git.example.org/a/b", false},
		"denial permits the rest":  {"!https://git.example.org/a/*", "https://git.example.org/x/b", true},
		"a chart in a registry":    {"registry.example.org/charts", "registry.example.org/charts", true},
		"a pattern that is broken": {"https://git.example.org/[", "https://git.example.org/a/b", false},
	} {
		p := of(t, v1alpha1.AppProjectSpec{SourceRepos: strings.Fields(c.patterns)})
		if got := p.Source(c.url); (got == "") != c.ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestDestinations(t *testing.T) {
	here := Destination{Server: "https://k.example.org", Name: "prod", Namespace: "shop"}
	type list = []v1alpha1.ApplicationDestination
	for name, c := range map[string]struct {
		list list
		ok   bool
	}{
		"none":                         {nil, false},
		"all":                          {list{{Server: "*", Namespace: "*"}}, true},
		"by name":                      {list{{Name: "prod", Namespace: "shop"}}, true},
		"by both, one of them matches": {list{{Server: "https://other", Name: "pr*", Namespace: "sh*"}}, true},
		"another namespace":            {list{{Server: "*", Namespace: "x"}}, false},
		"another cluster":              {list{{Server: "https://other", Namespace: "*"}}, false},
		"namespace denied":             {list{{Server: "*", Namespace: "*"}, {Server: "*", Namespace: "!shop"}}, false},
		"another namespace denied":     {list{{Server: "*", Namespace: "!kube-system"}}, true},
		"server denied": {
			list{{Server: "*", Namespace: "*"}, {Server: "!https://k.*", Namespace: "*"}}, false,
		},
		"name denied": {list{{Server: "*", Namespace: "*"}, {Name: "!prod", Namespace: "*"}}, false},
	} {
		p := of(t, v1alpha1.AppProjectSpec{Destinations: c.list})
		if got := p.Destination(here); (got == "") != c.ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestKinds(t *testing.T) {
	type kinds = []v1alpha1.GroupKind
	type restrictions = []v1alpha1.ClusterResourceRestriction
	for name, c := range map[string]struct {
		spec       v1alpha1.AppProjectSpec
		group      string
		kind       string
		name       string
		namespaced bool
		ok         bool
	}{
		"namespaced, no list": {v1alpha1.AppProjectSpec{}, "apps", "Deployment", "d", true, true},
		"namespaced, empty": {
			v1alpha1.AppProjectSpec{NamespaceResourceWhitelist: kinds{}}, "apps", "Deployment", "d", true, false,
		},
		"namespaced, listed": {
			v1alpha1.AppProjectSpec{NamespaceResourceWhitelist: kinds{{Group: "*", Kind: "Deploy*"}}}, "apps",
			"Deployment", "d", true, true,
		},
		"namespaced, black": {
			v1alpha1.AppProjectSpec{NamespaceResourceBlacklist: kinds{{Group: "", Kind: "Secret"}}}, "", "Secret",
			"s", true, false,
		},
		"cluster, no list": {v1alpha1.AppProjectSpec{}, "", "Namespace", "n", false, false},
		"cluster, listed": {
			v1alpha1.AppProjectSpec{ClusterResourceWhitelist: restrictions{{Group: "*", Kind: "*"}}}, "",
			"Namespace", "n", false, true,
		},
		"cluster, name": {
			v1alpha1.AppProjectSpec{ClusterResourceWhitelist: restrictions{{Kind: "Namespace", Name: "team-*"}}},
			"", "Namespace", "team-a", false, true,
		},
		"cluster, other name": {
			v1alpha1.AppProjectSpec{ClusterResourceWhitelist: restrictions{{Kind: "Namespace", Name: "team-*"}}},
			"", "Namespace", "kube-system", false, false,
		},
		"cluster, white black": {
			v1alpha1.AppProjectSpec{
				ClusterResourceWhitelist: restrictions{{Group: "*", Kind: "*"}},
				ClusterResourceBlacklist: restrictions{{Kind: "Namespace"}},
			},
			"", "Namespace", "n", false, false,
		},
	} {
		got := of(t, c.spec).Kind(schema.GroupKind{Group: c.group, Kind: c.kind}, c.name, c.namespaced)
		if (got == "") != c.ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNamespacesAndAccounts(t *testing.T) {
	p := of(t, v1alpha1.AppProjectSpec{
		SourceNamespaces: []string{"team-*", "/^x[0-9]$/"},
		DestinationServiceAccounts: []v1alpha1.ApplicationDestinationServiceAccount{
			{Server: "https://k.*", Namespace: "shop", DefaultServiceAccount: "deployer"},
			{Server: "*", Namespace: "*", DefaultServiceAccount: "argocd:anyone"},
		},
	})
	for namespace, ok := range map[string]bool{
		"argocd": true, "team-a": true, "x1": true, "x10": false, "other": false,
	} {
		if got := p.Namespace(namespace, "argocd"); (got == "") != ok {
			t.Errorf("%s: %q", namespace, got)
		}
	}
	for _, c := range []struct{ server, namespace, want string }{
		{"https://k.example.org", "shop", "shop/deployer"}, {"https://k.example.org", "x", "argocd/anyone"},
	} {
		namespace, name, ok := p.Account(Destination{Server: c.server, Namespace: c.namespace})
		if !ok || namespace+"/"+name != c.want {
			t.Errorf("%+v: %s/%s", c, namespace, name)
		}
	}
	if _, problems := New("p", v1alpha1.AppProjectSpec{
		SourceRepos: []string{"!*"},
		DestinationServiceAccounts: []v1alpha1.ApplicationDestinationServiceAccount{
			{
				Server:                "!x",
				Namespace:             "*",
				DefaultServiceAccount: "a",
			},
			{Server: "*", Namespace: "*", DefaultServiceAccount: "*"},
		},
		SyncWindows: []v1alpha1.SyncWindow{{Kind: "maybe"}, {Kind: "deny", Schedule: "x", Duration: "1h"}, {
			Kind: "deny", Schedule: "* * * * *", Duration: "1h", TimeZone: "Nowhere/Town",
		}, {Kind: "deny", Schedule: "* * * * *", Duration: "-1h"}},
	}); len(problems) != 7 {
		t.Errorf("%d problems: %v", len(problems), problems)
	}
}

func TestOrphans(t *testing.T) {
	p := of(t, v1alpha1.AppProjectSpec{OrphanedResources: &v1alpha1.OrphanedResources{
		Ignore: []v1alpha1.OrphanedResourceKey{{Kind: "ConfigMap", Name: "gen-*"}, {Group: "*", Kind: "Lease"}},
	}})
	for _, c := range []struct {
		group, kind, name string
		orphan            bool
	}{
		{"", "ConfigMap", "a", true}, {"", "ConfigMap", "gen-1", false}, {"coordination.k8s.io", "Lease", "l", false},
		{"", "ServiceAccount", "default", false}, {"", "ServiceAccount", "x", true},
		{"", "ConfigMap", "kube-root-ca.crt", false},
	} {
		if got := p.Orphan(schema.GroupKind{Group: c.group, Kind: c.kind}, c.name); got != c.orphan {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestWindows(t *testing.T) {
	noon := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC) // a Monday
	subject := Subject{
		Application: "web",
		Destination: Destination{Server: "https://k", Name: "prod", Namespace: "shop"},
	}
	window := func(kind, schedule string, more ...func(*v1alpha1.SyncWindow)) v1alpha1.SyncWindow {
		w := v1alpha1.SyncWindow{Kind: kind, Schedule: schedule, Duration: "1h", Applications: []string{"*"}}
		for _, m := range more {
			m(&w)
		}
		return w
	}
	manual := func(w *v1alpha1.SyncWindow) { w.ManualSync = true }
	overrun := func(w *v1alpha1.SyncWindow) { w.SyncOverrun = true }
	zone := func(name string) func(*v1alpha1.SyncWindow) {
		return func(w *v1alpha1.SyncWindow) { w.TimeZone = name }
	}
	apart := func(and bool, app, cluster, namespace string) func(*v1alpha1.SyncWindow) {
		return func(w *v1alpha1.SyncWindow) {
			w.AndOperator, w.Applications = and, nil
			for text, into := range map[string]*[]string{
				app: &w.Applications, cluster: &w.Clusters, namespace: &w.Namespaces,
			} {
				if text != "" {
					*into = append(*into, text)
				}
			}
		}
	}
	const open, later = "30 11 * * *", "30 12 * * *"
	for name, c := range map[string]struct {
		windows []v1alpha1.SyncWindow
		began   time.Time
		want    string // what is blocked: a for automated, r for requested, g for going on
	}{
		"none":                       {nil, time.Time{}, ""},
		"allowed now":                {[]v1alpha1.SyncWindow{window("allow", open)}, time.Time{}, ""},
		"allowed later":              {[]v1alpha1.SyncWindow{window("allow", later)}, time.Time{}, "arg"},
		"allowed later, by hand now": {[]v1alpha1.SyncWindow{window("allow", later, manual)}, time.Time{}, "ag"},
		"denied now":                 {[]v1alpha1.SyncWindow{window("deny", open)}, time.Time{}, "arg"},
		"denied now, by hand":        {[]v1alpha1.SyncWindow{window("deny", open, manual)}, time.Time{}, "ag"},
		"denied later":               {[]v1alpha1.SyncWindow{window("deny", later)}, time.Time{}, ""},
		"denied beats allowed": {
			[]v1alpha1.SyncWindow{window("deny", open), window("allow", open)}, time.Time{}, "arg",
		},
		"one of two denies by hand": {
			[]v1alpha1.SyncWindow{window("deny", open, manual), window("deny", open)}, time.Time{}, "arg",
		},
		"begun before the denial": {
			[]v1alpha1.SyncWindow{window("deny", open, overrun)}, noon.Add(-40 * time.Minute), "ar",
		},
		"begun within the denial": {
			[]v1alpha1.SyncWindow{window("deny", open, overrun)}, noon.Add(-5 * time.Minute), "arg",
		},
		"begun while allowed": {
			[]v1alpha1.SyncWindow{window("allow", "30 10 * * *", overrun)}, noon.Add(-time.Hour), "ar",
		},
		"in its zone": {
			[]v1alpha1.SyncWindow{window("deny", "30 12 * * *", zone("Europe/Berlin"))}, time.Time{}, "arg",
		},
		"after the change of clocks": {
			[]v1alpha1.SyncWindow{window("deny", "30 7 * * *", zone("America/New_York"))}, time.Time{}, "arg",
		},
		"another application": {
			[]v1alpha1.SyncWindow{window("deny", open, apart(false, "api", "", ""))}, time.Time{}, "",
		},
		"or the namespace": {
			[]v1alpha1.SyncWindow{window("deny", open, apart(false, "api", "", "sh*"))}, time.Time{}, "arg",
		},
		"and the namespace": {
			[]v1alpha1.SyncWindow{window("deny", open, apart(true, "api", "", "sh*"))}, time.Time{}, "",
		},
		"and all": {
			[]v1alpha1.SyncWindow{window("deny", open, apart(true, "web", "prod", "shop"))}, time.Time{}, "arg",
		},
		"the cluster by its server": {
			[]v1alpha1.SyncWindow{window("deny", open, apart(false, "", "https://*", ""))}, time.Time{}, "arg",
		},
		"of nobody": {
			[]v1alpha1.SyncWindow{window("deny", open, apart(false, "", "", ""))}, time.Time{}, "",
		},
	} {
		v := of(t, v1alpha1.AppProjectSpec{SyncWindows: c.windows}).Windows(subject, noon, c.began)
		got := ""
		for letter, reason := range map[string]string{"a": v.Automated, "r": v.Requested, "g": v.Running} {
			if reason != "" {
				got += letter
			}
		}
		if sorted(got) != sorted(c.want) {
			t.Errorf("%s: %q, want %q: %+v", name, got, c.want, v)
		}
		if len(c.windows) > 0 && name != "another application" && name != "of nobody" &&
			name != "and the namespace" &&
			!v.Changes.After(noon) {
			t.Errorf("%s: nobody looks again: %s", name, v.Changes)
		}
	}
}

func sorted(text string) string {
	out := ""
	for _, letter := range "arg" {
		if strings.ContainsRune(text, letter) {
			out += string(letter)
		}
	}
	return out
}

func FuzzMatch(f *testing.F) {
	for _, p := range []string{"*", "a*b", "{a,b}", "[!a]", `\*`, "**/x", "{{a,b},c}", "[a-", "?"} {
		f.Add(p, "ab/x")
	}
	f.Fuzz(func(_ *testing.T, pattern, text string) {
		Match(pattern, text)
		Match(pattern, text, '/')
		p, _ := New("p", v1alpha1.AppProjectSpec{
			SourceRepos: []string{
				pattern,
			},
			Destinations: []v1alpha1.ApplicationDestination{{Server: pattern, Namespace: pattern}},
			SyncWindows: []v1alpha1.SyncWindow{
				{Kind: "deny", Schedule: pattern, Duration: text, Applications: []string{pattern}},
			},
		})
		p.Source(text)
		p.Destination(Destination{Server: text, Namespace: text})
		p.Windows(Subject{Application: text}, time.Unix(0, 0), time.Time{})
	})
}

func TestVerifications(t *testing.T) {
	policy := func(mode string, keys []string, repos ...string) v1alpha1.SourceIntegrityGitPolicy {
		p := v1alpha1.SourceIntegrityGitPolicy{GPG: &v1alpha1.SourceIntegrityGPG{Mode: mode, Keys: keys}}
		for _, r := range repos {
			p.Repos = append(p.Repos, v1alpha1.SourceIntegrityGitRepo{URL: r})
		}
		return p
	}
	k, l := []string{"K"}, []string{"L"}
	spec := v1alpha1.AppProjectSpec{SourceIntegrity: &v1alpha1.SourceIntegrity{Git: &v1alpha1.SourceIntegrityGit{
		Policies: []v1alpha1.SourceIntegrityGitPolicy{
			policy("head", k, "https://git.example.org/team/*"),
			policy("strict", l, "https://git.example.org/team/payments.git", "https://git.example.org/vault"),
			policy(
				"none",
				nil,
				"*",
			),
			policy("", k, "https://other.example.org/**", "!https://other.example.org/public"),
			policy("tight", k, "https://odd.example.org/r"),
		},
	}}}
	p, problems := New("p", spec)
	for repo, want := range map[string][]Verification{
		"https://git.example.org/team/shop":         {{ModeHead, k}},
		"https://git.example.org/team/shop.git":     {{ModeHead, k}},
		"https://git.example.org/team/payments":     {{ModeHead, k}, {ModeStrict, l}},
		"https://git.example.org/vault":             {{ModeStrict, l}},
		"https://git.example.org/team/more/shop":    nil,
		"https://git.example.org/free":              nil,
		"https://other.example.org/a/b":             {{ModeHead, k}},
		"https://other.example.org/public":          nil,
		"https://odd.example.org/r":                 {{"tight", k}},
		"https://elsewhere.example.org/team/vault/": nil,
	} {
		if got := p.Verifications(repo); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", repo, got, want)
		}
	}
	if len(problems) != 1 ||
		!strings.Contains(problems[0].Error(), `gpg.mode: "tight" is none of none, head, strict`) {
		t.Errorf("problems %v", problems)
	}
	old, problems := New(
		"p",
		v1alpha1.AppProjectSpec{SignatureKeys: []v1alpha1.SignatureKey{{KeyID: "A"}, {KeyID: "B"}}},
	)
	want := []Verification{{ModeHead, []string{"A", "B"}}}
	if got := old.Verifications("any"); !reflect.DeepEqual(got, want) || len(problems) > 0 {
		t.Errorf("signatureKeys: %v, %v", got, problems)
	}
	spec.SignatureKeys = []v1alpha1.SignatureKey{{KeyID: "A"}}
	both, problems := New("p", spec)
	if got := both.Verifications("https://git.example.org/vault"); len(got) != 2 || len(problems) != 2 {
		t.Errorf("both: %v, %v", got, problems)
	}
}

func TestClustersOfAProjectAlone(t *testing.T) {
	some, _ := New("p", v1alpha1.AppProjectSpec{PermitOnlyProjectScopedClusters: true})
	all, _ := New("p", v1alpha1.AppProjectSpec{})
	for owner, permitted := range map[string]bool{"p": true, "": false, "q": false} {
		if got := some.Cluster(owner) == ""; got != permitted {
			t.Errorf("a cluster of %q: %v", owner, got)
		}
		if all.Cluster(owner) != "" {
			t.Errorf("a cluster of %q is denied where none is", owner)
		}
	}
}

func TestManaged(t *testing.T) {
	leases := Filter{APIGroups: []string{"coordination.k8s.io"}, Kinds: []string{"Lease"}}
	reports := Filter{APIGroups: []string{"*.kyverno.io"}, Clusters: []string{"https://*.example.org"}}
	apps := Filter{APIGroups: []string{"apps", ""}, Kinds: []string{"*"}}
	const inside, outside = "https://a.example.org", "https://a.example.com"
	for name, c := range map[string]struct {
		m           Managed
		group, kind string
		server      string
		want        bool
	}{
		"nothing said":          {Managed{}, "apps", "Deployment", "s", true},
		"excluded":              {Managed{Exclusions: []Filter{leases}}, "coordination.k8s.io", "Lease", "s", false},
		"another kind":          {Managed{Exclusions: []Filter{leases}}, "coordination.k8s.io", "LeaseCandidate", "s", true},
		"in some clusters":      {Managed{Exclusions: []Filter{reports}}, "reports.kyverno.io", "R", inside, false},
		"not in others":         {Managed{Exclusions: []Filter{reports}}, "reports.kyverno.io", "R", outside, true},
		"included":              {Managed{Inclusions: []Filter{apps}}, "", "Pod", "s", true},
		"not included":          {Managed{Inclusions: []Filter{apps}}, "batch", "Job", "s", false},
		"included and excluded": {Managed{[]Filter{apps}, []Filter{{Kinds: []string{"Pod"}}}}, "", "Pod", "s", false},
		"all":                   {Managed{Exclusions: []Filter{{}}}, "", "Pod", "s", false},
	} {
		if got := c.m.Manages(schema.GroupKind{Group: c.group, Kind: c.kind}, c.server); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
