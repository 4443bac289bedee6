package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/argosy-mesh/argosy/libs/script"
)

// limits of the templates of names and messages.
var limits = script.Limits{Steps: 100_000, Bytes: 16 << 10}

// Updated is one image that a commit updates.
type Updated struct {
	Name, Alias    string
	OldTag, NewTag string
}

// Batch is what one commit updates.
type Batch struct {
	Application, Namespace string // the first of several
	Images                 []Updated
}

// data is what templates see: AppName, AppNamespace, Images and AppChanges (the same, by the name that messages know),
// and SHA256, which tells batches apart.
func (b Batch) data() map[string]any {
	sum := sha256.New()
	var images []any
	for _, i := range b.Images {
		_, _ = fmt.Fprintf(sum, "%s\x00%s\x00", i.Name, i.NewTag) // a hash never fails
		images = append(images, map[string]any{
			"Name": i.Name, "Image": i.Name, "Alias": i.Alias, "OldTag": i.OldTag, "NewTag": i.NewTag,
		})
	}
	return map[string]any{
		"AppName": b.Application, "AppNamespace": b.Namespace, "Images": images, "AppChanges": images,
		"SHA256": hex.EncodeToString(sum.Sum(nil)),
	}
}

func checkTemplate(text string) error {
	if text == "" {
		return nil
	}
	_, err := script.CompileTemplate(text)
	return err
}

func (b Batch) render(text string) (string, error) {
	t, err := script.CompileTemplate(text)
	if err != nil {
		return "", err
	}
	out, err := t.Execute(b.data(), limits)
	return strings.TrimSpace(out), err
}

// maxBranch is how long a name of a branch may be.
const maxBranch = 200

// BranchName renders the name of the branch that is written.
func (b Batch) BranchName(text string) (string, error) {
	name, err := b.render(text)
	if err != nil {
		return "", fmt.Errorf("branch: %w", err)
	}
	if name == "" || len(name) > maxBranch {
		return "", fmt.Errorf("branch: the template gives %d bytes; a name has 1 to %d", len(name), maxBranch)
	}
	return name, nil
}

// Message renders the message of the commit, "" for ours. What a template writes cannot pass for trailers: it ends in
// an empty line.
func (b Batch) Message(text string) (string, error) {
	if text == "" {
		return b.plainMessage(), nil
	}
	message, err := b.render(text)
	if err != nil {
		return "", fmt.Errorf("commit message: %w", err)
	}
	if message == "" {
		return b.plainMessage(), nil
	}
	return message + "\n\n", nil
}

func (b Batch) plainMessage() string {
	var out strings.Builder
	fmt.Fprintf(&out, "build: automatic update of %s\n\n", b.Application)
	for _, i := range b.Images {
		fmt.Fprintf(&out, "updates image %s to %s\n", i.Name, i.NewTag)
	}
	return out.String() + "\n"
}
