package git

import (
	"context"
	"fmt"
	"strings"
)

// MaxAncestors bounds how many commits of a history are looked at.
const MaxAncestors = 20_000

// Signed is an object that may be signed.
type Signed struct {
	ID   string
	Kind string // commit or tag
	Data []byte // as Git stores it
}

// Parents are the commits before a commit.
func (s Signed) Parents() []string {
	var out []string
	for line := range strings.Lines(string(s.Data)) {
		if line == "\n" {
			break
		}
		if id, ok := strings.CutPrefix(line, "parent "); ok {
			out = append(out, strings.TrimSpace(id))
		}
	}
	return out
}

// Object is the id of what a tag names.
func (s Signed) Object() string {
	first, _, _ := strings.Cut(string(s.Data), "\n")
	id, _ := strings.CutPrefix(first, "object ")
	return id
}

// Message is that of a commit.
func (s Signed) Message() string {
	_, message, _ := strings.Cut(string(s.Data), "\n\n")
	return message
}

// Tag returns the annotated tag that a revision names, which must have been resolved; nil when it names none.
func (m *Mirror) Tag(ctx context.Context, revision string, want Want) (*Signed, error) {
	if revision == "" || isSHA(revision) {
		return nil, nil //nolint:nilnil // it names no tag
	}
	ref, err := m.refOf(ctx, revision, want)
	if err != nil || !strings.HasPrefix(ref, "refs/tags/") {
		return nil, err
	}
	read, err := m.objects.read(ctx, m.current(), true, []string{"refs/argosy/" + strings.TrimPrefix(ref, "refs/")})
	if err != nil {
		return nil, fmt.Errorf("read tag %s: %w", revision, err)
	}
	if read[0].Kind != "tag" {
		return nil, nil //nolint:nilnil // one that is no more than a name
	}
	return &Signed{ID: read[0].ID, Kind: read[0].Kind, Data: read[0].Data}, nil
}

// Commits reads commits as Git stores them; those that are not in the mirror are left out.
func (m *Mirror) Commits(ctx context.Context, ids []string) ([]Signed, error) {
	read, err := m.objects.read(ctx, m.current(), true, ids)
	if err != nil {
		return nil, fmt.Errorf("read commits: %w", err)
	}
	out := make([]Signed, 0, len(read))
	for _, o := range read {
		if o.Kind == "commit" {
			out = append(out, Signed{ID: o.ID, Kind: o.Kind, Data: o.Data})
		}
	}
	return out, nil
}

// FetchHistory has the commits before a commit in the mirror, at most as many as are looked at; their files are left
// out where the server can do that.
func (m *Mirror) FetchHistory(ctx context.Context, commit string) error {
	if _, err := m.run(
		ctx, nil, nil, "fetch", "--quiet", "--no-tags", "--filter=tree:0", fmt.Sprintf("--depth=%d", MaxAncestors),
		"--no-write-fetch-head", "--end-of-options", m.url, commit,
	); err != nil {
		return fmt.Errorf("fetch the history of commit %s of %s: %w", commit, redact(m.url), err)
	}
	return nil
}
