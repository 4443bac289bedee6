// Package workflowtest plays workflows without a cluster, in virtual time: a manifest
// and what its pods will do go in, the tree of nodes and the final phase come out. It
// is the engine itself that decides, so what holds here holds in the cluster.
package workflowtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mark parts a transcript.
const mark = "----\n"

// Transcript is one play, in three parts that are parted by lines of "----".
type Transcript struct {
	// Manifest is what is played: a Workflow or CronWorkflow with the WorkflowTemplates, ClusterWorkflowTemplates and
	// ConfigMaps that it refers to; or templates alone, of which the last is played. The line "manifest: FILE" stands
	// for the content of a file beside the transcript.
	Manifest string
	// Script is what happens outside, line by line. Pods that it does not name succeed at once with exit code 0.
	//
	//	NODE: PHASE [code=N] [result=TEXT] [message=TEXT] [ip=ADDRESS] [ready] [broken] [artifact=NAME]
	//	  [container=NAME:CODE] [error=TEXT] [PARAMETER=VALUE ...]
	//	found KIND NAME [KEY] = YAML
	//	resume NODE [PARAMETER=VALUE ...]
	//	order suspend=true|false
	//	order shutdown=Stop|Terminate
	//
	// What people do, they do one after the other, each when nothing moves by itself.
	Script string
	// Want is what must come of it, as [Transcript.Play] prints it.
	Want string

	written string // the first part as it stands in the file
}

// Parse reads a transcript. Files that it names are looked up in dir.
func Parse(text, dir string) (Transcript, error) {
	parts := partsOf(text)
	if len(parts) < 2 {
		return Transcript{}, errors.New(`a transcript has a manifest, a script and what comes of it, parted by lines of "----"`)
	}
	t := Transcript{Manifest: parts[0], Script: parts[1], written: parts[0]}
	if len(parts) == 3 {
		t.Want = parts[2]
	}
	name, ok := strings.CutPrefix(strings.TrimSpace(parts[0]), "manifest: ")
	if !ok || strings.Contains(name, "\n") {
		return t, nil
	}
	manifest, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return t, fmt.Errorf("manifest: %w", err)
	}
	t.Manifest = string(manifest)
	return t, nil
}

// partsOf splits a text at its first two lines that are marks; others that only end so are none.
func partsOf(text string) []string {
	parts := []string{""}
	for line := range strings.Lines(text) {
		if line == mark && len(parts) < 3 {
			parts = append(parts, "")
			continue
		}
		parts[len(parts)-1] += line
	}
	return parts
}

// With returns the text of the transcript with another outcome.
func (t Transcript) With(want string) string { return t.written + mark + t.Script + mark + want }

// Play runs the workflow and returns what happened and the tree of nodes that came
// of it. An error says why it cannot be played, or not to an end.
func (t Transcript) Play() (string, error) {
	p, err := newPlay(t)
	if err != nil {
		return "", err
	}
	return p.run()
}
