package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// Bounds of what a repository says of its submodules.
const (
	maxModules     = 1000
	maxModulesFile = 1 << 20 // bytes of .gitmodules
)

// Links are the submodules below a tree: their commits by their paths.
func (m *Mirror) Links(ctx context.Context, tree string) (map[string]string, error) {
	out, err := m.run(ctx, nil, nil, "ls-tree", "-r", "-z", "--full-tree", tree)
	if err != nil {
		return nil, fmt.Errorf("list submodules of tree %s: %w", tree, err)
	}
	links := map[string]string{}
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		about, name, ok := strings.Cut(record, "\t")
		if fields := strings.Fields(about); ok && len(fields) == 3 && fields[0] == "160000" {
			links[name] = fields[2]
		}
		if len(links) > maxModules {
			return nil, fmt.Errorf("%w: over %d submodules", ErrLimit, maxModules)
		}
	}
	return links, nil
}

// Modules are the repositories of the submodules of a commit, by their paths; nil when it has none. URLs that are
// relative are so to the repository's own.
func (m *Mirror) Modules(ctx context.Context, commit string) (map[string]string, error) {
	read, err := m.objects.read(ctx, m.current(), false, []string{commit + ":.gitmodules"})
	if err != nil {
		return nil, fmt.Errorf("read .gitmodules at %s: %w", commit, err)
	}
	if read[0].Kind != "blob" {
		return nil, nil //nolint:nilnil // no submodules
	}
	if read[0].Size > maxModulesFile {
		return nil, fmt.Errorf("%w: .gitmodules has %d bytes", ErrLimit, read[0].Size)
	}
	text, err := m.File(ctx, commit, ".gitmodules")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for p, location := range ParseModules(string(text)) {
		if out[p], err = Relative(m.url, location); err != nil {
			return nil, fmt.Errorf(".gitmodules: submodule %s: %w", p, err)
		}
	}
	return out, nil
}

// ParseModules reads the paths and URLs of a .gitmodules. What is not whole is left out, as git does.
func ParseModules(text string) map[string]string {
	out := map[string]string{}
	var at, location string
	end := func() {
		if at != "" && location != "" && len(out) < maxModules {
			out[at] = location
		}
		at, location = "", ""
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxModulesFile+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			end()
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "path":
			at = clean(value)
		case "url":
			location = value
		}
	}
	end()
	return out
}

// Relative is a location of a submodule as seen from the repository that names it.
func Relative(base, location string) (string, error) {
	if !strings.HasPrefix(location, "./") && !strings.HasPrefix(location, "../") {
		return location, nil
	}
	prefix, rest := "", strings.TrimSuffix(base, "/")
	if i := strings.Index(rest, "://"); i >= 0 {
		slash := strings.Index(rest[i+3:], "/")
		if slash < 0 {
			return "", fmt.Errorf("%q leads out of %s", location, redact(base))
		}
		prefix, rest = rest[:i+3+slash], rest[i+3+slash:]
	} else if host, where, ok := strings.Cut(rest, ":"); ok {
		prefix, rest = host+":", where
	}
	rooted := strings.HasPrefix(rest, "/")
	for {
		switch {
		case strings.HasPrefix(location, "./"):
			location = location[2:]
			continue
		case strings.HasPrefix(location, "../"):
			if rest = strings.TrimSuffix(rest, "/"); rest == "" || rest == "." {
				return "", errors.New("it leads out of the server")
			}
			if location = location[3:]; strings.Contains(rest, "/") {
				rest = path.Dir(rest)
			} else {
				rest = ""
			}
			continue
		}
		break
	}
	joined := path.Join(rest, location)
	if rooted && !strings.HasPrefix(joined, "/") {
		joined = "/" + joined
	}
	return prefix + joined, nil
}

// URL is where the repository is.
func (m *Mirror) URL() string { return m.url }
