package web

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	cases := []struct{ name, text, wrong string }{
		{"good", `{"version":"v1","faultRate":0.5}`, ""},
		{"no version", `{"faultRate":0.5}`, "version is empty"},
		{"over one", `{"version":"v1","faultRate":1.5}`, "faultRate 1.5"},
		{"below zero", `{"version":"v1","faultRate":-1}`, "faultRate -1"},
		{"not JSON", `{`, "settings"},
	}
	for _, c := range cases {
		file := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(file)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %+v, %v", c.name, s, err)
		}
	}
	if _, err := Load("/no/such/file"); err == nil {
		t.Error("a file that is not there is good")
	}
}
