package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// Limits of what is read from one commit: generous for manifests, harmless for
// memory.
const (
	MaxFiles = 20_000
	MaxBytes = 64 << 20
)

// ErrLimit is wrapped by errors about a tree that is too large to read.
var ErrLimit = errors.New("the tree is too large")

// Commit is what is known about a commit.
type Commit struct {
	SHA     string
	Message string
	Root    string // tree of the whole repository
	Tree    string // tree of the path that was asked for
	Author  string // name <address>
}

// Describe reads a commit and finds the tree of a path in it.
func (m *Mirror) Describe(ctx context.Context, commit, dir string) (Commit, error) {
	c := Commit{SHA: commit}
	spec := commit + "^{tree}"
	if dir = clean(dir); dir != "" {
		spec = commit + ":" + dir
	}
	out, err := m.run(
		ctx, strings.NewReader("contents "+commit+"\ninfo "+spec+"\n"), nil, "cat-file", "--batch-command",
	)
	if err != nil {
		return c, fmt.Errorf("read commit %s: %w", commit, err)
	}
	header, rest, _ := bytes.Cut(out, []byte("\n"))
	fields := strings.Fields(string(header))
	if len(fields) != 3 || fields[1] != "commit" {
		return c, fmt.Errorf("read commit %s: %s", commit, header)
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil || size+1 > len(rest) {
		return c, fmt.Errorf("read commit %s: answer is cut", commit)
	}
	head, message, _ := strings.Cut(string(rest[:size]), "\n\n")
	c.Message = message
	for line := range strings.Lines(head) {
		if tree, ok := strings.CutPrefix(line, "tree "); ok {
			c.Root = strings.TrimSpace(tree)
		}
		if author, ok := strings.CutPrefix(line, "author "); ok {
			c.Author, _, _ = strings.Cut(author, "> ")
			c.Author += ">"
		}
	}
	info := strings.Fields(string(rest[size+1:]))
	if len(info) != 3 || info[1] != "tree" {
		return c, fmt.Errorf("path %q: %w at %s", dir, ErrNoPath, commit)
	}
	c.Tree = info[0]
	return c, nil
}

// ErrNoPath is wrapped by errors about a path that is not there.
var ErrNoPath = errors.New("there is no such directory")

// clean makes a path relative to the root; it cannot leave it.
func clean(dir string) string { return strings.TrimPrefix(path.Clean("/"+dir), "/") }

type entry struct {
	path string
	sha  string
	size int
	link bool
}

// Files reads the wanted files of a tree. Symbolic links become copies of what
// they point to, which must be in the same tree.
func (m *Mirror) Files(ctx context.Context, tree string, wanted func(path string) bool) (map[string][]byte, error) {
	out, err := m.run(ctx, nil, nil, "ls-tree", "-r", "-z", "-l", "--full-tree", tree)
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", tree, err)
	}
	entries, err := parseTree(string(out), wanted)
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", tree, err)
	}
	contents, err := m.blobs(ctx, entries)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", tree, err)
	}
	files, links := map[string][]byte{}, map[string]string{}
	for _, e := range entries {
		if e.link {
			links[e.path] = string(contents[e.sha])
			continue
		}
		files[e.path] = contents[e.sha]
	}
	return files, follow(files, links)
}

func parseTree(listing string, wanted func(string) bool) ([]entry, error) {
	var out []entry
	total := 0
	for record := range strings.SplitSeq(strings.TrimSuffix(listing, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(record, "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 4 || fields[1] != "blob" || !wanted(name) {
			continue // submodules are not followed
		}
		size, err := strconv.Atoi(fields[3])
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", name, err)
		}
		total += size
		if len(out) >= MaxFiles || total > MaxBytes {
			return nil, fmt.Errorf("%w: over %d files or %d bytes", ErrLimit, MaxFiles, MaxBytes)
		}
		out = append(out, entry{path: name, sha: fields[2], size: size, link: fields[0] == "120000"})
	}
	return out, nil
}

func (m *Mirror) blobs(ctx context.Context, entries []entry) (map[string][]byte, error) {
	var ask strings.Builder
	for _, e := range entries {
		ask.WriteString(e.sha + "\n")
	}
	if ask.Len() == 0 {
		return nil, nil
	}
	out, err := m.run(ctx, strings.NewReader(ask.String()), nil, "cat-file", "--batch", "--buffer")
	if err != nil {
		return nil, err
	}
	contents := make(map[string][]byte, len(entries))
	r := bufio.NewReader(bytes.NewReader(out))
	for _, e := range entries {
		if _, err := r.ReadString('\n'); err != nil {
			return nil, fmt.Errorf("blob of %s: %w", e.path, err)
		}
		text := make([]byte, e.size+1)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, fmt.Errorf("blob of %s: %w", e.path, err)
		}
		contents[e.sha] = text[:e.size]
	}
	return contents, nil
}

// ErrLink is wrapped by errors about a symbolic link that leaves its tree.
var ErrLink = errors.New("symbolic link points out of the tree")

// follow replaces links by copies. Links to links are followed as often as there
// are links.
func follow(files map[string][]byte, links map[string]string) error {
	for name, target := range links {
		if path.IsAbs(target) {
			return fmt.Errorf("%s: %w", name, ErrLink)
		}
		to := path.Join(path.Dir(name), target)
		if to == ".." || strings.HasPrefix(to, "../") {
			return fmt.Errorf("%s: %w", name, ErrLink)
		}
		links[name] = to
	}
	budget := MaxBytes
	for name := range links {
		to := links[name]
		for hops := 0; hops < len(links) && links[to] != ""; hops++ {
			to = links[to]
		}
		for from, text := range files {
			rest, below := strings.CutPrefix(from, to+"/")
			if from != to && (!below || links[from] != "" || strings.HasPrefix(name+"/", to+"/")) {
				continue
			}
			copied := name
			if below {
				copied = name + "/" + rest
			}
			if budget -= len(text); budget < 0 {
				return fmt.Errorf("%w: links", ErrLimit)
			}
			if _, taken := files[copied]; !taken {
				files[copied] = text
			}
		}
	}
	return nil
}
