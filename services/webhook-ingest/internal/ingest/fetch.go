package ingest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// fetchPatience bounds the look at a certificate or a confirmation while a sender
// waits. SNS waits 15 s.
const fetchPatience = 5 * time.Second

// fetchLimit bounds what is read of it.
const fetchLimit = 64 << 10

// fetchedAge is how long a certificate is kept.
const fetchedAge = time.Hour

// fetchedMost bounds how many are kept.
const fetchedMost = 64

// fetcher gets what the core asks for. The core has looked at the URLs; redirects
// are not followed, since they would lead past that look.
type fetcher struct {
	client *http.Client

	mu   sync.Mutex
	kept map[string]fetched
}

type fetched struct {
	text []byte
	at   time.Time
}

func newFetcher() *fetcher {
	return &fetcher{kept: map[string]fetched{}, client: &http.Client{
		Timeout:       fetchPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// cached returns the content of a URL that does not change.
func (f *fetcher) cached(ctx context.Context, url string) ([]byte, error) {
	f.mu.Lock()
	one, ok := f.kept[url]
	f.mu.Unlock()
	if ok && time.Since(one.at) < fetchedAge {
		return one.text, nil
	}
	text, err := f.get(ctx, url)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) >= fetchedMost {
		clear(f.kept)
	}
	f.kept[url] = fetched{text: text, at: time.Now()}
	return text, nil
}

// get fetches a URL once.
func (f *fetcher) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch for a sender: %w", err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch for a sender: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch for a sender: %s answered %s", req.URL.Host, res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, fetchLimit))
	if err != nil {
		return nil, fmt.Errorf("fetch for a sender: %w", err)
	}
	return text, nil
}
