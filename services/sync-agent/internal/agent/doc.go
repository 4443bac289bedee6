// Package agent is the shell around the core: it watches Applications, Git, the
// cluster and the bus, performs plans and reports.
package agent
