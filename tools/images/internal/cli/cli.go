// Package cli is the command line of images.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/argosy-mesh/argosy/tools/images/internal/build"
	"github.com/argosy-mesh/argosy/tools/images/internal/recipe"
	"github.com/argosy-mesh/argosy/tools/images/internal/remote"
)

// Run runs the command and returns its exit code.
func Run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:          "images",
		Short:        "Make OCI images without a registry and without Docker",
		SilenceUsage: true, SilenceErrors: true,
	}
	commands := []*cobra.Command{newBuild(), newPush(), newContext(getenv)} //nolint:contextcheck // cobra hands it on
	root.AddCommand(commands...)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "images:", err)
		return 1
	}
	return 0
}

func newBuild() *cobra.Command {
	var b build.Builder
	var files, binaries []string
	command := &cobra.Command{
		Use:   "build --out DIR [NAME...]",
		Short: "Build image archives for localcluster load; prints their paths",
		Long: `Build docker archives, for localcluster load, from recipes: those of the files given
with -f, static binaries given with --binary, and the built-in stand-ins for well-known
images. Without NAME, all of the given ones are built, or, when none is given, all the
stand-ins. Archives whose inputs have not changed are kept.`,
		Example: `  images build --out .cache/images                                  # all stand-ins
  images build --out .cache/images --binary sensor=bin/sensor       # argosy/sensor:dev
  images build --out .cache/images -f deploy/demo/images.yaml ci    # one of a file`,
		RunE: func(command *cobra.Command, names []string) error {
			b.Progress = command.ErrOrStderr()
			images, err := choose(files, binaries, names)
			if err != nil {
				return err
			}
			for _, image := range images {
				path, err := b.Build(command.Context(), image)
				if err != nil {
					return err
				}
				fmt.Fprintln(command.OutOrStdout(), path)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&b.Out, "out", "", "directory of the archives (required)")
	flags.StringVar(&b.Cache, "cache", defaultCache(), "directory of downloaded Debian packages")
	flags.StringArrayVarP(&files, "file", "f", nil, "file of recipes (repeatable)")
	flags.StringArrayVar(
		&binaries, "binary", nil,
		"NAME=PATH[,PATH...]: image argosy/NAME:dev of static programs, the first its entrypoint (repeatable)",
	)
	_ = command.MarkFlagRequired("out")
	return command
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "argosy", "debs")
}

// choose picks the images to build. Names may be of any recipe, also of
// stand-ins when others are given.
func choose(files, binaries, names []string) ([]recipe.Image, error) {
	given, err := gather(files, binaries)
	if err != nil {
		return nil, err
	}
	standins, err := recipe.Standins()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if len(given) == 0 {
			return standins, nil
		}
		return given, nil
	}
	all := slices.Concat(given, standins)
	var chosen []recipe.Image
	for _, name := range names {
		i := slices.IndexFunc(all, func(image recipe.Image) bool { return image.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no recipe is called %q; there are: %v", name, namesOf(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func gather(files, binaries []string) ([]recipe.Image, error) {
	var given []recipe.Image
	for _, file := range files {
		images, err := recipe.Load(file)
		if err != nil {
			return nil, err
		}
		given = append(given, images...)
	}
	for _, spec := range binaries {
		image, err := recipe.Binary(spec)
		if err != nil {
			return nil, err
		}
		given = append(given, image)
	}
	return given, nil
}

func namesOf(images []recipe.Image) []string {
	names := make([]string, len(images))
	for i, image := range images {
		names[i] = image.Name
	}
	return names
}

func newPush() *cobra.Command {
	var insecure bool
	command := &cobra.Command{
		Use:   "push ARCHIVE REF",
		Short: "Push an image archive to a registry; prints the reference by digest",
		Args:  cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			image, err := remote.Archive(args[0])
			if err != nil {
				return err
			}
			digest, err := remote.Push(command.Context(), image, args[1], insecure)
			if err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), digest)
			return nil
		},
	}
	command.Flags().BoolVar(&insecure, "insecure", false, "plain HTTP")
	return command
}
