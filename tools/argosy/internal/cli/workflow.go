package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	flowlint "github.com/argosy-mesh/argosy/libs/flow/lint"
	"github.com/argosy-mesh/argosy/libs/flow/workflowtest"
	"github.com/spf13/cobra"
)

func (a *app) workflow() *cobra.Command {
	c := &cobra.Command{
		Use:   "workflow",
		Short: "Judge, play and run Workflows without a cluster; look at those of a cluster, and at those that are gone",
	}
	c.AddCommand(
		a.workflowLint(), a.workflowTest(), a.workflowRun(), a.workflowList(), a.workflowGet(), a.workflowResubmit(),
	)
	return c
}

func (a *app) workflowLint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE|DIR...",
		Short: "Say what is wrong with manifests of workflows, templates and cron workflows",
		Args:  args(1, -1),
		RunE: func(_ *cobra.Command, names []string) error {
			files, err := filesIn(names, ".yaml", ".yml", ".json")
			if err != nil {
				return err
			}
			return a.lintFiles(files, flowlint.Kinds, flowlint.Manifest)
		},
	}
}

// filesIn returns the files that names stand for: a folder stands for those below it
// that end in one of some ways.
func filesIn(names []string, endings ...string) ([]string, error) {
	var out []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, name)
			continue
		}
		err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains(endings, filepath.Ext(path)) {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// plays are the verdicts on some transcripts.
type plays []playVerdict

type playVerdict struct {
	File  string `json:"file"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Got   string `json:"got,omitempty"`
	Want  string `json:"want,omitempty"`
}

func (p plays) text(w io.Writer) {
	failed := 0
	for _, one := range p {
		if one.OK {
			fmt.Fprintf(w, "ok    %s\n", one.File)
			continue
		}
		failed++
		fmt.Fprintf(w, "FAIL  %s%s\n", one.File, suffixed(one.Error))
		for _, line := range changes(one.Want, one.Got) {
			fmt.Fprintf(w, "      %s\n", printable(line))
		}
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", len(p)-failed, failed)
}

func suffixed(message string) string {
	if message == "" {
		return ""
	}
	return ": " + printable(message)
}

// changes are the lines of two texts that only one of them has, in order.
func changes(want, got string) []string {
	var out []string
	left, right := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	for _, line := range left {
		if !slices.Contains(right, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range right {
		if !slices.Contains(left, line) {
			out = append(out, "+ "+line)
		}
	}
	if len(out) == 0 {
		out = append(out, "the same lines come in another order")
	}
	return out
}

func (a *app) workflowTest() *cobra.Command {
	update := false
	c := &cobra.Command{
		Use:   "test FILE|DIR...",
		Short: "Play transcripts of workflows in virtual time, and compare the trees that come of them",
		Args:  args(1, -1),
		Long: `Play transcripts: files *.txt of three parts, parted by lines of "----".
The first is a manifest (or "manifest: FILE"), the second what happens outside, line by line; pods it does not name succeed:
  NODE: PHASE [code=N] [result=TEXT] [message=TEXT] [ip=ADDRESS] [artifact=NAME] [container=NAME:CODE] [PARAMETER=VALUE ...]
  found KIND NAME [KEY] = YAML
  resume NODE [PARAMETER=VALUE ...]
The third is the tree that must come of it; --update writes it.`,
		RunE: func(_ *cobra.Command, names []string) error {
			files, err := filesIn(names, ".txt")
			if err != nil {
				return err
			}
			if len(files) == 0 {
				return fmt.Errorf("%w: no transcript (*.txt) is in %s", errUsage, strings.Join(names, ", "))
			}
			all, wrong := plays{}, false
			for _, file := range files {
				verdict := playFile(file, update)
				all, wrong = append(all, verdict), wrong || !verdict.OK
			}
			if err := a.print(all); err != nil {
				return err
			}
			if wrong {
				return errFound
			}
			return nil
		},
	}
	c.Flags().BoolVar(&update, "update", false, "write what comes of each transcript into it")
	return c
}

func playFile(file string, update bool) playVerdict {
	verdict := playVerdict{File: file}
	text, err := os.ReadFile(file)
	var transcript workflowtest.Transcript
	if err == nil {
		transcript, err = workflowtest.Parse(string(text), filepath.Dir(file))
	}
	if err == nil {
		verdict.Want = transcript.Want
		verdict.Got, err = transcript.Play()
	}
	if err == nil && update && verdict.Got != verdict.Want {
		err = os.WriteFile(file, []byte(transcript.With(verdict.Got)), 0o644)
		verdict.Want = verdict.Got
	}
	if err == nil && verdict.Got != verdict.Want {
		err = errors.New("another tree came of it")
	}
	if err != nil {
		verdict.Error = err.Error()
		return verdict
	}
	return playVerdict{File: file, OK: true}
}
