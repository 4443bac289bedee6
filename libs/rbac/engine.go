package rbac

import (
	"sync"
	"sync/atomic"
)

// Engine holds the snapshot that counts. Safe for concurrent use; the zero value allows nothing.
type Engine struct {
	now atomic.Pointer[Snapshot]

	mu   sync.Mutex // guards good, and has updates take turns
	good *Policy    // the last that was read whole
}

// Update compiles and swaps. A policy that is refused leaves the one before in force, with the projects as they are
// now; without one before, nothing counts but the built-in roles. On an error everything stays as it was.
func (e *Engine) Update(p Policy, projects []Project) ([]Problem, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next, problems, err := Compile(p, projects)
	if err != nil {
		return problems, err
	}
	switch {
	case !Refused(ofFiles(p, problems)):
		e.good = &p
	case e.good != nil:
		if next, _, err = Compile(*e.good, projects); err != nil {
			return problems, err
		}
	}
	e.now.Store(next)
	return problems, nil
}

// ofFiles are the problems of a policy's own files.
func ofFiles(p Policy, problems []Problem) []Problem {
	var out []Problem
	for _, f := range p.Files {
		for _, problem := range problems {
			if problem.File == f.Name {
				out = append(out, problem)
			}
		}
	}
	return out
}

// Allowed asks the snapshot that counts now.
func (e *Engine) Allowed(who Subject, r Request) (bool, error) {
	s := e.now.Load()
	if s == nil {
		return false, nil
	}
	return s.Allowed(who, r)
}
