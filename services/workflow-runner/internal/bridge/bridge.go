// Package bridge stands beside an artifact driver in its pod: it takes artifacts from the workflow runner over HTTP,
// puts them where the driver sees them, and asks the driver over its socket. It knows nothing of the bus or of
// Kubernetes.
//
// Drivers are those of Argo Workflows 4: a container that serves artifact.ArtifactService on the socket that its one
// argument names.
package bridge

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/executor"
)

// Idle is how long nobody asks before the bridge ends, and with it the pod.
const Idle = 10 * time.Minute

// atOnce bounds the artifacts that are in the pod at the same time: each takes room on its node.
const atOnce = 16

// Config is where things are in the pod.
type Config struct {
	Token   string
	Socket  string // of the driver
	Staging string // folder that the driver sees too
	Idle    time.Duration
}

// InPod is what the pod of a driver says.
func InPod(getenv func(string) string) Config {
	return Config{Token: getenv(protocol.BridgeToken),
		Socket:  filepath.Join(protocol.DriversDir, getenv(protocol.BridgeDriver), protocol.DriverSocket),
		Staging: protocol.DriverStagingDir, Idle: Idle}
}

// Serve answers on a listener until nobody asks for some time, or ctx ends.
func Serve(ctx context.Context, l net.Listener, c Config) error {
	driver, err := dial(c.Socket)
	if err != nil {
		return err
	}
	defer func() { _ = driver.conn.Close() }()
	sweep(c.Staging)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := &idleness{end: cancel, after: c.Idle}
	idle.timer = time.AfterFunc(c.Idle, idle.look)
	server := &http.Server{Handler: idle.watch(newHandler(driver, c)), ReadHeaderTimeout: time.Minute,
		MaxHeaderBytes: 2 * protocol.DrivenLimit}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	return server.Shutdown(late)
}

// sweep takes away what transfers left behind that a bridge before this one did not end.
func sweep(staging string) {
	left, _ := filepath.Glob(filepath.Join(staging, transferPrefix+"*"))
	for _, folder := range left {
		_ = os.RemoveAll(folder)
	}
}

const transferPrefix = "transfer-"

// idleness ends the bridge that nobody needs.
type idleness struct {
	end   func()
	after time.Duration
	busy  atomic.Int64
	timer *time.Timer
}

func (i *idleness) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.busy.Add(1)
		defer func() {
			i.busy.Add(-1)
			i.timer.Reset(i.after)
		}()
		next.ServeHTTP(w, r)
	})
}

func (i *idleness) look() {
	if i.busy.Load() == 0 {
		i.end()
	}
}

// handler serves one driver.
type handler struct {
	driver *caller
	config Config
	slots  chan struct{}
}

func newHandler(driver *caller, c Config) http.Handler {
	h := &handler{driver: driver, config: c, slots: make(chan struct{}, atOnce)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+protocol.BridgeReady, h.ready)
	mux.HandleFunc("GET "+protocol.BridgeObject, h.about(h.load))
	mux.HandleFunc("PUT "+protocol.BridgeObject, h.about(h.save))
	mux.HandleFunc("DELETE "+protocol.BridgeObject,
		h.about(func(w http.ResponseWriter, r *http.Request, d protocol.Driven) error {
			if err := h.driver.remove(r.Context(), d); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		}))
	mux.HandleFunc("GET "+protocol.BridgeNames,
		h.about(func(w http.ResponseWriter, r *http.Request, d protocol.Driven) error {
			names, err := h.driver.names(r.Context(), d)
			if err != nil {
				return err
			}
			w.Header().Set("Content-Type", "application/json")
			return json.NewEncoder(w).Encode(append([]string{}, names...))
		}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocol.StoreHeader, "1")
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if c.Token == "" || subtle.ConstantTimeCompare([]byte(given), []byte(c.Token)) != 1 {
			http.Error(w, "the token is not that of this pod", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// ready answers when the driver does.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	if err := h.driver.ready(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// about reads of which artifact a request is, and answers what went wrong.
func (h *handler) about(do func(http.ResponseWriter, *http.Request, protocol.Driven) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var d protocol.Driven
		raw, err := base64.RawURLEncoding.DecodeString(r.Header.Get(protocol.BridgeArtifact))
		if err == nil {
			err = json.Unmarshal(raw, &d)
		}
		if err != nil {
			http.Error(w, protocol.BridgeArtifact+" names no artifact: "+err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case h.slots <- struct{}{}:
			defer func() { <-h.slots }()
		case <-r.Context().Done():
			return
		}
		if err := do(w, r, d); err != nil {
			http.Error(w, err.Error(), statusOf(err))
		}
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, errAbsent):
		return http.StatusNotFound
	case errors.Is(err, errAway):
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

// aside gives a transfer a folder of its own that the driver can write to.
func (h *handler) aside() (path string, drop func(), err error) {
	folder, err := os.MkdirTemp(h.config.Staging, transferPrefix)
	if err == nil {
		err = os.Chmod(folder, 0o777) // the driver may be another user; nobody else sees this volume
	}
	if err != nil {
		return "", nil, errors.Join(errAway, err)
	}
	return filepath.Join(folder, "artifact"), func() { _ = os.RemoveAll(folder) }, nil
}

// load sends what the driver brings. A folder goes as the executor packs one.
func (h *handler) load(w http.ResponseWriter, r *http.Request, d protocol.Driven) error {
	path, drop, err := h.aside()
	if err != nil {
		return err
	}
	defer drop()
	if err := h.driver.load(r.Context(), d, path); err != nil {
		return err
	}
	body, err := executor.Send(path)
	if err != nil {
		return fmt.Errorf("what the driver loaded: %w", err)
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		panic(http.ErrAbortHandler) // a part must not be taken for the whole
	}
	return nil
}

// save puts a body where the driver sees it. What stands for a folder becomes one.
func (h *handler) save(w http.ResponseWriter, r *http.Request, d protocol.Driven) error {
	path, drop, err := h.aside()
	if err != nil {
		return err
	}
	defer drop()
	if err := executor.Receive(r.Body, path); err != nil {
		return errors.Join(errAway, fmt.Errorf("take the artifact in: %w", err))
	}
	if err := h.driver.save(r.Context(), d, path); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
