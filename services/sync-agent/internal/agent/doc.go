// Package agent is the service: its configuration, and its parts put together.
package agent
