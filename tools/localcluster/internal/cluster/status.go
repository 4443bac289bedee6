package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/state"
)

// Status is a cluster and how each of its programs is.
type Status struct {
	*state.Cluster
	Dir        string          `json:"dir"`
	Kubeconfig string          `json:"kubeconfig"`
	APIServer  string          `json:"apiServer"`
	Up         bool            `json:"up"`
	Programs   []ProgramStatus `json:"programs"`
}

// ProgramStatus is one program: its pid, 0 when dead, and why it does not
// work, empty when it does.
type ProgramStatus struct {
	Name   string `json:"name"`
	Pid    int    `json:"pid"`
	Reason string `json:"reason,omitempty"`
	Log    string `json:"log"`
}

// Inspect asks every program how it is.
func Inspect(ctx context.Context, dir string) (Status, error) {
	c, err := open(dir)
	if err != nil {
		return Status{}, err
	}
	s := newSession(c, nil)
	if err := s.connect(); err != nil {
		return Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status := Status{Cluster: c, Dir: dir, Kubeconfig: c.Path("kubeconfig"), APIServer: c.APIServer(), Up: true}
	for _, stage := range s.stages() {
		for _, p := range stage {
			one := ProgramStatus{Name: p.name, Pid: s.programs.Pid(p.name), Log: s.programs.Log(p.name)}
			err := p.ready(ctx)
			if one.Pid == 0 {
				err = errors.New("not running")
			}
			if err != nil {
				one.Reason, status.Up = err.Error(), false
			}
			status.Programs = append(status.Programs, one)
		}
	}
	return status, nil
}
