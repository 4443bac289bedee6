package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/bus/bustest"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/google/go-cmp/cmp"
)

// folderObject is a folder as one object of the built-in store.
func folderObject(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	zipped.Comment = protocol.FolderMark
	archive := tar.NewWriter(zipped)
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "root/", Mode: 0o755})
	for name, text := range files {
		_, wrote := archive.Write(nil)
		err = errors.Join(err, wrote, archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "root/" + name,
			Mode: 0o600, Size: int64(len(text))}))
		_, wrote = archive.Write([]byte(text))
		err = errors.Join(err, wrote)
	}
	if err = errors.Join(err, archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// filesOf are the files of a folder as it is streamed.
func filesOf(t *testing.T, body io.ReadCloser) map[string]string {
	t.Helper()
	defer body.Close()
	zipped, err := gzip.NewReader(body)
	if err != nil || zipped.Comment != protocol.FolderMark {
		t.Fatalf("it is no folder: %v", err)
	}
	out := map[string]string{}
	for archive := tar.NewReader(zipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(archive); err != nil {
			t.Fatal(err)
		} else if h.Typeflag == tar.TypeReg {
			out[h.Name] = string(text)
		}
	}
}

func TestKeysOfTheBuiltInStoreMakeFolders(t *testing.T) {
	b := bustest.Start(t).Connect("test")
	s := &Stores{Bus: b}
	for name, body := range map[string]string{"wf/d/a.txt": "a", "wf/d/b.txt": "b", "wf/d/in/c.txt": "c",
		"wf/d/kept": folderObject(t, map[string]string{"x/y": "y", "z": "z"}), "wf/d/empty": "",
		"wf/dd": "no part of it", "wf/e": "one"} {
		if err := b.Objects(bus.ArtifactsBucket).Put(t.Context(), ObjectName("ns", name),
			strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	at := func(key string) v1alpha1.ArtifactLocation {
		return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Key: key}}
	}
	want := map[string]string{"d/a.txt": "a", "d/b.txt": "b", "d/in/c.txt": "c", "d/kept/x/y": "y", "d/kept/z": "z",
		"d/empty": ""}
	for _, key := range []string{"wf/d", "wf/d/", "/wf/d"} {
		body, err := s.Open(t.Context(), "ns", at(key))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if diff := cmp.Diff(want, filesOf(t, body)); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	for namespace, key := range map[string]string{"other": "wf/d", "ns": "wf/none"} {
		if _, err := s.Open(t.Context(), namespace, at(key)); !errors.Is(err, ErrAbsent) {
			t.Errorf("%s in %s: %v", key, namespace, err)
		}
	}
	if err := s.Remove(t.Context(), "ns", at("wf/d")); err != nil {
		t.Error(err)
	}
	left, err := s.Names(t.Context(), "ns", at("wf/"), 10)
	if err != nil || strings.Join(left, " ") != "wf/dd wf/e" {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := s.Remove(t.Context(), "ns", at("wf/e")); err != nil {
		t.Error(err)
	}
}
