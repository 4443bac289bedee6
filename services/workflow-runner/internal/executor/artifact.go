package executor

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/wait"
	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// transferPatience is how long a transfer is tried again while the store is away:
// a restart of the runner or of the bus must not fail a step.
const transferPatience = 3 * time.Minute

// parameterLimit bounds the file of an output parameter.
const parameterLimit = 512 << 10

// errGone means that repeating is useless.
var errGone = errors.New("the store refuses")

// errAbsent is the store's answer that it has no such artifact.
var errAbsent = errors.New("not in the store")

// collect gathers everything the task asks for. The first thing missing makes the
// report an error, the rest is still collected.
func collect(ctx context.Context, task protocol.Task, output string) protocol.Termination {
	var report protocol.Termination
	var problems []string
	if task.Result {
		report.Result = &output
	}
	for _, p := range task.Parameters {
		value, err := readParameter(p.Path)
		if errors.Is(err, os.ErrNotExist) && p.Optional {
			continue
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("output parameter %q: %v", p.Name, err))
			continue
		}
		if report.Parameters == nil {
			report.Parameters = map[string]string{}
		}
		report.Parameters[p.Name] = value
	}
	for _, a := range task.Artifacts {
		if _, err := os.Lstat(a.Path); errors.Is(err, os.ErrNotExist) && a.Optional {
			continue
		}
		if err := saveOne(ctx, a); err != nil {
			problems = append(problems, fmt.Sprintf("output artifact %q: %v", a.Name, err))
			continue
		}
		report.Artifacts = append(report.Artifacts, a.Name)
	}
	if task.Logs != nil {
		if err := saveOne(ctx, *task.Logs); err != nil {
			problems = append(problems, fmt.Sprintf("logs: %v", err))
		} else {
			report.Artifacts = append(report.Artifacts, task.Logs.Name)
		}
	}
	report.Error = strings.Join(problems, "; ")
	return report
}

func errorReport(message string) protocol.Termination {
	return protocol.Termination{Report: protocol.Report{Error: message}}
}

func readParameter(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, parameterLimit+1))
	if err != nil {
		return "", err
	}
	if len(raw) > parameterLimit {
		return "", fmt.Errorf("%s is over %d bytes; use an artifact", path, parameterLimit)
	}
	return strings.TrimSuffix(string(raw), "\n"), nil
}

func saveOne(ctx context.Context, a protocol.Transfer) error {
	info, err := os.Stat(a.Path)
	if err != nil {
		return err
	}
	if a.Direct {
		return saveDirect(ctx, a, info)
	}
	return upload(ctx, a.URL, opener(a, info))
}

// opener returns how the content of an artifact is read, afresh each time and each time the same.
func opener(a protocol.Transfer, info os.FileInfo) func() (io.ReadCloser, error) {
	if a.Plain && !info.IsDir() {
		return func() (io.ReadCloser, error) { return os.Open(a.Path) }
	}
	return func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(packAs(w, a)) }()
		return r, nil
	}
}

// Send reads a file as it is, and a folder packed and marked as one.
func Send(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return opener(protocol.Transfer{Path: path, Plain: true}, info)()
}

// Receive brings what [Send] reads to a path: a file, or the folder that a body stands for.
func Receive(body io.Reader, path string) error {
	return place(body, protocol.Transfer{Plain: true}, path)
}

// packAs packs what is at the path of an artifact as its manifest says.
func packAs(w io.Writer, a protocol.Transfer) error {
	switch {
	case a.Zip:
		return packZip(w, a.Path)
	case a.Plain:
		return pack(w, a.Path, folderMark, nil)
	}
	return pack(w, a.Path, "", a.Level)
}

// upload puts a body, made afresh for each try.
func upload(ctx context.Context, to string, open func() (io.ReadCloser, error)) error {
	return patiently(ctx, func() error {
		body, err := open()
		if err != nil {
			return errors.Join(errGone, err)
		}
		defer body.Close()
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, body)
		if err != nil {
			return errors.Join(errGone, err)
		}
		return answer(send(http.DefaultClient, req))
	}, nil)
}

// send makes a request. Its errors do not hold the URL, which is a secret.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	res, err := client.Do(req)
	if of, is := errors.AsType[*url.Error](err); is {
		err = fmt.Errorf("%s %s: %w", strings.ToLower(of.Op), req.URL.Host, of.Err)
	}
	return res, err
}

func answer(res *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return verdict(res)
}

