package executor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
)

// signedLimit bounds the answer with the URLs of a folder.
const signedLimit = 32 << 20

// ask has the runner sign URLs that the store itself answers. They are asked for right before they are used: no pod
// waits with one, and none stands in its spec.
func ask(ctx context.Context, at string, names []string) (signed protocol.Signed, err error) {
	raw, err := json.Marshal(protocol.Ask{Names: names})
	if err != nil {
		return signed, err
	}
	err = patiently(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(raw))
		if err != nil {
			return errors.Join(errGone, err)
		}
		res, err := send(http.DefaultClient, req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if err := verdict(res); err != nil {
			return err
		}
		return json.NewDecoder(io.LimitReader(res.Body, signedLimit)).Decode(&signed)
	}, nil)
	return signed, err
}

// clientFor trusts who vouches for a store.
func clientFor(authority string) (*http.Client, error) {
	if authority == "" {
		return http.DefaultClient, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authority)) {
		return nil, errors.New("the certificate authority of the store cannot be read")
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}}, nil
}

// saveDirect stores an artifact where the runner says; a folder that is not packed is stored file by file. Source: Argo
// Workflows, archive none.
func saveDirect(ctx context.Context, a protocol.Transfer, info os.FileInfo) error {
	names, open := []string{""}, func(string) func() (io.ReadCloser, error) { return opener(a, info) }
	if a.Plain && info.IsDir() {
		var err error
		if names, err = filesIn(a.Path); err != nil {
			return err
		}
		open = func(name string) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return os.Open(filepath.Join(a.Path, filepath.FromSlash(name))) }
		}
	}
	for some := range slices.Chunk(names, protocol.AskLimit) {
		signed, err := ask(ctx, a.URL, some)
		if err != nil {
			return err
		}
		client, err := clientFor(signed.Authority)
		if err != nil {
			return err
		}
		for _, o := range signed.Objects {
			if err := put(ctx, client, o, open(o.Name)); err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(a.Path, o.Name), err)
			}
		}
	}
	return nil
}

// filesIn lists the regular files of a folder. A link is none: what it points at need not belong to the artifact.
func filesIn(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

// put stores a body. Its size is found first: such stores take no body whose size they do not know.
func put(ctx context.Context, client *http.Client, to protocol.Object, open func() (io.ReadCloser, error)) error {
	return patiently(ctx, func() error {
		size, err := sizeOf(open)
		if err != nil {
			return errors.Join(errGone, err)
		}
		body, err := open()
		if err != nil {
			return errors.Join(errGone, err)
		}
		defer body.Close()
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, to.URL, body)
		if err != nil {
			return errors.Join(errGone, err)
		}
		introduce(req, to)
		if req.ContentLength = size; size == 0 {
			req.Body = http.NoBody // with a body of no size the size would be left out
		}
		res, err := send(client, req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		return storeVerdict(res)
	}, nil)
}

// introduce sends the headers that the runner gave with a URL.
func introduce(req *http.Request, o protocol.Object) {
	for name, value := range o.Headers {
		req.Header.Set(name, value)
	}
}

// sizeOf reads a content to its end, unless it is a file.
func sizeOf(open func() (io.ReadCloser, error)) (int64, error) {
	body, err := open()
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if f, ok := body.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	return io.Copy(io.Discard, body)
}

// storeVerdict says whether the answer of a store that is not ours is final.
func storeVerdict(res *http.Response) error {
	if res.StatusCode < 300 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	err := fmt.Errorf("%s%s", res.Status, reason(string(text)))
	switch {
	case res.StatusCode == http.StatusNotFound:
		return errors.Join(errGone, errAbsent, err)
	case res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests &&
		res.StatusCode != http.StatusRequestTimeout:
		return errors.Join(errGone, err)
	}
	return err
}

// reason takes from the answer of a store what may be shown: the rest may tell how the request was signed.
func reason(answer string) string {
	var said strings.Builder
	for _, element := range []string{"Code", "Message"} {
		_, rest, ok := strings.Cut(answer, "<"+element+">")
		if text, _, closed := strings.Cut(rest, "</"+element+">"); ok && closed {
			said.WriteString(": " + text)
		}
	}
	return said.String()
}

// loadDirect brings an artifact, or the files of a folder, to target.
func loadDirect(ctx context.Context, in protocol.Transfer, target string) error {
	signed, err := ask(ctx, in.URL, nil)
	if err != nil {
		return err
	}
	client, err := clientFor(signed.Authority)
	if err != nil {
		return err
	}
	if len(signed.Objects) == 1 && signed.Objects[0].Name == "" {
		return fetch(ctx, client, signed.Objects[0], storeVerdict,
			func(body io.Reader) error { return replace(body, in, target) })
	}
	found := false
	for _, o := range signed.Objects {
		name, wanted := within(o.Name, in.SubPath)
		if !wanted {
			continue
		}
		found = true
		if err := loadFile(ctx, client, o, name, target); err != nil {
			return fmt.Errorf("%s: %w", o.Name, err)
		}
	}
	if !found {
		return errors.Join(errGone, errAbsent, fmt.Errorf("subPath %q: there is nothing", in.SubPath))
	}
	return nil
}

// within is the name of a file below a part of a folder, "" when it is that part itself.
func within(name, part string) (string, bool) {
	if part = strings.Trim(part, "/"); part == "" {
		return name, true
	}
	if name == part {
		return "", true
	}
	return strings.CutPrefix(name, part+"/")
}

// loadFile brings one file of a folder below target; one without name is target itself.
func loadFile(ctx context.Context, client *http.Client, from protocol.Object, name, target string) error {
	path := target
	if name != "" {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return errors.New("its name leads out of the artifact")
		}
		path = filepath.Join(target, filepath.FromSlash(name))
	}
	if err := os.MkdirAll(parent(path), 0o777); err != nil {
		return err
	}
	return fetch(ctx, client, from, storeVerdict, func(body io.Reader) error {
		return place(body, protocol.Transfer{Plain: true}, path)
	})
}
