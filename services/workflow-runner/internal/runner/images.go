package runner

import (
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// images knows what an image runs when its container names no command: the executor must start that itself.
type images struct {
	known map[string]imageProgram
}

// imageProgram is the program of an image. Source: Argo Workflows has the same table in its configuration.
type imageProgram struct {
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
}

// readImages reads the table of a file, {image: {entrypoint, cmd}}; no file is an empty table.
func readImages(file string) (*images, error) {
	i := &images{known: map[string]imageProgram{}}
	if file == "" {
		return i, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--image-programs: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, &i.known); err != nil {
		return nil, fmt.Errorf("--image-programs: %s: %w", file, err)
	}
	return i, nil
}

// program is what a container runs.
func (i *images) program(c corev1.Container) (command, args []string, err error) {
	if len(c.Command) > 0 {
		return c.Command, c.Args, nil
	}
	p, ok := i.known[c.Image]
	if !ok {
		p, ok = i.known[untagged(c.Image)]
	}
	if !ok || len(p.Entrypoint)+len(p.Cmd) == 0 {
		return nil, nil, fmt.Errorf("container %q: its outputs are collected and it names no command; name one, or add image %q to --image-programs", c.Name, c.Image)
	}
	if len(c.Args) > 0 {
		return p.Entrypoint, c.Args, nil
	}
	return p.Entrypoint, p.Cmd, nil
}

func untagged(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[:i]
	}
	return name
}
