package pods

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/registry"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Images knows what an image runs when its container names no command: the executor must start that itself.
type Images struct {
	known    map[string]imageProgram
	Registry *registry.Client // asked for all others; nil: nobody is
}

// imageProgram is the program of an image. Source: Argo Workflows has the same table in its configuration.
type imageProgram struct {
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
}

// ReadImages reads the table of a file, {image: {entrypoint, cmd}}; no file is an empty table.
func ReadImages(file string) (*Images, error) {
	i := &Images{known: map[string]imageProgram{}}
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

// name gives those containers a command that have none: the one of their image, with the container's own arguments if
// it has some, as the kubelet would start it. An error of class poison is final.
func (i *Images) name(ctx context.Context, who registry.Puller, containers []corev1.Container) error {
	for at := range containers {
		c := &containers[at]
		if len(c.Command) > 0 {
			continue
		}
		p, err := i.program(ctx, who, c.Image)
		if err == nil && len(p.Entrypoint)+len(p.Cmd)+len(c.Args) == 0 {
			err = fault.AsPoison(errors.New("it runs nothing by itself"))
		}
		if err != nil {
			return fmt.Errorf("container %q: its outputs or logs are collected, it names no command, and what the image %q runs cannot be found: %w; set command", c.Name, c.Image, err)
		}
		args := c.Args
		if len(args) == 0 {
			args = p.Cmd
		}
		c.Command, c.Args = slices.Concat(p.Entrypoint, args), nil
	}
	return nil
}

func (i *Images) program(ctx context.Context, who registry.Puller, image string) (imageProgram, error) {
	for _, name := range []string{image, untagged(image)} {
		if p, ok := i.known[name]; ok {
			return p, nil
		}
	}
	if i.Registry == nil {
		return imageProgram{}, fault.AsPoison(errors.New("no registry is asked, and --image-programs does not know it"))
	}
	p, err := i.Registry.Program(ctx, who, image)
	return imageProgram(p), err
}

func untagged(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[:i]
	}
	return name
}
