package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// Note writes a note about a commit of the mirror and pushes it, if the notes are still where they were read;
// otherwise it is written again on top of what others wrote. One that says the same already stays as it is.
func (m *Mirror) Note(ctx context.Context, author, ref, commit string, text []byte) error {
	var err error
	for range attempts {
		if err = m.noteOnce(ctx, author, ref, commit, text); !errors.Is(err, ErrMoved) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("note about %s: %w", commit, err)
	}
	return nil
}

func (m *Mirror) noteOnce(ctx context.Context, author, ref, commit string, text []byte) error {
	t := m.tracked(ref)
	t.mu.Lock()
	defer t.mu.Unlock()
	was, err := m.fetchNotes(ctx, ref)
	if err != nil {
		return err
	}
	if was != "" {
		// That there is none is an error, too.
		old, err := m.run(ctx, nil, nil, "notes", "--ref", ref, "show", commit)
		if err == nil && bytes.Equal(bytes.TrimSpace(old), bytes.TrimSpace(text)) {
			return nil
		}
	}
	if _, err := m.run(
		ctx, bytes.NewReader(text), identity(author), "notes", "--ref", ref, "add", "-f", "-F", "-", commit,
	); err != nil {
		return err
	}
	next, err := m.line(ctx, nil, nil, "rev-parse", "--verify", "--end-of-options", ref)
	if err != nil {
		return err
	}
	return m.push(ctx, ref, was, next)
}

// fetchNotes has the notes of the mirror be those of the remote, and returns where they are; "" when there are none.
func (m *Mirror) fetchNotes(ctx context.Context, ref string) (string, error) {
	out, err := m.run(ctx, nil, nil, "ls-remote", "--end-of-options", m.url, ref)
	if err != nil {
		return "", fmt.Errorf("list refs of %s: %w", redact(m.url), err)
	}
	if strings.TrimSpace(string(out)) == "" {
		_, err := m.run(ctx, nil, nil, "update-ref", "-d", ref)
		return "", err
	}
	if _, err := m.run(
		ctx, nil, nil, "fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head", "--end-of-options", m.url,
		"+"+ref+":"+ref,
	); err != nil {
		return "", fmt.Errorf("fetch %s of %s: %w", ref, redact(m.url), err)
	}
	return m.line(ctx, nil, nil, "rev-parse", "--verify", "--end-of-options", ref)
}
