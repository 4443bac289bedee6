package obs

import (
	"net/http"
	"net/http/pprof"
)

// Profiles serves the profiles of this process as go tool pprof reads them, below
// /debug/pprof/. They show what is in memory: nobody but this machine may reach them.
func Profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
