package eventsource

import (
	"strings"
	"testing"
)

// Cases 07 and 08.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		endpoint   string
		takes, not []string
	}{
		{"/", []string{"/"}, []string{"/a", ""}},
		{"", nil, []string{"/", ""}},
		{"/push", []string{"/push"}, []string{"/", "/push/x", "/pushed"}},
		{"push/", []string{"/push"}, nil},
		{"//push//", []string{"/push"}, nil},
		{"/user/{name}", []string{"/user/ann", "/user/a.b"}, []string{"/user", "/user/ann/x", "/user/"}},
		{"/user/{name}/", []string{"/user/ann"}, nil},
		{"/{a}/x/{b}", []string{"/1/x/2"}, []string{"/1/y/2"}},
		{"/user/{id:[0-9]+}", []string{"/user/12"}, []string{"/user/ann", "/user/12/x"}},
		{"/code/{id:[0-9]{2,3}}", []string{"/code/12"}, []string{"/code/1", "/code/1234"}},
		{"/all/{rest:.*}", []string{"/all/a/b", "/all/"}, []string{"/other"}},
		{"/v1.0/{x}", []string{"/v1.0/a"}, []string{"/v1x0/a"}},
		{"/{kind:a|b}", []string{"/a", "/b"}, []string{"/ab", "/c"}},
	} {
		e, err := NewEndpoint(c.endpoint)
		if err != nil {
			t.Errorf("%q: %v", c.endpoint, err)
			continue
		}
		for _, path := range c.takes {
			if !e.Takes(path) {
				t.Errorf("%q does not take %q", c.endpoint, path)
			}
		}
		for _, path := range c.not {
			if e.Takes(path) {
				t.Errorf("%q takes %q", c.endpoint, path)
			}
		}
		if e.Variable() != strings.Contains(c.endpoint, "{") {
			t.Errorf("%q", c.endpoint)
		}
	}
	for _, text := range []string{
		"/{", "/}", "/{}", "/{:x}", "/{x:}", "/{x:(}", "/{a}}", "/hooks/ns/es/e", "/hooks", "/hooks/{x}",
		"/{a}" + strings.Repeat("x", 2000),
	} {
		if _, err := NewEndpoint(text); err == nil {
			t.Errorf("%q is not refused", text)
		}
	}
}

func TestMethods(t *testing.T) {
	for text, want := range map[string]string{"": "POST", "post": "POST", "GET": "GET", "POTS": ""} {
		got, err := Method(text)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	f.Add("/user/{name:[a-z]+}", "/user/ann")
	f.Fuzz(func(t *testing.T, endpoint, path string) {
		e, err := NewEndpoint(endpoint)
		if err == nil && e.Takes(CleanPath(path)) && e.Path == "" {
			t.Errorf("%q takes %q", endpoint, path)
		}
	})
}
