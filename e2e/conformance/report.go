package conformance

import (
	"fmt"
	"io"
	"strings"
)

// Result is the verdict on one case.
type Result struct {
	Case   string // such as "sensors/webhook.yaml: effect"
	Reason string // why it failed; empty means it passed
}

// Report collects verdicts.
type Report struct {
	Results []Result
}

// Pass notes a case that holds.
func (r *Report) Pass(name string) { r.Results = append(r.Results, Result{Case: name}) }

// Failf notes a case that does not hold.
func (r *Report) Failf(name, format string, args ...any) {
	r.Results = append(r.Results, Result{Case: name, Reason: fmt.Sprintf(format, args...)})
}

// Judge notes a case that holds when err is nil.
func (r *Report) Judge(name string, err error) {
	if err != nil {
		r.Failf(name, "%v", err)
		return
	}
	r.Pass(name)
}

// Failed counts the cases that do not hold.
func (r *Report) Failed() int {
	n := 0
	for _, x := range r.Results {
		if x.Reason != "" {
			n++
		}
	}
	return n
}

// Write lists the failures with their reasons and ends with "N passed, N failed".
func (r *Report) Write(out io.Writer) error {
	var b strings.Builder
	for _, x := range r.Results {
		if x.Reason != "" {
			fmt.Fprintf(&b, "FAIL %s: %s\n", x.Case, x.Reason)
		}
	}
	failed := r.Failed()
	fmt.Fprintf(&b, "%d passed, %d failed\n", len(r.Results)-failed, failed)
	_, err := io.WriteString(out, b.String())
	return err
}
