package recipe

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestStandinsHoldWhatExamplesName(t *testing.T) {
	images, err := Standins()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, image := range images {
		for _, tag := range image.Tags {
			known[tag] = true
		}
	}
	for _, tag := range []string{
		"busybox:latest", "alpine:3.23", "alpine:3.6", "python:alpine3.23", "argoproj/argosay:v1",
		"argoproj/argosay:v2",
		"nginx:1.13", "curlimages/curl:latest", "influxdb:1.2", "node:9.1-alpine", "stedolan/jq:latest", "debian:9.1",
		"debian:8.9", "debian:latest", "ubuntu:17.10", "alpine/git:latest",
	} {
		if !known[tag] {
			t.Errorf("nothing stands in for %s", tag)
		}
	}
}

func TestArgosayIsTheRealOneForExamples(t *testing.T) {
	images, err := Standins()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(images, func(i Image) bool { return i.Name == "argosay" })
	if !slices.Contains(images[at].Packages, "bash") {
		t.Error("it has no bash")
	}
	dir := t.TempDir()
	script, file := filepath.Join(dir, "argosay"), filepath.Join(dir, "new", "file")
	if err := os.WriteFile(script, []byte(images[at].Files["/argosay"].Content), 0o600); err != nil {
		t.Fatal(err)
	}
	// In order: later ones read what earlier ones wrote.
	for _, c := range []struct {
		args []string
		out  string
		code int
	}{
		{nil, "hello argo\n", 0},
		{[]string{"echo"}, "hello argo\n", 0},
		{[]string{"echo", "[]"}, "[]\n", 0},
		{[]string{"echo", "text in a file", file}, "", 0},
		{[]string{"cat", file}, "text in a file\n", 0},
		{[]string{"assert_contains", file, "in a"}, "text in a file\n", 0},
		{[]string{"assert_contains", file, "in.a"}, "", 1},
		{[]string{"sleep", "0"}, "", 0},
		{[]string{"exit"}, "", 0},
		{[]string{"exit", "7"}, "", 7},
		{[]string{"sh", "-c", "echo from a shell"}, "from a shell\n", 0},
		{[]string{"dance"}, "", 1},
		{[]string{"/argo/staging/script"}, "", 1},
	} {
		out, err := exec.CommandContext(t.Context(), "sh", append([]string{script}, c.args...)...).Output()
		code := 0
		if exit, is := errors.AsType[*exec.ExitError](err); is {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if string(out) != c.out || code != c.code {
			t.Errorf("argosay %q: %q, exit code %d; want %q, %d", c.args, out, code, c.out, c.code)
		}
	}
}

func TestBinary(t *testing.T) {
	image, err := Binary("sensor=bin/sensor,bin/other")
	if err != nil {
		t.Fatal(err)
	}
	if image.Tags[0] != "argosy/sensor:dev" || image.Entrypoint[0] != "/usr/local/bin/sensor" ||
		image.User != NonRoot || image.Binaries["bin/other"] != "/usr/local/bin/other" {
		t.Errorf("image %+v", image)
	}
	if _, err := Binary("sensor"); err == nil {
		t.Error("a binary without a path is taken")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "images.yaml")
	for _, c := range []struct{ content, problem string }{
		{"images: [{name: a, tags: [a], binaries: {b/c: /c, /d: /d}}]", ""},
		{"images: [{name: a/b, tags: [a]}]", "no slash"},
		{"images: [{name: a}]", "no tags"},
		{"images: [{name: a, tags: [a], typo: 1}]", "typo"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		images, err := Load(path)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: error %v, want %q", c.content, err, c.problem)
			}
			continue
		}
		if err != nil || images[0].Binaries[filepath.Join(dir, "b/c")] != "/c" || images[0].Binaries["/d"] != "/d" {
			t.Errorf("%s: %+v, %v", c.content, images, err)
		}
	}
}