// verdict says whether an answer is final. Only the store itself can refuse: any
// other answer comes from the way to it, and will be different later.
func verdict(res *http.Response) error {
	store := res.Header.Get(protocol.StoreHeader) != ""
	if res.StatusCode < 300 && store {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
	err := fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(text)))
	if store && res.StatusCode == http.StatusNotFound {
		return errors.Join(errGone, errAbsent, err)
	}
	if store && res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
		return errors.Join(errGone, err)
	}
	return err
}

// patiently repeats try with growing pauses. sleep replaces the clock in tests.
func patiently(ctx context.Context, try func() error, sleep func(context.Context, time.Duration) error) error {
	if sleep == nil {
		sleep = wait.For
	}
	ctx, cancel := context.WithTimeout(ctx, transferPatience)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := try()
		if err == nil || errors.Is(err, errGone) {
			return err
		}
		if sleep(ctx, pause) != nil {
			return err
		}
	}
}

// loadOne brings one artifact to target, whole or not at all.
func loadOne(ctx context.Context, in protocol.Transfer, target string) error {
	if err := os.MkdirAll(parent(target), 0o777); err != nil {
		return err
	}
	if in.URL == "" {
		return finishLoad(in, target, os.WriteFile(target, []byte(in.Raw), 0o666))
	}
	var err error
	if in.Direct {
		err = loadDirect(ctx, in, target)
	} else {
		err = fetch(ctx, http.DefaultClient, protocol.Object{URL: in.URL}, verdict,
			func(body io.Reader) error { return replace(body, in, target) })
	}
	if in.Optional && errors.Is(err, errAbsent) {
		return nil
	}
	return finishLoad(in, target, err)
}

// fetch gets a body, again from its start when it breaks off.
func fetch(ctx context.Context, client *http.Client, from protocol.Object, judge func(*http.Response) error,
	take func(io.Reader) error) error {
	return patiently(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.URL, nil)
		if err != nil {
			return errors.Join(errGone, err)
		}
		introduce(req, from)
		res, err := send(client, req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if err := judge(res); err != nil {
			return err
		}
		return take(res.Body)
	}, nil)
}

// replace brings a body to target in the place of what an earlier try left there.
func replace(body io.Reader, in protocol.Transfer, target string) error {
	if err := os.RemoveAll(target); err != nil {
		return errors.Join(errGone, err)
	}
	return place(body, in, target)
}

func finishLoad(in protocol.Transfer, target string, err error) error {
	if err != nil {
		return err
	}
	if in.Mode == nil {
		return nil
	}
	mode := os.FileMode(*in.Mode)
	if !in.Recurse {
		return os.Chmod(target, mode)
	}
	root, err := os.OpenRoot(parent(target))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), filepath.Base(target), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return root.Chmod(name, mode)
	})
}

// place unpacks what is a compressed archive and writes down anything else. With a
// sub-path only that part of it stays.
func place(body io.Reader, in protocol.Transfer, target string) error {
	if in.SubPath != "" {
		return placePart(body, in, target)
	}
	if in.Zip {
		return unzip(body, target)
	}
	buffered := bufio.NewReader(body)
	head, _ := buffered.Peek(gzipHeader + len(folderMark))
	zipped := len(head) > 2 && head[0] == 0x1f && head[1] == 0x8b
	if zipped && (!in.Plain || marked(head)) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return errors.Join(errGone, err)
		}
		return unpack(unzipped, target)
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return errors.Join(errGone, err)
	}
	if _, err := io.Copy(f, buffered); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// placePart brings the whole aside and moves the part to target.
func placePart(body io.Reader, in protocol.Transfer, target string) error {
	whole := target + ".whole"
	defer os.RemoveAll(whole)
	sub := in.SubPath
	in.SubPath = ""
	if err := errors.Join(os.RemoveAll(whole), place(body, in, whole)); err != nil {
		return err
	}
	if !filepath.IsLocal(sub) {
		return errors.Join(errGone, fmt.Errorf("subPath %q leads out of the artifact", sub))
	}
	// The root keeps links within the artifact from leading out of it.
	root, err := os.OpenRoot(whole)
	if err != nil {
		return errors.Join(errGone, fmt.Errorf("subPath %q: the artifact is no folder: %w", sub, err))
	}
	defer root.Close()
	if _, err := root.Stat(sub); err != nil {
		return errors.Join(errGone, fmt.Errorf("subPath %q: %w", sub, err))
	}
	return os.Rename(filepath.Join(whole, sub), target)
}
