package recipe

import (
	"os"
	"path/filepath"
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
		"busybox:latest", "alpine:3.23", "alpine:3.6", "python:alpine3.23", "argoproj/argosay:v1", "argoproj/argosay:v2",
		"nginx:1.13", "curlimages/curl:latest", "influxdb:1.2", "node:9.1-alpine", "stedolan/jq:latest", "debian:9.1",
		"debian:8.9", "ubuntu:17.10", "alpine/git:latest",
	} {
		if !known[tag] {
			t.Errorf("nothing stands in for %s", tag)
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
