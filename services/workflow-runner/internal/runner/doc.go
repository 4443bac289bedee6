// Package runner is the service: it reads its configuration, connects, and wires the parts together.
package runner
