package hydration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Files of a branch that tell what it is of. Source: Argo CD.
const (
	ManifestFile = "manifest.yaml"
	MetadataFile = "hydrator.metadata"
	ReadmeFile   = "README.md"
	// NotesRef holds, for commits of hydrated branches, the last dry commit that they are of: one that changed nothing
	// makes no commit.
	NotesRef = "refs/notes/hydrator.metadata"
)

// Dry is a commit that is rendered.
type Dry struct {
	Repository string
	SHA        string
	Author     string // name <address>
	Date       time.Time
	Message    string
}

// Metadata is what hydrator.metadata says. Source: Argo CD.
type Metadata struct {
	RepoURL    string      `json:"repoURL,omitempty"`
	DrySHA     string      `json:"drySha,omitempty"`
	Author     string      `json:"author,omitempty"`
	Date       string      `json:"date,omitempty"` // RFC 3339
	Subject    string      `json:"subject,omitempty"`
	Body       string      `json:"body,omitempty"`
	References []Reference `json:"references,omitempty"`
}

// Reference is what a dry commit came of, such as a commit of the program that it deploys.
type Reference struct {
	Commit *ReferencedCommit `json:"commit,omitempty"`
}

// ReferencedCommit is a commit elsewhere.
type ReferencedCommit struct {
	Author  string `json:"author,omitempty"`
	Date    string `json:"date,omitempty"`
	Subject string `json:"subject,omitempty"`
	Body    string `json:"body,omitempty"`
	SHA     string `json:"sha,omitempty"`
	RepoURL string `json:"repoURL,omitempty"`
}

// referenceTrailer begins the trailers of a dry commit that say what it came of. Source: Argo CD.
const referenceTrailer = "Argocd-reference-commit-"

// ownTrailer begins those of our own chain, which a hydrated commit has anew.
const ownTrailer = "Argosy-"

// reference reads the trailers of a message; nil when it has none. Anyone who may push writes them.
func reference(message string) *ReferencedCommit {
	var c ReferencedCommit
	for line := range strings.Lines(message) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		key, is := strings.CutPrefix(name, referenceTrailer)
		if !ok || !is || len(value) > 4<<10 {
			continue
		}
		switch key {
		case "author":
			c.Author = value
		case "date":
			if _, err := time.Parse(time.RFC3339, value); err == nil {
				c.Date = value
			}
		case "subject":
			c.Subject = value
		case "body":
			if json.Unmarshal([]byte(value), &c.Body) != nil { // it is quoted, to be one line
				c.Body = ""
			}
		case "sha":
			c.SHA = value
		case "repourl":
			c.RepoURL = value
		}
	}
	if c == (ReferencedCommit{}) {
		return nil
	}
	return &c
}

// Metadata is what the branch says of a dry commit.
func (d Dry) Metadata() Metadata {
	subject, body := d.text()
	m := Metadata{RepoURL: d.Repository, DrySHA: d.SHA, Author: d.Author, Subject: subject, Body: body}
	if !d.Date.IsZero() {
		m.Date = d.Date.Format(time.RFC3339)
	}
	if c := reference(d.Message); c != nil {
		m.References = []Reference{{Commit: c}}
	}
	return m
}

// text is the message of a dry commit without what continues a chain: that is not this commit's.
func (d Dry) text() (subject, body string) {
	subject, rest, _ := strings.Cut(strings.TrimSpace(d.Message), "\n")
	var kept []string
	for line := range strings.SplitSeq(strings.TrimSpace(rest), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), ownTrailer) {
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(subject), strings.TrimSpace(strings.Join(kept, "\n"))
}

// CommitMessage is that of a commit that hydrates a dry one. trailers continue its chain.
func (d Dry) CommitMessage(trailers string) string {
	subject, body := d.text()
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n\n", d.SHA[:min(7, len(d.SHA))], subject)
	if body != "" {
		out.WriteString(body + "\n\n")
	}
	if d.Author != "" {
		out.WriteString("Co-authored-by: " + d.Author + "\n")
	}
	out.WriteString(trailers)
	return out.String()
}

// Note is what the notes of a hydrated commit say of a dry one.
func (d Dry) Note() []byte {
	text, _ := json.Marshal(Metadata{DrySHA: d.SHA}) // texts alone
	return text
}

// Folder is what stands in the folder of an Application.
type Folder struct {
	App      App
	Manifest []byte
}

// sealed begins a value that SOPS encrypted.
const sealed = "ENC[AES256_GCM,"

// ErrSealed is wrapped by the error about manifests with encrypted values.
var ErrSealed = errors.New("its manifests have values that SOPS encrypted")

// NewFolder writes the manifests of an Application into one file, in their order. What is encrypted stays out of Git
// in plain, and what would be put together of encrypted files cannot be opened.
func NewFolder(a App, manifests []map[string]any) (Folder, error) {
	var out bytes.Buffer
	for _, m := range manifests {
		text, err := yaml.Marshal(m)
		if err != nil {
			return Folder{}, fmt.Errorf("write manifests: %w", err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	if bytes.Contains(out.Bytes(), []byte(sealed)) {
		return Folder{}, fmt.Errorf(
			"%w: hydrated they would stand in Git in plain; take secrets out of the dry source, or use spec.source",
			ErrSealed,
		)
	}
	return Folder{a, out.Bytes()}, nil
}

// Name is that of the file with the manifests.
func (f Folder) Name() string { return path.Join(Path(f.App.Spec), ManifestFile) }

// Files are those of a commit: of the folders that changed, and of the branch.
func Files(d Dry, changed []Folder) (map[string][]byte, error) {
	all, err := json.MarshalIndent(d.Metadata(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	one, err := json.MarshalIndent(Metadata{RepoURL: d.Repository, DrySHA: d.SHA}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	out := map[string][]byte{MetadataFile: append(all, '\n')}
	for _, f := range changed {
		at := Path(f.App.Spec)
		out[f.Name()] = f.Manifest
		out[path.Join(at, MetadataFile)] = append(bytes.Clone(one), '\n')
		out[path.Join(at, ReadmeFile)] = readme(d, f.App)
	}
	return out, nil
}

func readme(d Dry, a App) []byte {
	return fmt.Appendf(nil, "# Manifests of %s\n\nRendered from `%s` of %s at commit `%s`, and written by a program: "+
		"change the source, not these files.\n", a.Name, a.Spec.DrySource.Path, d.Repository, d.SHA)
}
