package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spf13/cobra"

	"github.com/argosy-mesh/argosy/tools/images/internal/remote"
	"github.com/argosy-mesh/argosy/tools/images/internal/source"
)

// inherited are the environment variables that a workflow sets, and the
// annotations that carry them on: whoever sees the image knows its cause.
var inherited = map[string]string{
	"ARGOSY_TRACEPARENT":   "dev.argosy.traceparent",
	"ARGOSY_CORRELATIONID": "dev.argosy.correlationid",
	"ARGOSY_CAUSATIONID":   "dev.argosy.causationid",
}

// contextOptions are the flags of images context.
type contextOptions struct {
	context     source.Context
	dockerfile  string
	base, tag   string
	output      string
	annotations map[string]string
	labels      map[string]string
	push        bool
	insecure    bool
}

func newContext(getenv func(string) string) *cobra.Command {
	var o contextOptions
	command := &cobra.Command{
		Use:   "context --context DIR --tag REF --push",
		Short: "Build an image from a checkout; prints the reference by digest",
		Long: `Build an image from a checkout and a Dockerfile, of which FROM, COPY, WORKDIR, ENV,
ENTRYPOINT, CMD, USER, EXPOSE and LABEL are understood. Nothing is run: RUN is refused.
The same files give the same layers. ARGOSY_TRACEPARENT, ARGOSY_CORRELATIONID and
ARGOSY_CAUSATIONID of the environment become annotations and labels dev.argosy.*.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			for variable, key := range inherited {
				if value := getenv(variable); value != "" {
					o.annotations = with(o.annotations, key, value)
					o.labels = with(o.labels, key, value)
				}
			}
			return o.run(command)
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.context.Dir, "context", ".", "directory to build from")
	flags.Int64Var(&o.context.MaxBytes, "max-context-bytes", 256<<20, "most bytes to copy")
	flags.StringVar(&o.dockerfile, "dockerfile", "Dockerfile", "path within the context")
	flags.StringVar(&o.base, "base", "", "image to build on, or scratch; overrides FROM")
	flags.StringVar(&o.tag, "tag", "", "reference of the image (required)")
	flags.StringVar(&o.output, "output", "", "write an archive for localcluster load to this path")
	flags.StringToStringVar(&o.annotations, "annotation", nil, "KEY=VALUE on the manifest (repeatable)")
	flags.StringToStringVar(&o.labels, "label", nil, "KEY=VALUE in the configuration (repeatable)")
	flags.BoolVar(&o.push, "push", false, "push the image")
	flags.BoolVar(&o.insecure, "insecure", false, "plain HTTP, for the base and the push")
	_ = command.MarkFlagRequired("tag")
	return command
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func (o contextOptions) run(command *cobra.Command) error {
	if !o.push && o.output == "" {
		return fmt.Errorf("nothing to do with the image: give --push or --output FILE")
	}
	image, err := o.build(command)
	if err != nil {
		return err
	}
	if o.output != "" {
		tag, err := name.NewTag(o.tag)
		if err != nil {
			return fmt.Errorf("tag %q: %w", o.tag, err)
		}
		if err := tarball.WriteToFile(o.output, tag, image); err != nil {
			return fmt.Errorf("write archive: %w", err)
		}
	}
	if !o.push {
		return nil
	}
	digest, err := remote.Push(command.Context(), image, o.tag, o.insecure)
	if err != nil {
		return err
	}
	fmt.Fprintln(command.OutOrStdout(), digest)
	return nil
}

func (o contextOptions) build(command *cobra.Command) (v1.Image, error) {
	root, err := os.OpenRoot(o.context.Dir)
	if err != nil {
		return nil, fmt.Errorf("open context: %w", err)
	}
	defer root.Close()
	file, err := root.Open(filepath.Clean(o.dockerfile))
	if err != nil {
		return nil, fmt.Errorf("open Dockerfile: %w", err)
	}
	defer file.Close()
	instructions, err := source.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.dockerfile, err)
	}
	if len(instructions) == 0 || instructions[0].Name != "FROM" {
		return nil, fmt.Errorf("%s: the first instruction must be FROM", o.dockerfile)
	}
	ref := o.base
	if ref == "" {
		ref = instructions[0].Args[0]
	}
	base, err := remote.Base(command.Context(), ref, o.insecure)
	if err != nil {
		return nil, err
	}
	built, err := o.context.Build(base, instructions[1:])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.dockerfile, err)
	}
	return annotate(built, o.annotations, o.labels)
}

// annotate puts the annotations on the manifest, which has to be an OCI one
// for that, and the labels into the configuration.
func annotate(image v1.Image, annotations, labels map[string]string) (v1.Image, error) {
	old, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config := old.DeepCopy()
	if config.OS == "" {
		config.OS = "linux"
	}
	if config.Architecture == "" {
		config.Architecture = "amd64"
	}
	if config.Config.Labels == nil && len(labels) > 0 {
		config.Config.Labels = map[string]string{}
	}
	maps.Copy(config.Config.Labels, labels)
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	return mutate.Annotations(image, annotations).(v1.Image), nil
}
