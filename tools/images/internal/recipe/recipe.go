// Package recipe describes images: what goes in, under which names. The
// built-in recipes stand in for well-known images that examples name; a file
// adds more.
package recipe

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// Image is one image to build.
type Image struct {
	// Name is what the command line calls it, and the archive's file name.
	Name string `json:"name"`
	// Tags are the references the image is known by, such as alpine:3.23.
	Tags []string `json:"tags"`
	// Packages are Debian packages, taken with what they depend on.
	Packages []string `json:"packages,omitempty"`
	// Without are packages to leave out although something depends on them.
	Without []string `json:"without,omitempty"`
	// Applets installs busybox under the name of each of its commands that is missing.
	Applets bool `json:"applets,omitempty"`
	// Binaries maps files of this machine to paths in the image; a relative
	// one is relative to the recipe file.
	Binaries map[string]string `json:"binaries,omitempty"`
	// Files maps paths in the image to their content.
	Files map[string]File `json:"files,omitempty"`
	// Links maps paths in the image to what they point at.
	Links map[string]string `json:"links,omitempty"`

	Env        map[string]string `json:"env,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	User       string            `json:"user,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	Ports      []string          `json:"ports,omitempty"`
}

// File is a file given in the recipe itself.
type File struct {
	Content    string `json:"content"`
	Executable bool   `json:"executable,omitempty"`
}

// NonRoot is the user of images that hold just a program.
const NonRoot = "65532:65532"

//go:embed standins.yaml
var standins []byte

// Standins are the built-in images.
func Standins() ([]Image, error) { return parse(standins, "") }

// Load reads the recipes of a file.
func Load(path string) ([]Image, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read recipes: %w", err)
	}
	images, err := parse(raw, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return images, nil
}

// Binary is the image of static programs, name=path[,path...]: the first is
// its entrypoint.
func Binary(spec string) (Image, error) {
	name, list, found := strings.Cut(spec, "=")
	if !found || name == "" || list == "" {
		return Image{}, fmt.Errorf("binary %q: want name=path[,path...]", spec)
	}
	image := Image{Name: name, Tags: []string{"argosy/" + name + ":dev"}, User: NonRoot, Binaries: map[string]string{}}
	for path := range strings.SplitSeq(list, ",") {
		target := "/usr/local/bin/" + filepath.Base(path)
		image.Binaries[path] = target
		if image.Entrypoint == nil {
			image.Entrypoint = []string{target}
		}
	}
	return image, nil
}

func parse(raw []byte, base string) ([]Image, error) {
	var file struct {
		Images []Image `json:"images"`
	}
	if err := yaml.UnmarshalStrict(raw, &file); err != nil {
		return nil, fmt.Errorf("parse recipes: %w", err)
	}
	var problems error
	for i, image := range file.Images {
		problems = errors.Join(problems, check(image))
		resolved := make(map[string]string, len(image.Binaries))
		for path, target := range image.Binaries {
			if !filepath.IsAbs(path) {
				path = filepath.Join(base, path)
			}
			resolved[path] = target
		}
		file.Images[i].Binaries = resolved
	}
	return file.Images, problems
}

func check(image Image) error {
	if image.Name == "" || strings.ContainsAny(image.Name, "/ :") {
		return fmt.Errorf("image %q: a name has no slash, colon or space", image.Name)
	}
	if len(image.Tags) == 0 {
		return fmt.Errorf("image %s: no tags", image.Name)
	}
	return nil
}
