package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"
)

// maxChartFile bounds a file of a chart, in bytes. Source: Helm.
const maxChartFile = 5 << 20

// Unpack reads an archive of gzipped tar, such as a chart's, within limits. strip takes off the first folder, which
// archives of charts have. Links and devices are left out.
func Unpack(data []byte, strip bool) (map[string][]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return unpackTar(zipped, strip)
}

// UnpackTar reads an archive of tar as Unpack does.
func UnpackTar(data []byte) (map[string][]byte, error) {
	return unpackTar(bytes.NewReader(data), false)
}

func unpackTar(from io.Reader, strip bool) (map[string][]byte, error) {
	out := map[string][]byte{}
	// What comes out of an archive is bounded, whatever its headers say.
	limited := &io.LimitedReader{R: from, N: maxBytes + 1}
	r, total := tar.NewReader(limited), int64(0)
	for n := 0; ; n++ {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if limited.N <= 0 || n >= maxFiles {
			return nil, fmt.Errorf("unpack: %w: over %d files or %d bytes", ErrLimit, maxFiles, maxBytes)
		}
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		name, err := unpackedName(head.Name, strip)
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		// A file with holes is larger than what is read for it.
		if total += head.Size; total > maxBytes {
			return nil, fmt.Errorf("unpack: %w: over %d bytes", ErrLimit, maxBytes)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", name, err)
		}
		out[name] = text
	}
}

// unpackedName is the path of a file of an archive, which may not lead out of it.
func unpackedName(raw string, strip bool) (string, error) {
	name := strings.ReplaceAll(raw, `\`, "/")
	if path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("%q leaves the archive", raw)
	}
	if name = path.Clean(name); !strip {
		return name, nil
	}
	_, rest, ok := strings.Cut(name, "/")
	if !ok {
		return "", fmt.Errorf("%q is in no folder; charts are packed as NAME/Chart.yaml", raw)
	}
	return rest, nil
}

// chartOf makes a chart of the files of its folder, without what its .helmignore names.
func chartOf(files map[string][]byte) (*chart.Chart, error) {
	if files["Chart.yaml"] == nil {
		return nil, errors.New("there is no Chart.yaml")
	}
	rules := ignore.Empty()
	if text := files[ignore.HelmIgnore]; text != nil {
		parsed, err := ignore.Parse(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ignore.HelmIgnore, err)
		}
		rules = parsed
	}
	rules.AddDefaults()
	// Helm reads folders in the order of names: a-b comes behind what is in a.
	names := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
	var buffered []*archive.BufferedFile
	for _, name := range names {
		if ignored(rules, name) {
			continue
		}
		if len(files[name]) > maxChartFile {
			return nil, fmt.Errorf("%s is over %d bytes; name it in %s", name, maxChartFile, ignore.HelmIgnore)
		}
		buffered = append(
			buffered, &archive.BufferedFile{Name: name, Data: bytes.TrimPrefix(files[name], []byte("\xef\xbb\xbf"))},
		)
	}
	return chartloader.LoadFiles(buffered)
}

// ignored reports whether rules name a file or a folder that it is in.
func ignored(rules *ignore.Rules, name string) bool {
	for i := range name {
		if name[i] == '/' && rules.Ignore(name[:i], entryInfo{name: path.Base(name[:i]), dir: true}) {
			return true
		}
	}
	return rules.Ignore(name, entryInfo{name: path.Base(name)})
}

// entryInfo describes a file that is in memory.
type entryInfo struct {
	name string
	size int
	dir  bool
}

// Name is the last part of the path.
func (e entryInfo) Name() string { return e.name }

// Size is in bytes.
func (e entryInfo) Size() int64 { return int64(e.size) }

// Mode tells folders from files.
func (e entryInfo) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// ModTime is always the same.
func (entryInfo) ModTime() time.Time { return time.Time{} }

// IsDir reports whether it is a folder.
func (e entryInfo) IsDir() bool { return e.dir }

// Sys is nothing.
func (entryInfo) Sys() any { return nil }

// complete adds the dependencies that charts/ does not have: at the versions of Chart.lock, else the best ones that
// Chart.yaml allows.
func complete(c *chart.Chart, f *files, passCredentials bool) error {
	have := map[string]bool{}
	for _, d := range c.Dependencies() {
		have[d.Name()] = true
	}
	locked := map[string]*chart.Dependency{}
	if c.Lock != nil {
		for _, d := range c.Lock.Dependencies {
			locked[d.Name] = d
		}
	}
	for _, d := range c.Metadata.Dependencies {
		if have[d.Name] {
			continue
		}
		have[d.Name] = true
		version := d.Version
		if l := locked[d.Name]; l != nil && l.Repository == d.Repository {
			version = l.Version
		}
		sub, err := dependency(d, version, f, passCredentials)
		if err != nil {
			return fmt.Errorf("chart %q: dependency %q: %w", c.Name(), d.Name, err)
		}
		c.AddDependency(sub)
	}
	return nil
}

func dependency(d *chart.Dependency, version string, f *files, passCredentials bool) (*chart.Chart, error) {
	fail := func(err error) (*chart.Chart, error) { return nil, fmt.Errorf("%w: %w", ErrSource, err) }
	if d.Repository == "" {
		return fail(errors.New("it is missing in charts/ and names no repository"))
	}
	if local, ok := strings.CutPrefix(d.Repository, "file://"); ok {
		tree, at, err := f.locate("Chart.yaml, repository", local)
		if err != nil {
			return nil, err
		}
		found, ok, err := f.below(tree, at)
		if err != nil {
			return nil, err
		}
		if !ok {
			return fail(fmt.Errorf("%s: there is no such directory", d.Repository))
		}
		c, err := chartOf(found)
		if err != nil {
			return fail(fmt.Errorf("%s: %w", d.Repository, err))
		}
		return c, nil
	}
	found, err := f.fetch(Fetch{Chart: &ChartRef{
		Repo: d.Repository, Name: d.Name, Version: version, PassCredentials: passCredentials,
	}})
	if err != nil {
		return nil, err
	}
	unpacked, err := Unpack(found.Data, true)
	if err != nil {
		return fail(err)
	}
	c, err := chartOf(unpacked)
	if err != nil {
		return fail(err)
	}
	return c, nil
}
